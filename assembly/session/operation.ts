// One operation on its way to the bridge and back.

import { release } from '../host/memory';
import { View } from '../wire/view';
import { Link } from './link';

/** Who waits for an operation. */
export interface Waiter {
  /**
   * The bridge answered.
   *
   * @param buffer the result frame, now the waiter's to `release`; it has the host layer's headroom in front
   * @param payload the response message, a view into the buffer
   */
  onResult(buffer: View, payload: View): void;

  /** The operation failed. @param code google.rpc.Code, never OK @param message for people; valid during the call only */
  onFailure(code: i32, message: View): void;
}

/** An operation the session knows until the bridge has answered it. */
export class Operation {
  /** Id on the session; a repeated operation gets a new one. */
  id: u64 = 0;
  /** The link it was sent on; null while it waits for one. */
  link: Link | null = null;
  /** Sent a second time already. */
  repeated: bool = false;
  /** Null when nobody waits any more. */
  waiter: Waiter | null;
  /** Bytes charged to the budget until the bridge has answered or acknowledged. */
  charged: i32 = 0;
  /** Microseconds the bridge took, and how many of them it waited for the backend; 0 until it has answered. */
  bridgeUs: u32 = 0;
  backendUs: u32 = 0;
  /** The result may be kept: the link it came on also tells of changes that come after it. */
  keepable: bool = false;

  constructor(
    waiter: Waiter,
    /** Full method name. */
    public readonly method: View,
    /** The request's buffer as `release` wants it, owned by the operation; no bytes once it is given back. */
    public buffer: View,
    /** The request message, in that buffer, with headroom in front. */
    public payload: View,
    /** May be performed twice without harm: it is sent once more when a session breaks. */
    public readonly idempotent: bool,
    /** Milliseconds the caller waits, from now. */
    public readonly deadlineMs: u32,
    /** W3C trace context or empty; owned by the waiter, so valid until it is gone. */
    public traceparent: View,
  ) {
    this.waiter = waiter;
  }

  /** Gives the request's memory back. */
  drop(): void {
    release(this.buffer);
    this.buffer = 0;
    this.payload = 0;
  }
}
