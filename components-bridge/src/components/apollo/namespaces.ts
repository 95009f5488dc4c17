import type { Logger } from 'pino';

import { ConfigurationError } from '../../primitives/configuration/store.js';
import { reasonOf } from '../../primitives/errors.js';
import { Pause } from '../../primitives/pause.js';
import type { Configuration, Notification } from './answers.js';
import type { ConfigClient } from './config-client.js';
import type { Disk } from './disk.js';
import { isAway } from './failure.js';
import { pauseMs } from './pause.js';

/** Namespaces in memory beside those that are watched. */
const MOST_OTHERS = 16;
/** Namespaces of which one request asks for changes: their names stand in its address. */
const MOST_POLLED = 64;
/** Apollo holds who waits for a minute: whoever answers sooner than this, with nothing new, is asked more slowly. */
const SOON_MS = 200;
/** Failures to wait for changes, one after the other, before it is said. */
const WARN_AT = 3;

export interface NamespacesOptions {
  client: ConfigClient;
  /** Where configurations are kept; undefined: nowhere, and nothing is served while Apollo is away. */
  disk: Disk | undefined;
  /** Always watched. */
  names: readonly string[];
  log: Logger;
  /** Told when Apollo is away and back; `serving` says whether reads are answered all the same. */
  onChange: (away: { reason: string; serving: boolean } | undefined) => void;
}

/** Entries of a namespace that has no release. */
const NOTHING: Configuration = { releaseKey: '', texts: new Map() };

interface Namespace {
  readonly name: string;
  /** As it was read last. */
  known: Configuration | undefined;
  /** The last message that was heard of. */
  seen: number;
  /** What the config service must know at least. */
  messages: string | undefined;
  running: Promise<Configuration> | undefined;
  next: Promise<Configuration> | undefined;
  readonly listeners: Set<() => void>;
}

/**
 * The namespaces of an app: each is read anew when it is asked for (Apollo answers in a word when nothing has
 * changed), and one request waits for changes of all that are watched. While Apollo is away they are answered as they
 * were, from memory or disk, and Apollo is looked for; when it is back everything is read again.
 */
export class Namespaces {
  readonly #namespaces = new Map<string, Namespace>();
  #away: { reason: string; refused: boolean } | undefined;
  #poll = new AbortController();
  #following: Promise<void> | undefined;
  readonly #pause = new Pause();
  #closed = false;
  #unsaved: string | undefined;

  constructor(private readonly options: NamespacesOptions) {}

  /**
   * Reads what is always watched, and begins to wait for changes.
   *
   * @throws Error if Apollo refuses, or is away and nothing was kept
   */
  async open(): Promise<void> {
    const { names, disk } = this.options;
    try {
      await this.#readAll();
      this.#warnOfNothing();
    } catch (error) {
      if (!isAway(error) || disk === undefined) throw error;
      const kept = await Promise.all(names.map((name) => this.#kept(this.#namespace(name))));
      if (!kept.some((one) => one !== undefined)) throw error;
      this.#setAway(error);
    }
    this.#following = this.#follow();
  }

  /** A namespace's entries, by key: as they are now, or as they were last while Apollo is away. @throws ConfigurationError */
  async read(name: string): Promise<ReadonlyMap<string, string>> {
    const namespace = this.#namespace(name);
    if (this.#away === undefined) {
      try {
        return (await this.#fresh(namespace)).texts;
      } catch (error) {
        this.#setAway(error);
      }
    }
    return this.#stale(namespace);
  }

  /** The same, but only as they are now. @throws ConfigurationError */
  async readNow(name: string): Promise<ReadonlyMap<string, string>> {
    try {
      return (await this.#fresh(this.#namespace(name))).texts;
    } catch (error) {
      throw configurationError(error);
    }
  }

  /** Calls `changed` after each change of these namespaces. Returns what ends that. */
  watch(names: readonly string[], changed: () => void): () => void {
    const namespaces = names.map((name) => this.#namespace(name));
    const before = this.#polled.length;
    for (const { listeners } of namespaces) listeners.add(changed);
    if (this.#polled.length !== before) this.#restart();
    return () => {
      for (const { listeners } of namespaces) listeners.delete(changed);
    };
  }

  /** Resolves when everything that is watched has been read again. @throws ConfigurationError */
  async confirm(): Promise<void> {
    try {
      await this.#readAll();
    } catch (error) {
      this.#setAway(error);
      throw configurationError(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#restart();
    this.#pause.end();
    await this.#following;
    await this.options.disk?.close();
  }

  get #watched(): Namespace[] {
    const { names } = this.options;
    const always = names.map((name) => this.#namespace(name));
    const others = [...this.#namespaces.values()].filter(({ listeners }) => listeners.size > 0);
    return [...new Set([...always, ...others])];
  }

  /** Those that changes are waited for; of more, `confirm` finds out. */
  get #polled(): Namespace[] {
    return this.#watched.slice(0, MOST_POLLED);
  }

  #namespace(name: string): Namespace {
    const found = this.#namespaces.get(name);
    if (found !== undefined) {
      // The one that was asked for last goes last.
      this.#namespaces.delete(name);
      this.#namespaces.set(name, found);
      return found;
    }
    this.#evict();
    const made: Namespace = {
      name,
      known: undefined,
      seen: -1,
      messages: undefined,
      running: undefined,
      next: undefined,
      listeners: new Set(),
    };
    this.#namespaces.set(name, made);
    return made;
  }

  #evict(): void {
    const { names } = this.options;
    const others = [...this.#namespaces.values()].filter(
      ({ name, listeners }) => listeners.size === 0 && !names.includes(name),
    );
    for (const { name } of others.slice(0, Math.max(0, others.length - MOST_OTHERS + 1)))
      this.#namespaces.delete(name);
  }

  /** Waits for changes until it is closed; never throws. */
  async #follow(): Promise<void> {
    let failures = 0;
    while (!this.#closed) {
      const failed = await this.#followOnce(failures > 0);
      failures = failed ? failures + 1 : 0;
      if (failures === WARN_AT && this.#away === undefined)
        this.options.log.warn('Apollo does not tell of changes; it is asked for them instead');
      if (failed && !this.#closed) await this.#pause.take(pauseMs(failures));
    }
  }

  /** @param again after something went wrong @returns whether something went wrong */
  async #followOnce(again: boolean): Promise<boolean> {
    try {
      if (again || this.#away !== undefined) {
        await this.#readAll();
        this.#setBack();
      }
    } catch (error) {
      this.#forgetSeen();
      this.#setAway(error);
      return true;
    }
    try {
      return !(await this.#wait());
    } catch {
      // Whether Apollo is away is found out by reading.
      this.#forgetSeen();
      return true;
    }
  }

  /** Where Apollo comes back, its count of messages may have begun anew. */
  #forgetSeen(): void {
    for (const namespace of this.#namespaces.values()) namespace.seen = -1;
  }

  /** @returns whether what was answered is worth asking again at once */
  async #wait(): Promise<boolean> {
    if (this.#poll.signal.aborted) this.#poll = new AbortController();
    const { signal } = this.#poll;
    const polled = this.#polled;
    const started = performance.now();
    let told: Notification[];
    try {
      told = await this.options.client.poll(new Map(polled.map(({ name, seen }) => [name, seen])), signal);
    } catch (error) {
      // It was ended to ask for more.
      if (signal.aborted) return true;
      throw error;
    }
    let news = false;
    for (const { namespaceName, notificationId, messages } of told) {
      const namespace = polled.find(({ name }) => plain(name) === plain(namespaceName));
      if (namespace === undefined || notificationId <= namespace.seen) continue;
      namespace.messages = messages;
      await this.#fresh(namespace);
      namespace.seen = notificationId;
      news = true;
      for (const changed of [...namespace.listeners]) changed();
    }
    return news || performance.now() - started > SOON_MS;
  }

  async #readAll(): Promise<void> {
    const results = await Promise.allSettled(this.#watched.map((namespace) => this.#fresh(namespace)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Reads anew, together with others who ask before the request leaves. @throws ApolloFailure */
  #fresh(namespace: Namespace): Promise<Configuration> {
    const start = (): Promise<Configuration> => {
      const running = this.#readOne(namespace).finally(() => (namespace.running = undefined));
      namespace.running = running;
      return running;
    };
    if (namespace.running === undefined) return start();
    // What is on its way may have left before the change that the caller wants to see.
    namespace.next ??= namespace.running
      .catch(() => undefined)
      .then(() => {
        namespace.next = undefined;
        // Never two at once: the answer of the earlier one could come last.
        return namespace.running ?? start();
      });
    return namespace.next;
  }

  async #readOne(namespace: Namespace): Promise<Configuration> {
    const { name, known, messages } = namespace;
    const result = await this.options.client.read(name, known?.releaseKey || undefined, messages);
    if (result === 'unchanged' && known !== undefined) return known;
    const found = typeof result === 'string' ? NOTHING : result;
    namespace.known = found;
    if (found.releaseKey !== known?.releaseKey) {
      this.#save(name, found);
      for (const changed of [...namespace.listeners]) changed();
    }
    return found;
  }

  /** As it was. @throws ConfigurationError */
  async #stale(namespace: Namespace): Promise<ReadonlyMap<string, string>> {
    const away = this.#away;
    // It came back meanwhile.
    if (away === undefined) return this.readNow(namespace.name);
    if (away.refused) throw new ConfigurationError('failed', away.reason);
    const kept = this.options.disk === undefined ? undefined : await this.#kept(namespace);
    if (kept !== undefined) return kept.texts;
    throw new ConfigurationError('unavailable', `namespace ${namespace.name} cannot be read: ${away.reason}`);
  }

  /** From memory or disk. */
  async #kept(namespace: Namespace): Promise<Configuration | undefined> {
    namespace.known ??= await this.options.disk?.load(namespace.name);
    return namespace.known;
  }

  #save(name: string, configuration: Configuration): void {
    this.options.disk?.save(name, configuration).then(
      () => (this.#unsaved = undefined),
      (error: unknown) => {
        const reason = reasonOf(error);
        if (reason !== this.#unsaved)
          this.options.log.warn({ reason }, 'configuration cannot be kept on disk for when Apollo is away');
        this.#unsaved = reason;
      },
    );
  }

  #setAway(error: unknown): void {
    if (this.#closed) return;
    const refused = !isAway(error);
    const reason = reasonOf(error);
    const before = this.#away;
    this.#away = { reason, refused };
    if (before?.reason === reason && before.refused === refused) return;
    const serving = !refused && this.options.disk !== undefined;
    if (before === undefined) {
      const what = serving
        ? 'Apollo is away: configuration is served as it was last'
        : 'Apollo cannot be read';
      this.options.log.warn({ reason }, what);
      // Whoever waits would not notice before long.
      this.#restart();
    }
    this.options.onChange({ reason, serving });
  }

  #setBack(): void {
    if (this.#away === undefined || this.#closed) return;
    this.#away = undefined;
    this.#forgetSeen();
    this.options.log.info('Apollo is back');
    this.options.onChange(undefined);
    // Whoever is told may read at once, which changes the order of namespaces.
    const listeners = [...this.#namespaces.values()].flatMap((namespace) => [...namespace.listeners]);
    for (const changed of new Set(listeners)) changed();
  }

  #warnOfNothing(): void {
    const { names, log } = this.options;
    if (names.some((name) => this.#namespace(name).known !== NOTHING)) return;
    log.warn({ namespaces: names }, 'Apollo has no release of these namespaces, or does not know the app');
  }

  #restart(): void {
    this.#poll.abort();
  }
}

/** The same for all spellings of a name. */
function plain(name: string): string {
  return name.toLowerCase().replace(/\.properties$/, '');
}

function configurationError(error: unknown): ConfigurationError {
  const kind = isAway(error) ? 'unavailable' : 'failed';
  return new ConfigurationError(kind, reasonOf(error), { cause: error });
}
