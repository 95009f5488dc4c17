import { mkdir, mkdtemp, rm, symlink, unlink, utimes } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { eventually } from '../../../test/support/wait.js';
import { dialPod, PodSockets } from './pod-sockets.js';

describe('the sockets of pods', () => {
  let dir: string;
  let folder: string;
  let seen: string[];
  let sockets: PodSockets;
  const servers = new Map<string, Server>();
  const sessions = new Set<string>();

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pods-'));
    folder = join(dir, 'pods');
    await mkdir(folder);
    seen = [];
    sockets = new PodSockets({
      folder,
      log: pino({ level: 'silent' }),
      onUp: (pod) => seen.push(`+${pod}`),
      onDown: (pod) => seen.push(`-${pod}`),
      hasSession: (pod) => sessions.has(pod),
    });
  });

  afterEach(async () => {
    sockets.close();
    for (const server of servers.values()) await closed(server);
    servers.clear();
    sessions.clear();
    await rm(dir, { recursive: true, force: true });
  });

  function closed(server: Server): Promise<unknown> {
    return new Promise((resolve) => server.close(resolve));
  }

  /** Its path may be longer than a socket's name, as seen from outside the pod. */
  async function listens(pod: string, at = folder): Promise<void> {
    const path = join(at, pod);
    await mkdir(path, { recursive: true });
    const server = createServer((socket) => socket.on('error', () => undefined).end());
    const before = process.cwd();
    process.chdir(path);
    const listening = new Promise<void>((resolve) => server.listen('deliveries.sock', resolve));
    process.chdir(before);
    await listening;
    servers.set(pod, server);
  }

  const saw = (...what: string[]): Promise<unknown> =>
    eventually(`${what.join()} is seen, not ${seen.join()}`, () => seen.join() === what.join());

  it('come and go, and are heard of at once', async () => {
    await listens('shop-1');
    sockets.start();
    await saw('+shop-1');
    await listens('shop-2');
    await saw('+shop-1', '+shop-2');
    await rm(join(folder, 'shop-1'), { recursive: true });
    await saw('+shop-1', '+shop-2', '-shop-1');
  });

  it('are dialled though nobody listened at first, and again after they were lost', async () => {
    await listens('shop-1');
    sockets.start();
    await saw('+shop-1');
    sockets.lost('shop-1');
    sockets.lost('shop-1');
    sockets.lost('nobody');
    await saw('+shop-1', '-shop-1', '+shop-1');
  });

  it('of a name that is longer than that of a socket may be', async () => {
    const long = `shop-${'x'.repeat(200)}`;
    await listens(long);
    sockets.start();
    await saw(`+${long}`);
  });

  it('are none of another app: links are not followed, neither to a socket nor to a folder', async () => {
    await listens('billing-1', join(dir, 'others'));
    await listens('shop-1');
    await mkdir(join(folder, 'shop-2'));
    await symlink(join(dir, 'others/billing-1/deliveries.sock'), join(folder, 'shop-2/deliveries.sock'));
    await symlink(join(dir, 'others/billing-1'), join(folder, 'shop-3'));
    sockets.start();
    await saw('+shop-1');
    expect(() => dialPod(folder, 'shop-2')).toThrow('no socket');
    expect(() => dialPod(folder, 'shop-3')).toThrow('ENOTDIR');
  });

  it('of pods long gone are removed, folders of those that have a session are not', async () => {
    await listens('shop-1');
    const old = new Date(Date.now() - 8 * 24 * 3_600_000);
    for (const pod of ['gone', 'used']) {
      await listens(pod);
      await closed(servers.get(pod) as Server);
      await unlink(join(folder, pod, 'deliveries.sock')).catch(() => undefined);
      await utimes(join(folder, pod), old, old);
    }
    sessions.add('used');
    sockets.start();
    await saw('+shop-1');
    await eventually('it is removed', () => !existsSync(join(folder, 'gone')));
    expect(existsSync(join(folder, 'used'))).toBe(true);
  });
});
