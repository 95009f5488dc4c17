import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ComponentHealth } from '../../components-bridge/src/primitives/slot.js';
import { ClusterServers } from '../support/cluster-servers.js';
import { freePort } from '../support/ports.js';
import { Rooms } from '../support/rooms.js';
import type { RoomComponent } from '../support/rooms.js';
import { startStore } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

/** Components that nobody calls: what their health says when what they need goes away, and when it is back. */

let dir: string;
let rooms: Rooms | undefined;
const servers: { stop(): Promise<unknown> }[] = [];

beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'probes-'))));
afterEach(async () => {
  await rooms?.close();
  for (const server of servers.splice(0)) await server.stop();
  await rm(dir, { recursive: true, force: true });
});

async function open(...components: RoomComponent[]): Promise<void> {
  rooms = await Rooms.open(components);
}

function health(name: string): ComponentHealth | undefined {
  return rooms?.registry.health().find((one) => one.name === name);
}

/** Waits until a component is down. @returns why */
async function down(name: string): Promise<string> {
  return eventually(`${name} is down`, () => {
    const { status, reason = '' } = health(name) ?? {};
    return status === 'down' && reason;
  });
}

const ready = (name: string): Promise<unknown> =>
  eventually(`${name} is ready`, () => health(name)?.status === 'ready');

it.each<[string, Omit<RoomComponent, 'name'>]>([
  ['file.local', { type: 'file.local', metadata: { rootPath: 'DIR/data' } }],
  ['bindings.localstorage', { type: 'bindings.localstorage', metadata: { rootPath: 'DIR/data' } }],
  ['secretstores.mounted', { type: 'secretstores.mounted', metadata: { path: 'DIR/data' } }],
  [
    'secretstores.local.file',
    { type: 'secretstores.local.file', metadata: { secretsFile: 'DIR/data/secrets.json' } },
  ],
  ['state.embedded', { type: 'state.embedded', metadata: { path: 'DIR/data' } }],
  ['lock.embedded', { type: 'lock.embedded', metadata: { path: 'DIR/data' } }],
  ['sequencer.embedded', { type: 'sequencer.embedded', metadata: { path: 'DIR/data' } }],
  ['configuration.embedded', { type: 'configuration.embedded', metadata: { path: 'DIR/data' } }],
])('%s is down without its folder, with a reason, and ready when it is back', async (_, component) => {
  await mkdir(join(dir, 'data'));
  await writeFile(join(dir, 'data', 'secrets.json'), '{"a": "b"}');
  const metadata = Object.fromEntries(
    Object.entries(component.metadata ?? {}).map(([key, value]) => [key, String(value).replace('DIR', dir)]),
  );
  await open({ ...component, name: 'here', metadata }, { name: 'other', type: 'file.local' });
  await rename(join(dir, 'data'), join(dir, 'away'));
  // What stands in secretsFile is taken for a secret.
  expect(await down('here')).toMatch(
    /ENOENT.*'\/.*\/data|the secrets' file .* cannot be read: .*ENOENT|there is no folder .*\/data/,
  );
  expect(health('other')?.status).toBe('ready');
  // For its health only: calls are made.
  expect(rooms?.registry.find(health('here')?.primitive ?? '', 'here')?.instance).toBeDefined();
  await rename(join(dir, 'away'), join(dir, 'data'));
  await ready('here');
});

it('an embedded store is down when its file was replaced', async () => {
  const path = join(dir, 'store');
  await open({ name: 'here', type: 'state.embedded', metadata: { path } });
  const file = join(path, 'data.mdb');
  const bytes = await readFile(file);
  await rename(file, `${file}.old`);
  await writeFile(file, bytes);
  expect(await down('here')).toContain(`${file} is not the file that was opened`);
});

it('a file of secrets that is none is said without its text', async () => {
  const file = join(dir, 'secrets.json');
  await writeFile(file, '{"a": "hush-hush"}');
  await open({ name: 'here', type: 'secretstores.local.file', metadata: { secretsFile: file } });
  await writeFile(file, '{"a": "hush-hush",}');
  const reason = await down('here');
  expect(reason).toContain('it is not valid JSON');
  expect(reason).not.toContain('hush');
});

it('bindings.http is down while nobody listens, and is sent no request', async () => {
  const port = await freePort();
  let bytes = 0;
  let connections = 0;
  const listen = (): Promise<Server> =>
    new Promise((resolve) => {
      const server = createServer((socket) => {
        connections++;
        socket.on('data', (data) => (bytes += data.length));
        socket.on('error', () => undefined);
      }).listen(port, '127.0.0.1', () => resolve(server));
      servers.push({ stop: () => new Promise((end) => server.close(end)) });
    });
  const server = await listen();
  await open({ name: 'hook', type: 'bindings.http', metadata: { url: `http://127.0.0.1:${port}/x` } });
  await eventually('it was looked', () => connections > 0);
  expect(health('hook')?.status).toBe('ready');
  await new Promise((end) => server.close(end));
  expect(await down('hook')).toMatch(new RegExp(`^127.0.0.1:${port}: .*ECONNREFUSED`));
  await listen();
  await ready('hook');
  expect(bytes).toBe(0);
}, 30_000);

it('bindings.http is down where its host has no address', async () => {
  const metadata = { url: 'http://nowhere.invalid/' };
  rooms = await Rooms.open([{ name: 'hook', type: 'bindings.http', metadata }], { wait: false });
  expect(await down('hook')).toContain('nowhere.invalid');
});

it.each(['state.redis', 'lock.redis', 'sequencer.redis', 'configuration.redis'])(
  '%s is down while its server hangs, although nothing is asked',
  async (type) => {
    const redis = await startStore('redis');
    servers.push(redis);
    const metadata = { redisHost: `127.0.0.1:${redis.port}`, readTimeout: '500ms' };
    await open({ name: 'here', type, metadata });
    await redis.process.freeze();
    expect(await down('here')).toContain(`127.0.0.1:${redis.port}`);
    redis.process.signal('SIGCONT');
    await ready('here');
  },
);

it('a Redis Cluster is down while all of its nodes hang', async () => {
  const cluster = await ClusterServers.start();
  servers.push(cluster);
  await open({ name: 'here', type: 'state.redis', metadata: { ...cluster.metadata, readTimeout: '500ms' } });
  for (const { server } of cluster.nodes) await server.process.freeze();
  expect(await down('here')).toContain('127.0.0.1');
  for (const { server } of cluster.nodes) server.process.signal('SIGCONT');
  await ready('here');
}, 60_000);
