import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Redis } from 'ioredis';

import { valkeyServer } from '../../tools/get.mjs';
import { Child } from './child.js';
import { freePort } from './ports.js';
import { startStore } from './store-servers.js';
import type { StoreServer } from './store-servers.js';
import { eventually } from './wait.js';

const SENTINELS = 3;
/** After this long without an answer a server counts as dead. */
const DOWN_AFTER_MS = 500;

export interface SentinelOptions {
  replicas?: number;
  /** Password of the servers, and another one of the Sentinels. */
  passwords?: { servers: string; sentinels: string };
  /** What stands before each server and Sentinel, made of its port; they announce its port instead of their own. */
  front?: (port: number) => Promise<Front>;
}

/** What stands before a server. */
export interface Front {
  port: number;
  stop(): Promise<void>;
}

/** A server or a Sentinel, and the port that it announces. */
interface Member {
  server: StoreServer;
  announced: number;
}

/** A primary with replicas, and three Sentinels that watch over them. */
export class SentinelServers {
  /** What the Sentinels call the primary. */
  readonly name = 'main';

  /** The first is the primary at first. */
  readonly #servers: Member[] = [];
  readonly #sentinels: Member[] = [];
  readonly #fronts: Front[] = [];

  private constructor(
    private readonly dir: string,
    private readonly options: SentinelOptions,
  ) {}

  static async start(options: SentinelOptions = {}): Promise<SentinelServers> {
    const dir = await mkdtemp(join(tmpdir(), 'sentinel-'));
    const group = new SentinelServers(dir, options);
    try {
      await group.#startServers();
      await group.#startSentinels();
      await eventually('the Sentinels know everybody', () => group.#isComplete(), { timeoutMs: 20_000 });
    } catch (error) {
      await group.stop();
      throw error;
    }
    return group;
  }

  /** `host:port` of every Sentinel, separated by commas. */
  get addresses(): string {
    return this.#sentinels.map(({ announced }) => `127.0.0.1:${announced}`).join(',');
  }

  /** Metadata of a component that uses them. */
  get metadata(): Record<string, string> {
    const { passwords } = this.options;
    return {
      failover: 'true',
      redisHost: this.addresses,
      sentinelMasterName: this.name,
      ...(passwords && { redisPassword: passwords.servers, sentinelPassword: passwords.sentinels }),
    };
  }

  /** The server that the Sentinels call the primary. */
  async primary(): Promise<StoreServer> {
    const [, port] = (await this.askSentinel('GET-MASTER-ADDR-BY-NAME', this.name)) as [string, string];
    const member = this.#servers.find(({ announced }) => announced === Number(port));
    if (member === undefined) throw new Error(`no server announces ${port}`);
    return member.server;
  }

  /** Sends a SENTINEL command to the first of them. */
  askSentinel(...command: string[]): Promise<unknown> {
    const [first] = this.#sentinels;
    return this.#ask(first?.server.port ?? 0, this.options.passwords?.sentinels, (redis) => {
      return redis.call('SENTINEL', ...command);
    });
  }

  /** Sends a command to a server. */
  askServer<Result>(server: StoreServer, command: (redis: Redis) => Promise<Result>): Promise<Result> {
    return this.#ask(server.port, this.options.passwords?.servers, command);
  }

  /** Until all servers but the primary are its replicas. */
  async settled(): Promise<void> {
    const wanted = this.#servers.length - 1;
    await eventually(
      `${wanted} replicas`,
      async () => {
        const info = await this.askServer(await this.primary(), (redis) => redis.info('replication'));
        return (info.match(/state=online/g)?.length ?? 0) === wanted;
      },
      { timeoutMs: 30_000, everyMs: 100 },
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#fronts.map((front) => front.stop()));
    await Promise.all([...this.#sentinels, ...this.#servers].map(({ server }) => server.stop()));
    await rm(this.dir, { recursive: true, force: true });
  }

  async #startServers(): Promise<void> {
    const { replicas = 2, passwords } = this.options;
    for (let count = 0; count <= replicas; count++) {
      const port = await freePort();
      const announced = await this.#announced(port);
      const [primary] = this.#servers;
      const args = [
        // Replicas are filled at once, not when others may have come.
        ...['--repl-diskless-sync-delay', '0', '--replica-announce-port', String(announced)],
        ...(passwords ? ['--requirepass', passwords.servers, '--masterauth', passwords.servers] : []),
        ...(primary ? ['--replicaof', '127.0.0.1', String(primary.announced)] : []),
      ];
      this.#servers.push({ server: await startStore('valkey', args, port), announced });
    }
  }

  async #startSentinels(): Promise<void> {
    const { path } = await valkeyServer({ log: () => undefined });
    const { passwords } = this.options;
    for (let index = 0; index < SENTINELS; index++) {
      const port = await freePort();
      const announced = await this.#announced(port);
      const file = join(this.dir, `${index}.conf`);
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${this.dir}`,
        'sentinel announce-ip 127.0.0.1',
        `sentinel announce-port ${announced}`,
        `sentinel monitor ${this.name} 127.0.0.1 ${this.#servers[0]?.announced} 2`,
        `sentinel down-after-milliseconds ${this.name} ${DOWN_AFTER_MS}`,
        `sentinel failover-timeout ${this.name} 3000`,
      ];
      if (passwords) {
        lines.push(`sentinel auth-pass ${this.name} ${passwords.servers}`);
        lines.push(`requirepass ${passwords.sentinels}`, `sentinel sentinel-pass ${passwords.sentinels}`);
      }
      await writeFile(file, lines.join('\n'));
      const process = new Child(`sentinel ${index}`, path, [file, '--sentinel']);
      const stop = async (): Promise<void> => {
        process.signal('SIGKILL');
        await process.exited;
      };
      this.#sentinels.push({ server: { port, process, stop }, announced });
    }
  }

  async #announced(port: number): Promise<number> {
    const front = await this.options.front?.(port);
    if (front === undefined) return port;
    this.#fronts.push(front);
    return front.port;
  }

  async #isComplete(): Promise<boolean> {
    const { passwords } = this.options;
    const wanted =
      `status=ok,address=127.0.0.1:${this.#servers[0]?.announced},` +
      `slaves=${this.#servers.length - 1},sentinels=${SENTINELS}`;
    for (const { server } of this.#sentinels) {
      if (server.process.exitCode !== undefined) throw new Error(server.process.tail());
      const info = await this.#ask(server.port, passwords?.sentinels, (redis) => redis.info('sentinel'));
      if (!info.includes(wanted)) throw new Error(info);
    }
    await this.settled();
    return true;
  }

  async #ask<Result>(
    port: number,
    password: string | undefined,
    command: (redis: Redis) => Promise<Result>,
  ): Promise<Result> {
    const redis = new Redis(port, '127.0.0.1', {
      ...(password !== undefined && { password }),
      protocol: 2,
      enableReadyCheck: false,
      retryStrategy: () => null,
    });
    redis.on('error', () => undefined);
    try {
      return await command(redis);
    } finally {
      redis.disconnect();
    }
  }
}
