import type { Component } from '../component.js';

/** Stands in a query for any group, or any label. */
export const ANY = '*';

/** What a store keeps under a key of a group and a label. */
export interface ConfigurationItem {
  readonly key: string;
  readonly content: string;
  /** Never a blank that stands for a default, unless the default is itself empty. */
  readonly group: string;
  readonly label: string;
  readonly tags: Readonly<Record<string, string>>;
  /** What the store says of the item beside its content. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What the store calls this state of the item; another one after each save. Empty if it has no name for it. */
  readonly version: string;
}

/** Which items are meant. Two queries with the same values mean the same items. */
export interface ConfigurationQuery {
  /** The app whose configuration it is: what the caller said, or the app that the runtime serves. */
  readonly appId: string;
  /** A group, the store's default put in for a blank one; or `ANY`. */
  readonly group: string;
  /** A label, as the group. */
  readonly label: string;
  /** Without duplicates; none: every key. */
  readonly keys: readonly string[];
  /** What the caller said for the store. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** An item to write; it takes the place of the one that has its group, label and key, tags included. */
export interface ConfigurationWrite {
  readonly key: string;
  readonly content: string;
  readonly group: string;
  readonly label: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A store's watch of a query. */
export interface ConfigurationWatch {
  /** Stops it; nothing is told after that. Never throws. */
  close(): void;
}

/**
 * What a configuration store must do.
 *
 * A store need not work out what has changed, nor remember what it told: it only says that something may have.
 * `Watches` reads the query again then, and tells subscribers the differences. So a store also does not have to
 * find out what it missed while its backend was away: it says "may have changed" once it hears of changes again.
 */
export interface ConfigurationStore extends Component {
  /** What a blank group and a blank label stand for. */
  readonly defaults: { readonly group: string; readonly label: string };

  /**
   * The items that are there now, in any order: what has been saved, deleted or told as changed before the call must
   * show. Keys that are not there are left out.
   *
   * @throws ConfigurationError
   */
  get(query: ConfigurationQuery): Promise<ConfigurationItem[]>;

  /**
   * Writes items, in order. Resolves when they are there for every reader.
   *
   * @param appId as in a query
   * @param metadata what the caller said for the store
   * @throws ConfigurationError; then the items before the one it is about may have been written
   */
  save(
    appId: string,
    items: readonly ConfigurationWrite[],
    metadata: Readonly<Record<string, string>>,
  ): Promise<void>;

  /**
   * Deletes keys, which need not be there. There is at least one, and neither group nor label is `ANY`.
   *
   * @throws ConfigurationError; then some may have been deleted
   */
  delete(query: ConfigurationQuery): Promise<void>;

  /**
   * Watches a query until the watch is closed. Returns at once, also while the backend is away; the watch outlives
   * every loss of the backend.
   *
   * The listener is called after any item of the query may have changed, been added or been deleted, whoever did it:
   * once the store hears of changes for the first time, on each change (too often does no harm, and many changes
   * together may be one call), and each time it hears of changes again after it may have missed some. A `get` that is
   * called by the listener must see the change.
   */
  watch(query: ConfigurationQuery, changed: () => void): ConfigurationWatch;

  /**
   * Proves that the watches hear: resolves when the listeners have been called for every change that the backend had
   * taken when this was called, for example by a question whose answer comes on the same connection as the changes.
   * It is called about once a second while anybody wants to know; what it finds out may be shared.
   *
   * @throws ConfigurationError if some watch does not hear of changes now
   */
  confirm(): Promise<void>;
}

export type ConfigurationErrorKind =
  /** The store cannot do what the call asks for, whatever its state: a key it cannot have, a group it does not know. */
  | 'invalid'
  /** The backend cannot be reached; whether a write took place is not known. */
  | 'unavailable'
  /** The backend refused. */
  | 'failed';

/** Why a store did not do what it was asked. The service maps the kind to the code that callers see. */
export class ConfigurationError extends Error {
  override name = 'ConfigurationError';

  constructor(
    readonly kind: ConfigurationErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
