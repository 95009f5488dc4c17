import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { RedisCluster } from './cluster.js';
import type { RedisLink } from './link.js';
import type { RedisConnectionMetadata } from './metadata.js';
import { RedisNode } from './node.js';
import type { Command } from './node.js';
import { serverOptions, settingsOf } from './options.js';
import type { Endpoint, RedisSettings } from './options.js';
import { primaryOptions } from './primary-connector.js';
import { PrimaryWatch } from './primary-watch.js';
import { tracking } from './tracking.js';

/** A Redis of whatever topology, as primitives use it. */
export interface RedisConnection {
  /**
   * Performs an operation on the server that has the key.
   *
   * @throws RedisUnavailable, or what the server answered
   */
  run<Result>(key: string, command: Command<Result>): Promise<Result>;
  /** The same for a read of the key: if changes are tracked, the component's context hears of the key's next one. */
  read<Result>(key: string, command: Command<Result>): Promise<Result>;
  /**
   * The same for a write that its replicas must have before it counts.
   *
   * @param wrote whether a result means that something was written; else nothing is waited for
   * @throws also RedisUnconfirmed
   */
  runStrong<Result>(
    key: string,
    command: Command<Result>,
    wrote: (result: Result) => boolean,
  ): Promise<Result>;
  /** Whether one operation may use all of these keys. */
  together(keys: readonly string[]): boolean;
  /**
   * A connection of its own to the server that has the key now, for commands that wait there. Not connected yet.
   *
   * @param waitMs how long such a command waits at most
   * @throws RedisUnavailable if no server has the key
   */
  apart(key: string, waitMs: number): RedisLink;
  /** `host:port` of the server that has the key now; undefined without a connection to it. */
  remote(key: string): string | undefined;
  /** Asks for a sign of life, of a cluster every node that has slots. @throws RedisUnavailable if nothing is served */
  ping(): Promise<void>;
  close(): void;
}

/**
 * Connects.
 *
 * @param track whether the context hears of keys that change after they were read
 * @throws Error naming the address and what happened; then nothing is left open
 */
export async function openConnection(
  metadata: RedisConnectionMetadata,
  context: ComponentContext,
  track = false,
): Promise<RedisConnection> {
  const settings = await settingsOf(metadata);
  if (settings.topology === 'cluster') return RedisCluster.open(settings, context, track);
  return SingleConnection.open(settings, context, track);
}

/** The first address that was configured, as traces show it. */
export function placeOf({ redisHost, redisHosts }: RedisConnectionMetadata): BackendPlace {
  const [{ host, port } = {}] = redisHost ?? redisHosts ?? [];
  return {
    system: 'redis',
    ...(host === undefined ? {} : { address: host }),
    ...(port === undefined ? {} : { port }),
  };
}

/** One server, or the primary that Sentinels name. */
class SingleConnection implements RedisConnection {
  readonly #node: RedisNode;
  #opened = false;
  #watch: PrimaryWatch | undefined;

  private constructor(settings: RedisSettings, context: ComponentContext, track: boolean) {
    const [endpoint] = settings.endpoints as [Endpoint];
    const options =
      settings.topology === 'sentinel' ? primaryOptions(settings) : serverOptions(settings, endpoint);
    this.#node = new RedisNode(addressOf(settings), options, settings, {
      onReady: () => this.#opened && context.report('ready'),
      onLost: (reason) => this.#opened && context.report('down', reason),
      ...tracking(context, track),
    });
  }

  static async open(
    settings: RedisSettings,
    context: ComponentContext,
    track: boolean,
  ): Promise<SingleConnection> {
    const connection = new SingleConnection(settings, context, track);
    try {
      await connection.#node.connect();
    } catch (error) {
      connection.close();
      throw error;
    }
    connection.#opened = true;
    if (settings.topology === 'sentinel')
      connection.#watch = new PrimaryWatch(settings, (primary) => connection.#node.moveTo(primary));
    return connection;
  }

  run<Result>(_key: string, command: Command<Result>): Promise<Result> {
    return this.#node.run(command);
  }

  read<Result>(key: string, command: Command<Result>): Promise<Result> {
    return this.#node.read(key, command);
  }

  runStrong<Result>(
    _key: string,
    command: Command<Result>,
    wrote: (result: Result) => boolean,
  ): Promise<Result> {
    return this.#node.runStrong(command, wrote);
  }

  together(): boolean {
    return true;
  }

  apart(_key: string, waitMs: number): RedisLink {
    return this.#node.apart(waitMs);
  }

  remote(): string | undefined {
    return this.#node.remote;
  }

  ping(): Promise<void> {
    return this.#node.ping();
  }

  close(): void {
    this.#watch?.close();
    this.#node.close();
  }
}

function addressOf({ topology, endpoints, primaryName }: RedisSettings): string {
  const addresses = endpoints.map(({ host, port }) => `${host}:${port}`).join(', ');
  return topology === 'sentinel' ? `${primaryName} by Sentinel ${addresses}` : addresses;
}
