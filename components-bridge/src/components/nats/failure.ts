import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';

import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';

/** JetStream's own codes of failures, as far as they are told apart. */
export const JetStreamCode = {
  CONSUMER_NOT_FOUND: 10014,
  INSUFFICIENT_RESOURCES: 10023,
  STORAGE_EXCEEDED: 10047,
  MESSAGE_TOO_LARGE: 10054,
  STREAM_NAME_IN_USE: 10058,
  STREAM_NOT_FOUND: 10059,
  SUBJECTS_OVERLAP: 10065,
  STORE_FAILED: 10077,
} as const;

/** The stream, its account or the server has as much as it may. */
const FULL: readonly number[] = [
  JetStreamCode.INSUFFICIENT_RESOURCES,
  JetStreamCode.STORAGE_EXCEEDED,
  JetStreamCode.STORE_FAILED,
];

/** JetStream's code of an error, undefined if it is none of its. */
export function jetStreamCode(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

/** Nobody took a message or a question: the stream has gone, or JetStream is not there (yet). */
export function isUnheard(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause) {
    if (one instanceof errors.NoRespondersError) return true;
    if (one instanceof errors.RequestError && one.isNoResponders()) return true;
  }
  return false;
}

/** What a failure of the client or an answer of the server means for a broker's caller. */
export function brokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const told = (kind: BrokerError['kind'], reason: string) => new BrokerError(kind, reason, { cause: error });
  if (isUnheard(error)) return told('unavailable', 'JetStream does not answer');
  if (error instanceof errors.TimeoutError) return told('unavailable', 'no answer in time');
  if (error instanceof JetStreamApiError) {
    if (error.code === JetStreamCode.MESSAGE_TOO_LARGE) return told('invalid', error.message);
    if (FULL.includes(error.code)) return told('full', error.message);
    // 503: there is no leader or no quorum at the moment.
    return told(error.status === 503 ? 'unavailable' : 'failed', error.message);
  }
  if (error instanceof errors.InvalidSubjectError || error instanceof errors.InvalidArgumentError)
    return told('invalid', error.message);
  if (
    error instanceof errors.ConnectionError ||
    error instanceof errors.ClosedConnectionError ||
    error instanceof errors.DrainingConnectionError ||
    error instanceof errors.RequestError
  )
    return told('unavailable', error.message);
  return told('failed', reasonOf(error));
}
