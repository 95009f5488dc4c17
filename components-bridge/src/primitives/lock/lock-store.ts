import type { Component } from '../component.js';

/** Who wants a lock on what. */
export interface LockClaim {
  /** The stored key of the resource, prefix included. Not empty. */
  readonly key: string;
  /** Tells owners apart. Not empty, and compared byte for byte. */
  readonly owner: string;
}

/** A claim for a time. */
export interface TimedLockClaim extends LockClaim {
  /** Seconds, from now, until the lock goes by itself: a whole number from 1 to 2^31 - 1. */
  readonly expirySeconds: number;
}

/** What became of giving a lock back, or of keeping it. */
export type LockOutcome =
  | 'done'
  /** Nobody holds it: it was never taken, was given back, or has expired. */
  | 'absent'
  /** Somebody else holds it. Nothing was changed. */
  | 'others'
  /** What the backend keeps under the key is no lock. Nothing was changed. */
  | 'broken';

/**
 * What a lock store must do. Each call is atomic: the owner is compared and the lock changed in one step, whoever
 * else uses the backend at the same time.
 */
export interface LockStore extends Component {
  /**
   * Takes the lock if nobody holds it, the claim's own owner included. Does not wait.
   *
   * @returns the fencing token, or undefined if the lock was not taken. A token is from 1 to 2^63 - 1, and greater
   *   than each token that was given for the key before, whoever got it, also if that lock has expired, was given back
   *   or the backend was restarted. It need not be the next number.
   * @throws LockError; if it is `unavailable`, the lock may have been taken
   */
  tryLock(claim: TimedLockClaim): Promise<bigint | undefined>;

  /** Gives the lock back. @throws LockError; if it is `unavailable`, the lock may be free */
  unlock(claim: LockClaim): Promise<LockOutcome>;

  /**
   * Gives a lock that the owner holds a new time to live, longer or shorter than what is left of it.
   *
   * @throws LockError; if it is `unavailable`, the time may have been changed
   */
  keepAlive(claim: TimedLockClaim): Promise<LockOutcome>;
}

export type LockErrorKind =
  /** The backend cannot be reached; whether anything was changed is not known. */
  | 'unavailable'
  /** The backend refused. */
  | 'failed';

/** Why a store did not do what it was asked. The service maps the kind to the code that callers see. */
export class LockError extends Error {
  override name = 'LockError';

  constructor(
    readonly kind: LockErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
