import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { natsServer } from '../../tools/get.mjs';
import { Child } from './child.js';
import { freePorts } from './ports.js';
import { eventually } from './wait.js';

/** A running NATS server. */
export interface NatsServer {
  /** Where clients go, `nats://host:port`. */
  url: string;
  port: number;
  process: Child;
  /** Ends it as a crash would; its folder stays. */
  kill(): Promise<void>;
  /** Starts it again on its port and folder, having been killed. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface NatsServerOptions {
  /** Further arguments. */
  args?: readonly string[];
  /** Of its configuration file. */
  config?: string;
  /** Port for clients; by default a free one. */
  port?: number;
  /** With JetStream, as by default. */
  jetStream?: boolean;
}

/** How often a start is tried that finds a port taken by somebody else meanwhile. */
const TRIES = 3;

/** Starts a server of its own on 127.0.0.1. */
export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  for (let count = 1; ; count++) {
    try {
      return await tryNats(options);
    } catch (error) {
      if (count === TRIES || !String(error).includes('address already in use')) throw error;
    }
  }
}

async function tryNats(options: NatsServerOptions): Promise<NatsServer> {
  const { args = [], config, jetStream = true } = options;
  const { path } = await natsServer({ log: () => undefined });
  const dir = await mkdtemp(join(tmpdir(), 'nats-'));
  const [free = 0, monitor = 0] = await freePorts(2);
  const port = options.port ?? free;
  const flags = ['-a', '127.0.0.1', '-p', String(port), '-m', String(monitor)];
  if (jetStream) flags.push('-js', '-sd', dir);
  if (config !== undefined) {
    const file = join(dir, 'server.conf');
    await writeFile(file, config);
    flags.push('-c', file);
  }
  const launch = async (): Promise<Child> => {
    const child = new Child('nats-server', path, [...flags, ...args]);
    const health = `http://127.0.0.1:${monitor}/healthz`;
    const answers = eventually('nats-server answers', async () => (await fetch(health)).ok, {
      timeoutMs: 20_000,
    });
    await Promise.race([answers, child.exited.then(() => Promise.reject(new Error(child.tail())))]);
    return child;
  };
  const server = {
    url: `nats://127.0.0.1:${port}`,
    port,
    process: await launch().catch(async (error: unknown) => {
      await rm(dir, { recursive: true, force: true });
      throw error;
    }),
    async kill(): Promise<void> {
      server.process.signal('SIGKILL');
      await server.process.exited;
    },
    async restart(): Promise<void> {
      server.process = await launch();
    },
    async stop(): Promise<void> {
      await server.kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return server;
}
