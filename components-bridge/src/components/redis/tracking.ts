import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import type { LinkEvents } from './link.js';

/** Where a server tells RESP2 connections of keys that have changed. */
const CHANNEL = '__redis__:invalidate';

/** Keys whose values, read before, may be out of date; `all`: any key's. */
export type Invalid = readonly string[] | 'all';

/** The events of a connection that tracks; none if it is not to. */
export function tracking(context: ComponentContext, track: boolean): Pick<LinkEvents, 'onInvalid' | 'log'> {
  if (!track) return {};
  return { onInvalid: (keys) => context.invalidate(keys), log: context.log };
}

/** What tracking needs of the connection that it tracks. */
export interface Tracked {
  readonly client: Redis;
  readonly isReady: boolean;
  /** `host:port` of the server at the other end; undefined without a connection. */
  readonly remote: string | undefined;
}

/**
 * Hears of changes of the keys that a connection has read (Redis's client-side caching, from Redis 6 on).
 *
 * The server tells by a connection of its own, so what it says of a key and the answers to reads of that key may
 * overtake each other. Therefore a key that changed while it was read is told of a second time, after the read; and
 * one that was read while nothing was tracked is told of as well. Nothing is told in the turn in which a read ends:
 * whoever waits for the read hears of its result first.
 */
export class Tracking {
  readonly #listener: Redis;
  /** What the listening connection is called by the server; undefined while it does not listen. */
  #listenerId: number | undefined;
  #listenerRemote: string | undefined;
  #on = false;
  #closed = false;
  #warned = false;
  /** Reads on their way, by key: how many, and whether the key has changed since the first of them. */
  readonly #reading = new Map<string, { count: number; changed: boolean }>();
  #pending: Set<string> | 'all' | undefined;

  constructor(
    options: RedisOptions,
    private readonly tracked: Tracked,
    private readonly tell: (keys: Invalid) => void,
    private readonly log: Logger,
  ) {
    this.#listener = new Redis({ ...options, autoResubscribe: false });
    // The reason shows in `close`, and the tracked connection has the same.
    this.#listener.on('error', () => undefined);
    this.#listener.on('ready', () => void this.#listen());
    this.#listener.on('close', () => this.#lost());
    this.#listener.on('messageBuffer', (_channel: Buffer, message: unknown) => this.#heard(message));
    this.#listener.connect().catch(() => undefined);
  }

  /** Listens at the server at this address from now on. */
  moveTo(remote: string): void {
    if (this.#listenerRemote !== remote) this.#listener.disconnect(true);
  }

  /** Call it when the tracked connection is ready, before anything else is sent on it. */
  begin(): void {
    this.#on = false;
    this.#allChanged();
    const id = this.#listenerId;
    if (this.#closed || id === undefined || !this.tracked.isReady) return;
    // Behind a name there may be two servers, one after the other: an id means something at its own server only.
    if (this.tracked.remote === undefined || this.tracked.remote !== this.#listenerRemote) return;
    // What is sent from here on comes after this command, and so is tracked.
    this.#on = true;
    this.tracked.client.client('TRACKING', 'ON', 'REDIRECT', id).catch((error: unknown) => {
      this.#on = false;
      this.#allChanged();
      if (this.#warned || this.#closed) return;
      this.#warned = true;
      this.log.warn(
        { reason: reasonOf(error) },
        'the server does not tell of changes: nothing is kept in Envoy',
      );
    });
  }

  /** Call it when the tracked connection is lost. */
  end(): void {
    this.#on = false;
    this.#allChanged();
  }

  /** Performs a read of a key, which is sent before this returns. */
  async read<Result>(key: string, perform: () => Promise<Result>): Promise<Result> {
    const reading = this.#reading.get(key) ?? { count: 0, changed: false };
    this.#reading.set(key, reading);
    reading.count++;
    if (!this.#on) reading.changed = true;
    try {
      return await perform();
    } finally {
      reading.count--;
      if (reading.changed || !this.#on) this.#changed(key);
      if (reading.count === 0) this.#reading.delete(key);
    }
  }

  close(): void {
    this.#closed = true;
    this.#listener.disconnect();
  }

  async #listen(): Promise<void> {
    try {
      const id = await this.#listener.client('ID');
      await this.#listener.subscribe(CHANNEL);
      this.#listenerId = id;
      this.#listenerRemote = remoteOf(this.#listener);
    } catch {
      // It was lost again; `ready` comes again.
      return;
    }
    this.begin();
  }

  #lost(): void {
    this.#listenerId = undefined;
    this.#on = false;
    if (this.#closed) return;
    this.#allChanged();
    // The server would go on remembering what was read, for nobody.
    if (this.tracked.isReady) this.tracked.client.client('TRACKING', 'OFF').catch(() => undefined);
  }

  /** @param message keys, or null when the server has forgotten all of them (FLUSHALL) */
  #heard(message: unknown): void {
    if (Array.isArray(message)) for (const key of message) this.#changed(String(key));
    else this.#allChanged();
  }

  #changed(key: string): void {
    const reading = this.#reading.get(key);
    if (reading !== undefined) reading.changed = true;
    this.#plan();
    if (this.#pending === 'all') return;
    this.#pending ??= new Set<string>();
    this.#pending.add(key);
  }

  #allChanged(): void {
    for (const reading of this.#reading.values()) reading.changed = true;
    this.#plan();
    this.#pending = 'all';
  }

  #plan(): void {
    if (this.#pending === undefined) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined || this.#closed) return;
    this.tell(pending === 'all' ? 'all' : [...pending]);
  }
}

/** `host:port` of the server that a client is connected to. */
export function remoteOf(client: Redis): string | undefined {
  const { stream } = client as unknown as { stream?: { remoteAddress?: string; remotePort?: number } };
  return stream?.remoteAddress === undefined ? undefined : `${stream.remoteAddress}:${stream.remotePort}`;
}
