import kafkajs from 'kafkajs';

import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';

const { KafkaJSConnectionError, KafkaJSError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError } =
  kafkajs;

/** Kafka's own names of answers that say that it would never take this. */
const INVALID: readonly string[] = [
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_GROUP_ID',
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'POLICY_VIOLATION',
];

/** What an error is about, without those that only say that it was tried again. */
export function causeOf(error: unknown): unknown {
  let cause = error;
  while (cause instanceof KafkaJSNumberOfRetriesExceeded && cause.cause instanceof Error) cause = cause.cause;
  return cause;
}

/** Kafka's own name of what a broker answered, undefined if it is none of its answers. */
export function kafkaType(error: unknown): string | undefined {
  const cause = causeOf(error);
  return cause instanceof KafkaJSProtocolError ? cause.type : undefined;
}

/** What a failure of the client or an answer of a broker means for its caller. */
export function brokerError(error: unknown): BrokerError {
  const cause = causeOf(error);
  if (cause instanceof BrokerError) return cause;
  const told = (kind: BrokerError['kind'], reason = reasonOf(cause)) =>
    new BrokerError(kind, reason, { cause: error });
  if (cause instanceof KafkaJSProtocolError) {
    if (INVALID.includes(cause.type)) return told('invalid');
    return told(cause.retriable ? 'unavailable' : 'failed');
  }
  if (cause instanceof KafkaJSConnectionError) return told('unavailable');
  // No broker, no answer in time, no coordinator, and so on: the client itself would try again.
  if (cause instanceof KafkaJSError) return told(cause.retriable ? 'unavailable' : 'failed');
  return told('failed');
}
