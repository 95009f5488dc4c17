import { Code, OperationError } from '../errors.js';
import type { ComponentRegistry } from '../registry.js';
import { canonical } from './query.js';
import type { Asked } from './query.js';
import type { ConfigurationStore } from './store.js';
import { WatchedQuery } from './watched-query.js';
import type { Follower } from './watched-query.js';

const PRIMITIVE = 'configuration';

/** How long a store may take to prove that its watches hear. */
const CONFIRM_WITHIN_MS = 2_000;

/** What all watched queries may say together, in characters, and what each takes beside. */
const MOST_CHARACTERS = 32 * 1024 * 1024;
const OVERHEAD = 512;

export interface WatchesOptions {
  registry: ComponentRegistry;
  /** The app that the runtime serves. */
  appId: string;
}

/** A follower's place at a query. */
export interface Following {
  readonly query: WatchedQuery;
  close(): void;
}

/** Every configuration query that somebody follows, by store: one watch for all who follow the same. */
export class Watches {
  readonly #stores = new Map<string, Map<string, WatchedQuery>>();
  readonly #unsubscribe: () => void;
  #characters = 0;

  constructor(private readonly options: WatchesOptions) {
    this.#unsubscribe = options.registry.onChange((primitive, name) => {
      if (primitive === PRIMITIVE) this.#storeChanged(name);
    });
  }

  /** How many queries are watched. */
  get size(): number {
    let size = 0;
    for (const queries of this.#stores.values()) size += queries.size;
    return size;
  }

  /**
   * @param store name of a configured store, ready or not
   * @throws OperationError if there is no room for another query
   */
  follow(store: string, asked: Asked, follower: Follower): Following {
    let queries = this.#stores.get(store);
    if (queries === undefined) this.#stores.set(store, (queries = new Map<string, WatchedQuery>()));
    const id = canonical(asked);
    let query = queries.get(id);
    if (query === undefined) {
      const size = id.length + OVERHEAD;
      if (this.#characters + size > MOST_CHARACTERS) {
        const message = 'too many keys are watched already; end other subscriptions';
        throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
      }
      this.#characters += size;
      query = new WatchedQuery(asked, this.options.appId);
      queries.set(id, query);
      query.add(follower);
      query.attach(this.#storeOf(store));
    } else query.add(follower);
    const watched = query;
    return { query: watched, close: () => this.#leave(store, id, watched, follower) };
  }

  /**
   * Asks a store to prove that its watches hear.
   *
   * @returns false if it cannot
   */
  async confirm(store: string): Promise<boolean> {
    const instance = this.#storeOf(store);
    if (instance === undefined) return false;
    const at = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), CONFIRM_WITHIN_MS);
    });
    const proof = instance.confirm().then(
      () => true,
      () => false,
    );
    const proven = await Promise.race([proof, limit]);
    clearTimeout(timer);
    // Another one may have taken its place, which knows nothing of the time before.
    if (!proven || this.#storeOf(store) !== instance) return false;
    for (const query of this.#stores.get(store)?.values() ?? []) query.confirmed(at);
    return true;
  }

  close(): void {
    this.#unsubscribe();
    for (const queries of this.#stores.values()) for (const query of queries.values()) query.close();
    this.#stores.clear();
  }

  #leave(store: string, id: string, query: WatchedQuery, follower: Follower): void {
    query.remove(follower);
    if (query.followed) return;
    query.close();
    const queries = this.#stores.get(store);
    if (queries?.get(id) !== query) return;
    this.#characters -= id.length + OVERHEAD;
    queries.delete(id);
    if (queries.size === 0) this.#stores.delete(store);
  }

  #storeOf(name: string): ConfigurationStore | undefined {
    return this.options.registry.find(PRIMITIVE, name)?.instance as ConfigurationStore | undefined;
  }

  #storeChanged(name: string): void {
    const queries = [...(this.#stores.get(name)?.values() ?? [])];
    const slot = this.options.registry.find(PRIMITIVE, name);
    for (const query of queries) {
      if (slot === undefined) query.end(`configuration store ${name} is not configured any more`);
      // A store that is only away goes on watching by itself, and says so when it hears again.
      else if (slot.health().status !== 'down') query.attach(slot.instance as ConfigurationStore | undefined);
    }
  }
}
