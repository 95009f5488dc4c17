import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { ConfigClient } from './config-client.js';
import type { Release } from './config-client.js';
import type { DiskCache } from './disk-cache.js';
import { ApolloUnavailable } from './http.js';

/** Pause before Apollo is asked again after it did not answer: doubled each time, with jitter. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 500;
/** Least time between two questions for changes: a server that answers all the time is not asked all the time. */
const BREATH_MS = 50;
/** Most namespaces whose last release is kept in memory, beside those that are watched. */
const MOST_KEPT = 100;

/** What a namespace holds. */
export interface Contents {
  configurations: Readonly<Record<string, string>>;
  /** Apollo is away, and this is what it said before. */
  stale: boolean;
}

/** What is followed of a namespace. */
interface Followed {
  /** The id of the last change that was heard of. */
  id: number;
  /** What it held when its listeners were called last. */
  told: string | undefined;
  /** Listeners that were not called yet. */
  fresh: boolean;
  readonly listeners: Set<() => void>;
}

/**
 * The namespaces of an app: read from Apollo each time, which says in a few bytes that nothing has changed, and
 * followed by a question that Apollo holds until something changes.
 *
 * While Apollo is away it is looked for in the background; what was read before is served then, if it may be.
 */
export class Namespaces {
  readonly #kept = new Map<string, Release | undefined>();
  readonly #followed = new Map<string, Followed>();
  #away: string | undefined;
  #missed = false;
  #opened = false;
  #closed = false;
  #confirming: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  readonly #polling: Promise<void>;

  /**
   * @param always namespaces that are followed whether or not anybody watches them
   * @param cache what is served while Apollo is away; undefined: nothing is
   */
  private constructor(
    private readonly client: ConfigClient,
    always: readonly string[],
    private readonly cache: DiskCache | undefined,
    private readonly context: ComponentContext,
  ) {
    for (const name of always) this.#follow(name);
    // Once this has returned, so that what it finds out can be reported.
    this.#polling = new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#poll());
  }

  /** @throws ApolloUnavailable or ApolloRefused if Apollo cannot be read, and nothing that was read before can be served */
  static async open(
    client: ConfigClient,
    always: readonly string[],
    cache: DiskCache | undefined,
    context: ComponentContext,
  ): Promise<Namespaces> {
    const releases = new Map<string, Release | undefined>();
    let away: unknown;
    try {
      for (const name of always) releases.set(name, await client.load(name, undefined));
    } catch (error) {
      if (cache === undefined || !(error instanceof ApolloUnavailable)) throw error;
      const kept = await Promise.all(always.map(async (name) => [name, await cache.read(name)] as const));
      if (kept.every(([, release]) => release === undefined)) throw error;
      for (const [name, release] of kept) releases.set(name, release);
      away = error;
    }
    const namespaces = new Namespaces(client, always, cache, context);
    for (const [name, release] of releases) {
      namespaces.#kept.set(name, release);
      if (away === undefined) cache?.write(name, release);
    }
    setImmediate(() => {
      namespaces.#opened = true;
      if (away !== undefined) namespaces.#lost(reasonOf(away));
    });
    return namespaces;
  }

  /**
   * What a namespace holds now; undefined if there is none, or nothing was released in it.
   *
   * @throws ApolloUnavailable or ApolloRefused
   */
  async read(name: string): Promise<Contents | undefined> {
    if (this.#away === undefined) {
      try {
        const release = await this.#load(name);
        return release && { configurations: release.configurations, stale: false };
      } catch (error) {
        if (!(error instanceof ApolloUnavailable)) throw error;
        this.#lost(reasonOf(error));
      }
    }
    const kept = this.cache && (this.#kept.get(name) ?? (await this.cache.read(name)));
    if (kept !== undefined) return { configurations: kept.configurations, stale: true };
    // That there is nothing was said before, too.
    if (this.cache !== undefined && this.#kept.has(name)) return undefined;
    throw new ApolloUnavailable(this.#away ?? 'Apollo is away');
  }

  /** Calls when a namespace may have changed, until the returned function is called. */
  watch(names: readonly string[], changed: () => void): () => void {
    for (const name of names) {
      const followed = this.#follow(name);
      followed.listeners.add(changed);
      followed.fresh = true;
    }
    this.#wake();
    return () => {
      for (const name of names) this.#followed.get(name)?.listeners.delete(changed);
    };
  }

  /** Reads what is watched, and calls listeners of what changed. @throws ApolloUnavailable or ApolloRefused */
  confirm(): Promise<void> {
    this.#confirming ??= this.#confirm().finally(() => (this.#confirming = undefined));
    return this.#confirming;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#polling;
    await this.cache?.close();
  }

  #follow(name: string): Followed {
    let followed = this.#followed.get(name);
    if (followed === undefined) {
      followed = { id: -1, told: undefined, fresh: false, listeners: new Set() };
      this.#followed.set(name, followed);
    }
    return followed;
  }

  async #load(name: string): Promise<Release | undefined> {
    const before = this.#kept.get(name);
    const release = await this.client.load(name, before);
    if (release !== before || !this.#kept.has(name)) {
      this.#kept.delete(name);
      this.#kept.set(name, release);
      this.cache?.write(name, release);
      const [oldest] = [...this.#kept.keys()].filter((one) => !this.#followed.has(one));
      if (this.#kept.size > MOST_KEPT + this.#followed.size && oldest !== undefined)
        this.#kept.delete(oldest);
    }
    return release;
  }

  async #confirm(): Promise<void> {
    if (this.#away !== undefined) throw new ApolloUnavailable(this.#away);
    await this.#refresh((followed) => followed.listeners.size > 0);
  }

  /** Reads some of what is followed, and calls the listeners of what changed or was not told yet. */
  async #refresh(which: (followed: Followed) => boolean, all = false): Promise<void> {
    const names = [...this.#followed].filter(([, followed]) => which(followed));
    await Promise.all(
      names.map(async ([name, followed]) => {
        const key = (await this.#load(name))?.releaseKey;
        if (!all && !followed.fresh && followed.told === key) return;
        followed.told = key;
        followed.fresh = false;
        for (const listener of [...followed.listeners]) listener();
      }),
    );
  }

  /** Asks for changes until it is closed. Never throws. */
  async #poll(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#closed) {
      const stop = new AbortController();
      this.#wake = () => stop.abort();
      try {
        // What changed meanwhile is told before the next change is waited for.
        await this.#refresh((followed) => this.#missed || followed.fresh, this.#missed);
        this.#back();
        pause = FIRST_PAUSE_MS;
        if (stop.signal.aborted) continue;
        const changed = await this.client.poll(this.#asked(), stop.signal);
        for (const { namespaceName, notificationId } of changed) this.#changed(namespaceName, notificationId);
        await this.#sleep(BREATH_MS);
      } catch (error) {
        if (stop.signal.aborted) continue;
        this.#lost(reasonOf(error));
        await this.#sleep(pause * (0.75 + Math.random() / 2));
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      }
    }
  }

  #asked(): Map<string, number> {
    const asked = new Map<string, number>();
    for (const [name, { id }] of this.#followed) {
      // What does not fit is told by `confirm` alone.
      if (ConfigClient.hasRoom(asked)) asked.set(name, id);
    }
    return asked;
  }

  /** Apollo cuts `.properties` off. */
  #changed(name: string, id: number): void {
    const followed = this.#followed.get(name) ?? this.#followed.get(`${name}.properties`);
    if (followed === undefined) return;
    followed.id = id;
    followed.fresh = true;
  }

  #lost(reason: string): void {
    this.#missed = true;
    if (!this.#opened || this.#closed || this.#away === reason) return;
    const first = this.#away === undefined;
    this.#away = reason;
    if (this.cache === undefined) return this.context.report('down', reason);
    if (first) this.context.log.warn({ reason }, 'Apollo is away; what was read before is served');
    this.context.report('ready', `Apollo is away, what was read before is served: ${reason}`);
  }

  #back(): void {
    this.#missed = false;
    if (this.#away === undefined) return;
    this.#away = undefined;
    this.context.report('ready');
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      const before = this.#wake;
      this.#wake = () => {
        before();
        clearTimeout(timer);
        resolve();
      };
      if (this.#closed) this.#wake();
    });
  }
}
