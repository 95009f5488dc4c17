import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisServer, valkeyServer } from '../../tools/get.mjs';
import { Child } from './child.js';
import { freePort } from './ports.js';
import { eventually } from './wait.js';

/** A running Redis or Valkey. */
export interface StoreServer {
  port: number;
  process: Child;
  stop(): Promise<void>;
}

/** Starts a server of its own on 127.0.0.1, on a free port unless one is given, with nothing on disk. */
export async function startStore(
  kind: 'redis' | 'valkey',
  args: readonly string[] = [],
  at?: number,
): Promise<StoreServer> {
  const { path } = await (kind === 'redis' ? redisServer : valkeyServer)({ log: () => undefined });
  const dir = await mkdtemp(join(tmpdir(), `${kind}-`));
  const port = at ?? (await freePort());
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    dir,
  ];
  const child = new Child(kind, path, [...options, ...args]);
  const stop = async (): Promise<void> => {
    child.signal('SIGKILL');
    await child.exited;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await eventually(`${kind} answers`, () => {
      if (child.exitCode !== undefined) throw new Error(child.tail());
      return pings(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, process: child, stop };
}

function pings(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      // A server that asks for a password is there as well.
      resolve(/^(\+PONG|-NOAUTH)/.test(data.toString('latin1')));
    });
    socket.write('PING\r\n');
  });
}
