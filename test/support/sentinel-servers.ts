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
}

/** A primary with replicas, and three Sentinels that watch over them. */
export class SentinelServers {
  /** What the Sentinels call the primary. */
  readonly name = 'main';

  private constructor(
    /** The first is the primary at first. */
    readonly servers: StoreServer[],
    readonly sentinels: { port: number; process: Child }[],
    private readonly dir: string,
    private readonly options: SentinelOptions,
  ) {}

  static async start(options: SentinelOptions = {}): Promise<SentinelServers> {
    const dir = await mkdtemp(join(tmpdir(), 'sentinel-'));
    const group = new SentinelServers([], [], dir, options);
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
    return this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
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
    const [first] = this.sentinels;
    const address = await this.#ask(first?.port ?? 0, (redis) => {
      return redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name);
    });
    const [, port] = address as [string, string];
    const server = this.servers.find((candidate) => candidate.port === Number(port));
    if (server === undefined) throw new Error(`no server listens at ${port}`);
    return server;
  }

  async stop(): Promise<void> {
    for (const { process } of this.sentinels) process.signal('SIGKILL');
    await Promise.all(this.sentinels.map(({ process }) => process.exited));
    await Promise.all(this.servers.map((server) => server.stop()));
    await rm(this.dir, { recursive: true, force: true });
  }

  async #startServers(): Promise<void> {
    const { replicas = 2, passwords } = this.options;
    const guarded = passwords ? ['--requirepass', passwords.servers, '--masterauth', passwords.servers] : [];
    // Replicas are filled at once, not when others may have come.
    const args = ['--repl-diskless-sync-delay', '0', ...guarded];
    const primary = await startStore('valkey', args);
    this.servers.push(primary);
    for (let count = 0; count < replicas; count++) {
      this.servers.push(
        await startStore('valkey', [...args, '--replicaof', '127.0.0.1', String(primary.port)]),
      );
    }
  }

  async #startSentinels(): Promise<void> {
    const { path } = await valkeyServer({ log: () => undefined });
    const { passwords } = this.options;
    for (let index = 0; index < SENTINELS; index++) {
      const port = await freePort();
      const file = join(this.dir, `${index}.conf`);
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${this.dir}`,
        `sentinel monitor ${this.name} 127.0.0.1 ${this.servers[0]?.port} 2`,
        `sentinel down-after-milliseconds ${this.name} ${DOWN_AFTER_MS}`,
        `sentinel failover-timeout ${this.name} 5000`,
      ];
      if (passwords) {
        lines.push(`sentinel auth-pass ${this.name} ${passwords.servers}`);
        lines.push(`requirepass ${passwords.sentinels}`, `sentinel sentinel-pass ${passwords.sentinels}`);
      }
      await writeFile(file, lines.join('\n'));
      this.sentinels.push({ port, process: new Child(`sentinel ${index}`, path, [file, '--sentinel']) });
    }
  }

  async #isComplete(): Promise<boolean> {
    for (const { port, process } of this.sentinels) {
      if (process.exitCode !== undefined) throw new Error(process.tail());
      const info = await this.#ask(port, (redis) => redis.info('sentinel'));
      const wanted = `status=ok,address=127.0.0.1:${this.servers[0]?.port},slaves=${this.servers.length - 1},sentinels=${SENTINELS}`;
      if (!info.includes(wanted)) throw new Error(info);
    }
    const primary = new Redis(this.servers[0]?.port ?? 0, '127.0.0.1', {
      ...(this.options.passwords && { password: this.options.passwords.servers }),
    });
    try {
      const online = (await primary.info('replication')).match(/state=online/g) ?? [];
      return online.length === this.servers.length - 1;
    } finally {
      primary.disconnect();
    }
  }

  async #ask<Result>(port: number, command: (redis: Redis) => Promise<Result>): Promise<Result> {
    const redis = new Redis(port, '127.0.0.1', {
      ...(this.options.passwords && { password: this.options.passwords.sentinels }),
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
