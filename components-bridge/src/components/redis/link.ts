import type { Socket } from 'node:net';

import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

import { answerCode, connectionReason, failureOf, RedisUnavailable } from './failure.js';
import type { Endpoint } from './options.js';
import { remoteOf, Tracking } from './tracking.js';
import type { Invalid } from './tracking.js';

/** How long a connection is kept at least, however often its server says that it is a replica. */
const SETTLING_MS = 1_000;

/** What ioredis keeps private and a corked connection needs: the socket it writes to. */
interface WithStream {
  stream?: Socket;
}

/** Told of changes after the first connection. */
export interface LinkEvents {
  onReady?: () => void;
  onLost?: (reason: string) => void;
  /** Told of keys whose values, read before, may be out of date; without it the server is not asked for them. */
  onInvalid?: ((keys: Invalid) => void) | undefined;
  /** For what is worth a line, once. */
  log?: Logger;
}

/**
 * One connection to a Redis, on which commands that come together leave in one write.
 *
 * Commands are never queued while there is no connection and never repeated: they fail at once, and the connection
 * comes back in the background.
 */
export class RedisLink {
  readonly #redis: Redis;
  readonly #tls: boolean;
  #corked = false;
  #lastError: string | undefined;
  /** When the present connection became ready, on the clock of `performance`; undefined if it has not. */
  #readyAt: number | undefined;
  #firstTry: Promise<void> | undefined;
  readonly #tracking: Tracking | undefined;

  /** @param address what messages call the server */
  constructor(
    options: RedisOptions,
    readonly address: string,
    events: LinkEvents = {},
  ) {
    const redis = new Redis({ ...options, reconnectOnError: (error) => this.#isDemoted(error) });
    this.#redis = redis;
    this.#tls = options.tls !== undefined;
    redis.on('error', (error) => (this.#lastError = connectionReason(error, this.#tls)));
    redis.on('ready', () => {
      this.#readyAt = performance.now();
      this.#tracking?.begin();
      events.onReady?.();
    });
    redis.on('close', () => {
      this.#tracking?.end();
      events.onLost?.(this.lostReason);
    });
    // The reason of a failed try to reconnect arrives before its close event; keep the latest.
    redis.on('connect', () => {
      this.#lastError = undefined;
      this.#readyAt = undefined;
    });
    if (events.onInvalid !== undefined && events.log !== undefined)
      this.#tracking = new Tracking(options, this, events.onInvalid, events.log);
  }

  /** `host:port` of the server at the other end; undefined without a connection. */
  get remote(): string | undefined {
    return remoteOf(this.#redis);
  }

  /** Performs a read of a key, whose changes are told from then on, if they are to be told. */
  read<Result>(key: string, perform: () => Promise<Result>): Promise<Result> {
    return this.#tracking === undefined ? perform() : this.#tracking.read(key, perform);
  }

  /**
   * Connects; later calls return the same promise. After a failure it goes on trying, until `close`.
   *
   * @throws RedisUnavailable if the first try fails
   */
  connect(): Promise<void> {
    this.#firstTry ??= this.#connect();
    return this.#firstTry;
  }

  async #connect(): Promise<void> {
    try {
      // An error may come without an end: a database that is not there would be another one then.
      await Promise.race([
        this.#redis.connect(),
        new Promise((_, reject) => this.#redis.once('error', reject)),
      ]);
    } catch (error) {
      throw new RedisUnavailable(this.lostReason, { cause: error });
    }
  }

  get isReady(): boolean {
    return this.#redis.status === 'ready';
  }

  /** Why there is no connection, for people. */
  get lostReason(): string {
    const closed =
      this.#readyAt === undefined ? connectionReason(undefined, this.#tls) : 'the connection was lost';
    return `${this.address}: ${this.#lastError ?? closed}`;
  }

  /**
   * The client, for one command: what is sent while the event loop handles what came in leaves in one write, once
   * it has. A turn is too short for that: each frame of a session is a turn of its own, so that every command would
   * leave alone (decision 12 has the measurement).
   */
  get client(): Redis {
    if (!this.#corked) {
      const { stream } = this.#redis as unknown as WithStream;
      if (stream !== undefined) {
        this.#corked = true;
        stream.cork();
        setImmediate(() => {
          this.#corked = false;
          stream.uncork();
        });
      }
    }
    return this.#redis;
  }

  /** The same as `client`, to hand on. */
  readonly next = (): Redis => this.client;

  /** The client for one command that a node of a cluster must take although the key's slot is not its own yet. */
  readonly nextAsking = (): Redis => {
    const { client } = this;
    client.asking().catch(() => undefined);
    return client;
  };

  /** What a failed command means; see failureOf. */
  failure(error: unknown): unknown {
    return failureOf(error, this.address, () => this.lostReason);
  }

  /** Connects anew, unless the server that it has is at this address. */
  moveTo(address: Endpoint): void {
    const remote = `${address.host}:${address.port}`;
    this.#tracking?.moveTo(remote);
    if (this.remote !== remote && this.isReady) this.#redis.disconnect(true);
  }

  close(): void {
    this.#tracking?.close();
    this.#redis.disconnect();
  }

  /** Closes once what was sent is answered; the server ends the connection then. */
  retire(): void {
    this.#tracking?.close();
    if (this.isReady) this.#redis.quit().catch(() => this.close());
    else this.close();
  }

  /** A primary that became a replica: whoever leads to it may lead elsewhere by now. */
  #isDemoted(error: Error): boolean {
    return answerCode(error) === 'READONLY' && performance.now() - (this.#readyAt ?? Infinity) > SETTLING_MS;
  }
}
