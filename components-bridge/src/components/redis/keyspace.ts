import { randomUUID } from 'node:crypto';

import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

import { reasonOf } from '../../primitives/errors.js';
import { escapeGlob } from './configuration-keys.js';
import type { RedisConnection } from './connection.js';
import { RedisUnavailable } from './failure.js';
import type { Endpoint } from './options.js';
import { remoteOf } from './tracking.js';

/**
 * Which events must be told: keyspace events (K) of strings ($), of deleting, renaming and the like (g), and of keys
 * that expired (x) or were evicted (e). Dapr sets the same.
 */
const WANTED = 'Kg$xe';

/** What `A` stands for among those. */
const ALL_CLASSES = 'g$xe';

/** How often the server is asked whether it still tells, in milliseconds. */
const HEARTBEAT_MS = 1_000;

/** Where changes are not told everything is looked at as often, and after so many times it is tried anew. */
const POLLS_PER_TRY = 30;

/** How long to wait for the connection for commands. */
const COMMANDS_AWAY_MS = 100;

/** How long it may take until a change is told, if changes are. */
const PROBE_MS = 1_000;

/** Whose changes are wanted: those of a key, or of every key that a glob pattern matches. */
export interface Topic {
  readonly name: string;
  readonly pattern: boolean;
}

/** Who wants to know. */
interface Subscriber {
  readonly topics: readonly Topic[];
  readonly changed: () => void;
}

type Mode =
  /** There is no connection, or it is not known yet whether changes are told on it. */
  | 'away'
  | 'told'
  /** The server does not tell: everything is looked at now and then. */
  | 'polling';

/**
 * Hears of changes of keys by keyspace notifications, on a connection of its own. They are off in a Redis as it comes,
 * so they are turned on, each time that it is connected to; where that is not allowed and they are off, it says now
 * and then that anything may have changed.
 */
export class KeyspaceListener {
  readonly #redis: Redis;
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  readonly #all = new Set<Subscriber>();
  readonly #heartbeat: NodeJS.Timeout;
  #mode: Mode = 'away';
  /** Counts connections: what was begun on an earlier one is over. */
  #connection = 0;
  #polls = 0;
  /** Subscriptions that the server has not confirmed yet. */
  readonly #beginning = new Set<Promise<void>>();
  /** Keys in the database at the last look. */
  #size = 0;
  #closed = false;
  #said = '';
  #probe: { channel: string; heard: () => void } | undefined;

  /**
   * @param commands where the same server takes commands
   * @param db number of the database
   */
  constructor(
    options: RedisOptions,
    private readonly commands: RedisConnection,
    private readonly db: number,
    private readonly log: Logger,
  ) {
    this.#redis = new Redis({ ...options, autoResubscribe: false });
    // The reason shows at the connection for commands, which has the same.
    this.#redis.on('error', () => undefined);
    this.#redis.on('ready', () => void this.#begin());
    this.#redis.on('close', () => (this.#mode = 'away'));
    this.#redis.on('message', (channel: string) => this.#heard(channel, false));
    this.#redis.on('pmessage', (pattern: string) => this.#heard(pattern, true));
    this.#redis.connect().catch(() => undefined);
    this.#heartbeat = setInterval(() => void this.#beat(), HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** @returns ends it */
  subscribe(topics: readonly Topic[], changed: () => void): () => void {
    const subscriber: Subscriber = { topics, changed };
    this.#all.add(subscriber);
    const fresh: string[] = [];
    for (const topic of topics) {
      const channel = this.#channelOf(topic);
      const others = this.#subscribers.get(channel);
      if (others !== undefined) others.add(subscriber);
      else {
        this.#subscribers.set(channel, new Set([subscriber]));
        fresh.push(channel);
      }
    }
    if (this.#mode === 'told') this.#listenLater(fresh, changed);
    return () => this.#leave(subscriber);
  }

  /** Resolves when every change that the server had taken has been told. @throws Error if changes are not heard */
  async confirm(): Promise<void> {
    if (this.#mode === 'polling') {
      this.#allChanged();
      return;
    }
    const connection = this.#connection;
    if (this.#mode === 'told') {
      await Promise.all([...this.#beginning, this.#redis.ping(), this.#checkSize()]);
    }
    if (this.#mode !== 'told' || connection !== this.#connection) {
      throw new Error('the connection on which changes are told is not there');
    }
  }

  /** Listens at the server at this address from now on. */
  moveTo({ host, port }: Endpoint): void {
    if (remoteOf(this.#redis) !== `${host}:${port}`) this.#redis.disconnect(true);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#redis.disconnect();
    this.#all.clear();
    this.#subscribers.clear();
  }

  /** A connection is there: makes the server tell, and says that anything may have changed meanwhile. */
  async #begin(): Promise<void> {
    const connection = ++this.#connection;
    let told: boolean;
    try {
      told = (await this.#turnOn()) || (await this.#isTold());
    } catch {
      // The connection for commands is not there yet.
      setTimeout(() => {
        if (connection === this.#connection && !this.#closed) void this.#begin();
      }, COMMANDS_AWAY_MS).unref();
      return;
    }
    if (connection !== this.#connection || this.#closed || this.#redis.status !== 'ready') return;
    if (!told) {
      this.#mode = 'polling';
      this.#polls = 0;
    } else if (await this.#listenTo([...this.#subscribers.keys()])) {
      if (connection !== this.#connection) return;
      // What was subscribed to meanwhile was not among them.
      this.#mode = 'told';
      await this.#listenTo([...this.#subscribers.keys()]);
      this.#say('hears of changes by keyspace notifications');
    } else return;
    this.#allChanged();
  }

  /**
   * Makes the server tell what is wanted, beside what it tells already.
   *
   * @returns false if it cannot be made to
   * @throws RedisUnavailable
   */
  async #turnOn(): Promise<boolean> {
    try {
      const answer = await this.commands.run('', (next) => next().config('GET', 'notify-keyspace-events'));
      const [, before = ''] = answer;
      const has = before.includes('A') ? before + ALL_CLASSES : before;
      const missing = [...WANTED].filter((flag) => !has.includes(flag));
      if (missing.length === 0) return true;
      await this.commands.run('', (next) =>
        next().config('SET', 'notify-keyspace-events', before + missing.join('')),
      );
      return true;
    } catch (error) {
      if (error instanceof RedisUnavailable) throw error;
      this.log.debug({ reason: reasonOf(error) }, 'keyspace notifications cannot be turned on');
      return false;
    }
  }

  /** Finds out by a key of its own whether changes are told. @throws RedisUnavailable */
  async #isTold(): Promise<boolean> {
    const key = `layotto||probe||${randomUUID()}`;
    const channel = this.#channelOf({ name: key, pattern: false });
    let timer: NodeJS.Timeout | undefined;
    const heard = new Promise<boolean>((resolve) => {
      this.#probe = { channel, heard: () => resolve(true) };
      timer = setTimeout(() => resolve(false), PROBE_MS);
    });
    try {
      await this.#redis.subscribe(channel.slice(2));
      await this.commands.run('', (next) => next().set(key, '', 'PX', PROBE_MS));
      const told = await heard;
      if (!told) this.#warn();
      return told;
    } catch (error) {
      if (error instanceof RedisUnavailable) throw error;
      this.#warn();
      return false;
    } finally {
      clearTimeout(timer);
      this.#probe = undefined;
      if (this.#redis.status === 'ready') this.#redis.unsubscribe(channel.slice(2)).catch(() => undefined);
    }
  }

  #warn(): void {
    this.#say(
      'the server does not tell of changes and does not let them be turned on: they are looked for every second; ' +
        `set notify-keyspace-events to ${WANTED}`,
    );
  }

  /** One line when it changes how changes are heard of. */
  #say(line: string): void {
    if (this.#said === line || this.#closed) return;
    this.#said = line;
    this.log.info(line);
  }

  /** @returns false if the connection was lost over it; then it comes again, and everything with it */
  async #listenTo(channels: readonly string[]): Promise<boolean> {
    const isPattern = (channel: string): boolean => channel.startsWith('p:');
    const names = (pattern: boolean): string[] =>
      channels.filter((channel) => isPattern(channel) === pattern).map((channel) => channel.slice(2));
    try {
      const [plain, patterns] = [names(false), names(true)];
      await Promise.all([
        plain.length > 0 ? this.#redis.subscribe(...plain) : undefined,
        patterns.length > 0 ? this.#redis.psubscribe(...patterns) : undefined,
      ]);
      return true;
    } catch {
      if (!this.#closed) this.#redis.disconnect(true);
      return false;
    }
  }

  /** What changed until the server has confirmed it, nobody has told. */
  #listenLater(channels: readonly string[], changed: () => void): void {
    const beginning = this.#listenTo(channels).then((done) => {
      this.#beginning.delete(beginning);
      if (done) changed();
    });
    this.#beginning.add(beginning);
  }

  /** The server does not tell of FLUSHALL and FLUSHDB: whenever there are fewer keys than before, it may have been one. */
  async #checkSize(): Promise<void> {
    const before = this.#size;
    this.#size = await this.commands.run('', (next) => next().dbsize()).catch(() => before);
    if (this.#size < before) this.#allChanged();
  }

  #leave(subscriber: Subscriber): void {
    if (!this.#all.delete(subscriber)) return;
    for (const topic of subscriber.topics) {
      const channel = this.#channelOf(topic);
      const others = this.#subscribers.get(channel);
      others?.delete(subscriber);
      if (others?.size !== 0) continue;
      this.#subscribers.delete(channel);
      if (this.#redis.status !== 'ready') continue;
      const name = channel.slice(2);
      const left = topic.pattern ? this.#redis.punsubscribe(name) : this.#redis.unsubscribe(name);
      left.catch(() => undefined);
    }
  }

  /** The channel of a topic, behind a mark that tells patterns from names. */
  #channelOf({ name, pattern }: Topic): string {
    const space = `__keyspace@${this.db}__:`;
    return pattern ? `p:${escapeGlob(space)}${name}` : `n:${space}${name}`;
  }

  #heard(name: string, pattern: boolean): void {
    const channel = `${pattern ? 'p:' : 'n:'}${name}`;
    if (channel === this.#probe?.channel) this.#probe.heard();
    for (const { changed } of [...(this.#subscribers.get(channel) ?? [])]) changed();
  }

  #allChanged(): void {
    for (const { changed } of [...this.#all]) changed();
  }

  async #beat(): Promise<void> {
    if (this.#mode === 'told') {
      // A server that does not answer is lost after the read timeout.
      this.#redis.ping().catch(() => undefined);
      if (this.#all.size > 0) await this.#checkSize();
      return;
    }
    if (this.#mode !== 'polling' || this.#all.size === 0) return;
    this.#allChanged();
    if (++this.#polls % POLLS_PER_TRY === 0) await this.#begin();
  }
}
