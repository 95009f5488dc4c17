import type { Component } from '../component.js';

/** What a store can do beyond get, set and delete. The names are Dapr's. */
export type StateFeature = 'ETAG' | 'TRANSACTIONAL' | 'TTL';

/** A stored value. */
export interface StateValue {
  data: Uint8Array;
  /** Its version in decimal, greater with each write and never 0, by most stores counted from `1`; empty for a value that was not written as state and has none. */
  etag: string;
}

/** One key to write. */
export interface StateWrite {
  /** The stored key, prefix included. May be empty. */
  key: string;
  value: Uint8Array;
  /** If the key exists, its version must be this one. Undefined or empty: whatever its version. */
  etag?: string | undefined;
  /** Without an etag: write only if the key is absent. */
  firstWrite: boolean;
  /**
   * Seconds until it expires; 0 or less: never. Undefined: as the store is configured, which by default leaves the
   * expiry that the key has.
   */
  ttlSeconds?: number | undefined;
  /** Not done before it would survive the loss of the server that did it, as far as the store can promise that. */
  strong?: boolean | undefined;
}

/** One key to delete. Deleting an absent key succeeds. */
export interface StateRemoval {
  key: string;
  /** If the key exists, its version must be this one. Undefined or empty: whatever its version. */
  etag?: string | undefined;
  /** As of a write. */
  strong?: boolean | undefined;
}

export type StateOperation = ({ kind: 'upsert' } & StateWrite) | ({ kind: 'delete' } & StateRemoval);

/**
 * What a state store must do. Each call is atomic. Methods beyond these are declared in `features`, so a caller
 * never has to try.
 */
export interface StateStore extends Component {
  readonly features: ReadonlySet<StateFeature>;
  /** The value, or undefined if the key is absent or has expired. */
  get(key: string): Promise<StateValue | undefined>;
  /** @throws StateError `etag-mismatch`, `etag-invalid` or `exists`; then nothing was written */
  set(write: StateWrite): Promise<void>;
  /** @throws StateError `etag-mismatch`; then nothing was deleted */
  delete(removal: StateRemoval): Promise<void>;
  /**
   * TRANSACTIONAL: all operations in order, each seeing those before it, or none. Strong if one of them is.
   *
   * @throws StateError of the first operation that cannot be done; then nothing was changed
   */
  transact?(operations: readonly StateOperation[]): Promise<void>;
}

export type StateErrorKind =
  /** The key's version is another one. */
  | 'etag-mismatch'
  /** The etag is not one this store could have given. */
  | 'etag-invalid'
  /** A first write found the key. */
  | 'exists'
  /** The keys of a transaction are kept in different places and cannot be changed together. */
  | 'apart'
  /** More bytes or operations than the backend takes at once. */
  | 'too-large'
  /** The backend cannot be reached; whether a write took place is not known. */
  | 'unavailable'
  /** A strong write was done, but may be lost if the server that did it is. */
  | 'unconfirmed'
  /** The backend refused. */
  | 'failed';

/** Why a store did not do what it was asked. The service maps the kind to the code that callers see. */
export class StateError extends Error {
  override name = 'StateError';

  constructor(
    readonly kind: StateErrorKind,
    message: string,
    /** The stored key it is about, if it is about one. */
    readonly key?: string,
  ) {
    super(message);
  }
}
