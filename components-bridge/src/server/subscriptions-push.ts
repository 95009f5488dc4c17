import { create, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';

import * as dapr from '../gen/dapr/proto/runtime/v1/metadata_pb.js';
import { PushSchema } from '../gen/layotto/bridge/v1/session_pb.js';
import type { SubscriptionSpec } from '../primitives/pubsub/subscription.js';

/** How many subscriptions the metadata show. */
const MOST_SHOWN = 200;
/** Longest that filters keep of each form, in bytes. */
const LONGEST = 256 * 1024;

/**
 * What filters are told of what the app is subscribed to.
 *
 * @returns a Push message
 */
export function subscriptionsPush(subscriptions: readonly SubscriptionSpec[]): Uint8Array {
  const shown = subscriptions.slice(0, MOST_SHOWN);
  const json = shown.length === 0 ? new Uint8Array(0) : Buffer.from(JSON.stringify(shown.map(shownInJson)));
  const response = create(dapr.GetMetadataResponseSchema, { subscriptions: shown.map(daprSubscription) });
  const message = toBinary(dapr.GetMetadataResponseSchema, response);
  const fit = Math.max(json.length, message.length) <= LONGEST;
  return toBinary(PushSchema, create(PushSchema, { subscriptions: fit ? { json, message } : {} }));
}

/** A subscription as Dapr's gRPC API shows it. */
export function daprSubscription(
  subscription: SubscriptionSpec,
): MessageInitShape<typeof dapr.PubsubSubscriptionSchema> {
  const { pubsubName, topic, rules, deadLetterTopic, origin } = subscription;
  return {
    ...{ pubsubName, topic, metadata: shownMetadata(subscription), deadLetterTopic },
    rules: { rules: rules.map(({ match, path }) => ({ match, path })) },
    type: dapr.PubsubSubscriptionType[origin],
  };
}

/** The same as Dapr's HTTP API shows it: without what is empty. */
function shownInJson(subscription: SubscriptionSpec): object {
  const { pubsubName, topic, rules, deadLetterTopic, origin } = subscription;
  const metadata = shownMetadata(subscription);
  return {
    ...{ pubsubname: pubsubName, topic },
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    rules: rules.map(({ match, path }) => (match === '' ? { path } : { match, path })),
    ...(deadLetterTopic === '' ? {} : { deadLetterTopic }),
    type: origin,
  };
}

/** The metadata, and the function that gets the events, for which Dapr has no field. */
function shownMetadata({ metadata, function: id }: SubscriptionSpec): Record<string, string> {
  return id === undefined ? { ...metadata } : { ...metadata, function: id };
}
