import { reasonOf } from '../errors.js';
import { idOf, inOrder, isSame, queryFor } from './query.js';
import type { Asked } from './query.js';
import { ConfigurationError } from './store.js';
import type { ConfigurationItem, ConfigurationStore, ConfigurationWatch } from './store.js';

/** Pauses between tries to read what may have changed: doubled each time. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/**
 * After a read, so many times as long as it took passes before the next one, a second at most: what changes all the time
 * and takes long to read must not keep its backend busy.
 */
const REST_PER_READ = 4;
const LONGEST_REST_MS = 1_000;

/** What became of an item. */
export interface Change {
  /** As it is now, or as it was when it was deleted. */
  readonly item: ConfigurationItem;
  readonly deleted: boolean;
}

/** Who hears of a query's changes. */
export interface Follower {
  /** Told the differences to what was told before; never of none. */
  changed?(changes: readonly Change[]): void;
  /** Told after each read, whether or not anything differs. */
  read?(query: WatchedQuery): void;
  /** The store cannot answer this query, or is not configured any more: nothing more comes. */
  ended(reason: string): void;
}

/**
 * A query that somebody follows: watched at the store once, whoever follows it. It is read when it begins, and again
 * after each notice of the store, until a read succeeds; followers are told what differs from the read before. So
 * what changed while the store was away is told when it is back.
 */
export class WatchedQuery {
  readonly #followers = new Set<Follower>();
  /** Of those: who joined after a first read had failed, and so must be told everything that is found. */
  readonly #late = new Set<Follower>();
  #store: ConfigurationStore | undefined;
  #watch: ConfigurationWatch | undefined;
  #items: readonly ConfigurationItem[] | undefined;
  #currentAt = -Infinity;
  /** Something may have changed since the read that `items` comes from was begun. */
  #dirty = true;
  #reading = false;
  #tried = false;
  #pause = FIRST_PAUSE_MS;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  /** When the next read may begin. */
  #notBefore = 0;
  #settle: () => void = () => undefined;
  /** Resolves when the first read has ended, well or not. */
  readonly firstTry = new Promise<void>((resolve) => (this.#settle = resolve));

  /** @param appId the runtime's own app */
  constructor(
    readonly asked: Asked,
    private readonly appId: string,
  ) {}

  /** What was read last, in order; undefined if it never was. */
  get items(): readonly ConfigurationItem[] | undefined {
    return this.#items;
  }

  /** When `items` was known to be what is there, in milliseconds of `performance.now()`. */
  get currentAt(): number {
    return this.#currentAt;
  }

  get followed(): boolean {
    return this.#followers.size > 0;
  }

  add(follower: Follower): void {
    this.#followers.add(follower);
    if (this.#tried && this.#items === undefined) this.#late.add(follower);
  }

  remove(follower: Follower): void {
    this.#followers.delete(follower);
    this.#late.delete(follower);
  }

  /** Uses this store from now on. @param store undefined: there is none that is ready */
  attach(store: ConfigurationStore | undefined): void {
    if (store === undefined) this.#triedOnce();
    if (this.#closed || store === this.#store) return;
    this.#watch?.close();
    this.#watch = undefined;
    this.#store = store;
    if (store === undefined) return;
    this.#watch = store.watch(queryFor(store, this.asked, this.appId), () => {
      if (this.#store === store) this.#changed();
    });
    this.#changed();
  }

  /** The store has proven that it would have told of every change before this moment. */
  confirmed(at: number): void {
    if (this.#dirty || this.#reading || this.#items === undefined) return;
    this.#currentAt = Math.max(this.#currentAt, at);
  }

  end(reason: string): void {
    for (const follower of [...this.#followers]) follower.ended(reason);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#watch?.close();
    this.#triedOnce();
  }

  #changed(): void {
    this.#dirty = true;
    this.#pause = FIRST_PAUSE_MS;
    if (!this.#reading) void this.#read();
  }

  /** Reads until nothing has changed during a read; never throws. */
  async #read(): Promise<void> {
    clearTimeout(this.#retry);
    this.#reading = true;
    try {
      while (this.#dirty && !this.#closed && this.#store !== undefined) {
        const rest = this.#notBefore - performance.now();
        if (rest > 1) await this.#sleep(rest);
        else await this.#readOnce(this.#store);
      }
    } finally {
      this.#reading = false;
    }
  }

  async #readOnce(store: ConfigurationStore): Promise<void> {
    this.#dirty = false;
    const at = performance.now();
    try {
      const items = inOrder(await store.get(queryFor(store, this.asked, this.appId)));
      if (this.#closed || this.#store !== store) return;
      this.#pause = FIRST_PAUSE_MS;
      const now = performance.now();
      this.#notBefore = now + Math.min(REST_PER_READ * (now - at), LONGEST_REST_MS);
      this.#take(items, at);
    } catch (error) {
      if (this.#closed || this.#store !== store) return;
      this.#dirty = true;
      if (error instanceof ConfigurationError && error.kind === 'invalid') {
        this.#store = undefined;
        this.end(reasonOf(error));
        return;
      }
      this.#triedOnce();
      await this.#pauseBefore();
    }
  }

  #take(items: readonly ConfigurationItem[], at: number): void {
    const before = this.#items;
    this.#items = items;
    this.#currentAt = at;
    const late = [...this.#late];
    this.#late.clear();
    const changes = before === undefined ? [] : differences(before, items);
    for (const follower of [...this.#followers]) {
      if (late.includes(follower))
        tell(
          follower,
          items.map((item) => ({ item, deleted: false })),
        );
      else tell(follower, changes);
      follower.read?.(this);
    }
    this.#triedOnce();
  }

  #triedOnce(): void {
    if (!this.#tried && this.#items === undefined)
      for (const follower of this.#followers) this.#late.add(follower);
    this.#tried = true;
    this.#settle();
  }

  #pauseBefore(): Promise<void> {
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    return this.#sleep(pause);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#retry = setTimeout(resolve, ms);
      this.#retry.unref();
    });
  }
}

function tell(follower: Follower, changes: readonly Change[]): void {
  if (changes.length > 0) follower.changed?.(changes);
}

/** What has to be told to somebody who knows `before`, so that he knows `now`. */
export function differences(
  before: readonly ConfigurationItem[],
  now: readonly ConfigurationItem[],
): Change[] {
  const known = new Map(before.map((item) => [idOf(item), item]));
  const changes: Change[] = [];
  for (const item of now) {
    const old = known.get(idOf(item));
    known.delete(idOf(item));
    if (old === undefined || !isSame(old, item)) changes.push({ item, deleted: false });
  }
  for (const item of known.values()) changes.push({ item, deleted: true });
  return changes;
}
