import { isIP } from 'node:net';

import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import type { RedisConnectionMetadata } from './metadata.js';

const DIAL_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 3_000;
/** Pause before reconnecting: the first, and by default the longest. It doubles with each try. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** What ioredis keeps private and a corked connection needs: the socket it writes to. */
interface WithStream {
  stream?: { cork(): void; uncork(): void };
}

/**
 * One connection to a Redis, on which commands that come together leave in one write.
 *
 * Commands are never queued while there is no connection and never repeated: they fail at once, and the connection
 * comes back in the background.
 */
export class RedisConnection {
  #corked = false;
  #lastError: string | undefined;

  private constructor(
    private readonly redis: Redis,
    readonly address: string,
  ) {
    redis.on('error', (error) => (this.#lastError = reasonOf(error)));
  }

  /**
   * Connects.
   *
   * @throws Error naming the address and what happened; then nothing is left open
   */
  static async open(metadata: RedisConnectionMetadata, context: ComponentContext): Promise<RedisConnection> {
    const { host, port } = metadata.redisHost;
    const connection = new RedisConnection(new Redis(optionsOf(metadata)), `${host}:${port}`);
    const { redis } = connection;
    try {
      await redis.connect();
    } catch (error) {
      redis.disconnect();
      throw new Error(`${connection.address}: ${connection.#lastError ?? reasonOf(error)}`, { cause: error });
    }
    redis.on('ready', () => context.report('ready'));
    redis.on('close', () => context.report('down', connection.lostReason));
    // The reason of a failed try to reconnect arrives before its close event; keep the latest.
    redis.on('connect', () => (connection.#lastError = undefined));
    return connection;
  }

  /** Why there is no connection, for people. */
  get lostReason(): string {
    return `${this.address}: ${this.#lastError ?? 'the connection was lost'}`;
  }

  /**
   * The client, for one command: what is sent while the event loop handles what came in leaves in one write, once
   * it has. A turn is too short for that: each frame of a session is a turn of its own, so that every command would
   * leave alone (decision 12 has the measurement).
   */
  get client(): Redis {
    if (!this.#corked) {
      const { stream } = this.redis as unknown as WithStream;
      if (stream !== undefined) {
        this.#corked = true;
        stream.cork();
        setImmediate(() => {
          this.#corked = false;
          stream.uncork();
        });
      }
    }
    return this.redis;
  }

  /** Adds the scripts as commands. */
  define(scripts: Readonly<Record<string, { lua: string; numberOfKeys?: number }>>): void {
    for (const [name, script] of Object.entries(scripts)) this.redis.defineCommand(name, script);
  }

  close(): void {
    this.redis.disconnect();
  }
}

function optionsOf(metadata: RedisConnectionMetadata): RedisOptions {
  const { host, port } = metadata.redisHost;
  const longestPause = metadata.maxRetryBackoff ?? metadata.redisMaxRetryInterval ?? LONGEST_PAUSE_MS;
  const options: RedisOptions = {
    host,
    port,
    db: metadata.redisDB ?? metadata.db ?? 0,
    // RESP2 is enough, and every Redis speaks it.
    protocol: 2,
    disableClientInfo: true,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // With 0, what was in flight on a lost connection fails when it is lost, not when it is back.
    maxRetriesPerRequest: 0,
    // A server that does not close its side is not waited for.
    disconnectTimeout: 200,
    connectTimeout: metadata.dialTimeout ?? DIAL_TIMEOUT_MS,
    socketTimeout: metadata.readTimeout ?? READ_TIMEOUT_MS,
    retryStrategy: (times) => {
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(times - 1, 16), Math.max(longestPause, 1));
      return Math.ceil(pause * (0.75 + Math.random() / 2));
    },
  };
  if (metadata.redisUsername) options.username = metadata.redisUsername;
  if (metadata.redisPassword) options.password = metadata.redisPassword;
  // TLS names a server by name only; certificates for addresses are checked without.
  if (metadata.enableTLS === true) options.tls = isIP(host) === 0 ? { servername: host } : {};
  return options;
}
