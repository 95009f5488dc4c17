import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import type { CompiledPolicy } from '../../components-bridge/src/policy/types.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { unframe } from '../support/grpc-raw.js';
import { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

/** Publishing calls, and what a filter asks the bridge for them. */

export const LAYOTTO = '/spec.proto.runtime.v1.Runtime/PublishEvent';
export const DELAY = '/spec.proto.extension.v1.delay_queue.DelayQueue/PublishDelayMessage';
export const DAPR = '/dapr.proto.runtime.v1.Dapr/PublishEvent';
export const BULK = '/dapr.proto.runtime.v1.Dapr/BulkPublishEvent';
export const ID = 'layotto-message-id';
export const PERSISTED = 'layotto-message-persisted';

export const BROKER: PluginComponent = {
  name: 'events',
  type: 'pubsub.redis',
  version: 'v1',
  primitive: 'pubsub',
  capabilities: [],
};

export const connected = (policy?: CompiledPolicy): Promise<Filter> =>
  Filter.connected({ components: [BROKER], ...(policy === undefined ? {} : { policy }) });

export interface Fields {
  pubsubName?: string;
  topic?: string;
  data?: Uint8Array;
  metadata?: Record<string, string>;
}

export const EVENT = { pubsubName: 'events', topic: 'orders', data: Buffer.from('x') };

export function event(fields: Fields = {}): Uint8Array {
  const request = { ...EVENT, dataContentType: 'text/plain', ...fields };
  return toBinary(pb.PublishEventRequestSchema, create(pb.PublishEventRequestSchema, request));
}

export function bulk({ pubsubName = 'events', topic = 'orders', metadata = {} }: Fields = {}): Uint8Array {
  const entries = [{ entryId: '1', event: Buffer.from('x') }];
  const request = create(pb.BulkPublishEventRequestSchema, { pubsubName, topic, metadata, entries });
  return toBinary(pb.BulkPublishEventRequestSchema, request);
}

export function delayed({ pubsubName = 'events', topic = 'orders' }: Fields = {}): Uint8Array {
  const request = { componentName: pubsubName, topic, delayInSeconds: 5 };
  return toBinary(pb.PublishDelayMessageRequestSchema, create(pb.PublishDelayMessageRequestSchema, request));
}

export function message(stream: HttpStream): Buffer {
  const [only] = unframe(stream.answer?.body ?? Buffer.alloc(0));
  return only as Buffer;
}

export function json(stream: HttpStream): unknown {
  return JSON.parse(stream.answer?.body.toString() ?? '');
}

export function headers(stream: HttpStream): Record<string, string> {
  return stream.answer?.headers.object() ?? {};
}

export function details(stream: HttpStream): string {
  return Buffer.from(headers(stream)['grpc-status-details-bin'] ?? '', 'base64').toString();
}

export function published({ bridge }: Filter): pb.PublishEventRequest {
  const { frame } = bridge.lastRequest();
  expect(frame.method).toBe('layotto.bridge.v1.PubSub/PublishEvent');
  return fromBinary(pb.PublishEventRequestSchema, frame.payload);
}

export function publishedBulk({ bridge }: Filter): pb.BulkPublishEventRequest {
  const { frame } = bridge.lastRequest();
  expect(frame.method).toBe('layotto.bridge.v1.PubSub/BulkPublishEvent');
  return fromBinary(pb.BulkPublishEventRequestSchema, frame.payload);
}

export const DONE = { messageId: '17-0', persisted: true };
