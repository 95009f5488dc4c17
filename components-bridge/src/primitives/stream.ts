import type { Subject } from '../policy/types.js';
import type { Call } from './call.js';

/** What a streaming call is about. */
export type StreamSubject = Pick<Subject, 'primitive' | 'operation'> & {
  component: string;
  /** The topic, where there is one. */
  name?: string;
};

/**
 * One call of a streaming method, as its handler sees it: messages are protobuf, whoever sends waits for whoever reads,
 * and nothing is kept in between but the message in hand.
 */
export interface MessageStream {
  readonly call: Call;
  /**
   * Aborted when nobody waits for the call any more: its caller has cancelled it or is gone, or the bridge ends. The
   * reason is an OperationError.
   */
  readonly signal: AbortSignal;
  /** Aborted when the bridge is about to end: a stream that lasts until its caller goes should end now. */
  readonly leaving: AbortSignal;
  /** Resolves when the caller has sent its last message, which may be before `read` says so. */
  readonly ended: Promise<void>;
  /**
   * Asks the policy about the component that the call names, before anything is done with it, and again whenever the
   * policy changes: then a call that is not allowed any more ends. Nothing can be sent before.
   *
   * @throws OperationError PERMISSION_DENIED
   */
  admit(subject: StreamSubject): void;
  /**
   * The next message, undefined after the last. One read at a time.
   *
   * @throws the reason of `signal`
   */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Sends a message, and resolves when there is room for another. One at a time.
   *
   * @throws the reason of `signal`; OperationError if the message is larger than `limits.message`
   */
  send(message: Uint8Array): Promise<void>;
}

/**
 * Serves one call. The call ends when the promise does: well, or with what is thrown, whose message the caller gets as
 * it is. So it is spelled as the API does whose method this is.
 *
 * @throws OperationError for a failure that the caller can understand; anything else counts as INTERNAL
 */
export type StreamHandler = (stream: MessageStream) => Promise<void>;
