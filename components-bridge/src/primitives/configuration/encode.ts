import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/configuration_pb.js';
import type { ConfigurationItem } from './store.js';

/** An item as a message. */
export function itemMessage(item: ConfigurationItem): pb.ConfigurationItem {
  const { key, content, group, label, tags, metadata, version } = item;
  return create(pb.ConfigurationItemSchema, {
    key,
    content,
    group,
    label,
    tags: { ...tags },
    metadata: { ...metadata },
    version,
  });
}

/** A GetConfigurationResponse of these items, in this order. */
export function encodeItems(items: readonly ConfigurationItem[]): Uint8Array {
  const response = create(pb.GetConfigurationResponseSchema, { items: items.map(itemMessage) });
  return toBinary(pb.GetConfigurationResponseSchema, response);
}
