import { create, toBinary } from '@bufbuild/protobuf';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as state from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { Child } from '../support/child.js';
import { FileClient, failureOf } from '../support/file-client.js';
import { http1 } from '../support/http1.js';
import { Runtime, redisComponent } from '../support/runtime.js';
import type { RuntimeOptions, TestComponent } from '../support/runtime.js';
import { SessionClient } from '../support/session-client.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const program = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));
const APPS = Array.from({ length: 50 }, (_, index) => `app-${index}`);

/** What the bridge may hold for the first app, and for each further one that has a Redis and a session. */
const FIRST_MIB = 110;
const EACH_MIB = 1;

describe('one bridge for 50 apps of a node', () => {
  let dir: string;
  let redis: StoreServer;
  let bridge: Child;
  const runtimes: Runtime[] = [];
  const clients: SessionClient[] = [];
  const files: FileClient[] = [];

  const socketOf = (app: string): string => join(dir, 'sockets', app, 'session.sock');
  const component = (app: string): TestComponent => redisComponent(redis.port, { name: `store-${app}` });

  /** An app has a store that bears its name, on a Redis that all use, and one for files. */
  function configure(app: string): Promise<void> {
    const text = `components:
  - {name: store-${app}, type: state.redis, metadata: {redisHost: '127.0.0.1:${redis.port}'}}
  - {name: file, type: file.local}
`;
    return writeFile(join(dir, 'apps', `${app}.yaml`), text);
  }

  /** An Envoy with the real filter whose socket is that of the app; what it says it serves is its own matter. */
  async function envoyOf(app: string, more: RuntimeOptions = {}): Promise<Runtime> {
    const runtime = await Runtime.start({
      appId: app,
      components: [component(app), { name: 'file', type: 'file.local' }],
      bridge: 'none',
      bootstrap: (rendered, { config }) =>
        JSON.parse(
          JSON.stringify(rendered).replaceAll(`${config.dataDir}/s`, `${join(dir, 'sockets', app)}/s`),
        ) as typeof rendered,
      ...more,
    });
    runtimes.push(runtime);
    return runtime;
  }

  async function metric(pattern: RegExp): Promise<number> {
    const admin = { socketPath: join(dir, 'data', 'bridge-admin.sock') };
    const { body } = await http1(admin, 'GET', '/metrics');
    return Number(pattern.exec(body)?.[1] ?? NaN);
  }

  beforeAll(async () => {
    redis = await startStore('redis');
    dir = await mkdtemp(join(tmpdir(), 'node-'));
    await mkdir(join(dir, 'apps'));
    await configure(APPS[0] ?? '');
    bridge = new Child('bridge', process.execPath, [
      program,
      'bridge',
      '--node',
      ...['--apps', join(dir, 'apps')],
      ...['--socket-dir', join(dir, 'sockets')],
      ...['--data-dir', join(dir, 'data')],
    ]);
  });

  afterAll(async () => {
    for (const client of [...clients, ...files]) client.close();
    for (const runtime of runtimes) await runtime.stop();
    bridge?.signal('SIGKILL');
    await redis?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it('each comes while others are served, and costs less than a mebibyte', async () => {
    await eventually('the first is served', () =>
      metric(/component_ready\{app="app-0",[^}]*redis"\} (\d)/).then(Boolean),
    );
    await eventually(
      'what starting took was given back',
      async () => (await bridge.rssKiB()) < FIRST_MIB * 1024,
    );
    const before = await bridge.rssKiB();
    await Promise.all(APPS.map(configure));
    await eventually(
      'all are served',
      async () => {
        const admin = { socketPath: join(dir, 'data', 'bridge-admin.sock') };
        const { body } = await http1(admin, 'GET', '/metrics');
        return (body.match(/component_ready\{app="[^}]*\} 1/g) ?? []).length === 2 * APPS.length;
      },
      { timeoutMs: 30_000, everyMs: 200 },
    );
    for (const app of APPS) {
      const client = SessionClient.open(socketOf(app), { hello: { appId: app } });
      clients.push(client);
      const request = create(state.SaveStateRequestSchema, {
        storeName: `store-${app}`,
        states: [{ key: 'who', value: Buffer.from(app) }],
      });
      client.request(1, 'layotto.bridge.v1.State/SaveState', toBinary(state.SaveStateRequestSchema, request));
    }
    await Promise.all(clients.map((client) => client.result(1)));
    const grown = (await bridge.rssKiB()) - before;
    const each = grown / 1024 / (APPS.length - 1);
    console.info(
      `one app: ${(before / 1024).toFixed(0)} MiB; each further one: ${(each * 1024).toFixed(0)} KiB`,
    );
    expect(each).toBeLessThan(EACH_MIB);
  });

  it('no app reads what another wrote, though it knows the name', async () => {
    for (const [index, client] of clients.entries()) {
      const other = `store-${APPS[(index + 1) % APPS.length]}`;
      const request = create(state.GetStateRequestSchema, { storeName: other, key: 'who' });
      client.request(2, 'layotto.bridge.v1.State/GetState', toBinary(state.GetStateRequestSchema, request));
      expect(await client.failure(2)).toMatchObject({
        message: expect.stringContaining('is not found') as string,
      });
    }
  });

  it('real filters are served each by its socket, states and streams, and the wrong one is refused', async () => {
    const [first, second] = [await envoyOf('app-1'), await envoyOf('app-2')];
    // One that was taken over says that it is app-1, and has only the socket of app-3.
    const thief = await envoyOf('app-3', { appId: 'app-1', components: [component('app-1')] });
    await first.sessionsOpen();
    await second.sessionsOpen();
    const own = await eventually('the store answers', async () => {
      const answer = await http1(first.target, 'GET', '/v1.0/state/store-app-1/who');
      return answer.status === 200 ? answer : undefined;
    });
    expect(own.body).toBe('app-1');
    expect((await http1(second.target, 'GET', '/v1.0/state/store-app-2/who')).body).toBe('app-2');
    expect((await http1(first.target, 'GET', '/v1.0/state/store-app-2/who')).status).toBe(400);

    const stolen = await http1(thief.target, 'GET', '/v1.0/state/store-app-1/who');
    expect(stolen.status).toBe(503);
    expect(stolen.body).not.toContain('"app-1"');
    await eventually('it is counted', () =>
      metric(/refusals_total\{app="app-3",limit="identity"\} (\d+)/).then(Boolean),
    );
    expect(bridge.log).toContain('this socket is for the app app-3, and the filter serves');

    const [one, two] = [first, second].map(({ port }) => new FileClient(`127.0.0.1:${port}`));
    if (one === undefined || two === undefined) throw new Error('there are two');
    files.push(one, two);
    await one.write('note', [Buffer.from('of app-1')]);
    expect((await one.read('note')).toString()).toBe('of app-1');
    expect(await failureOf(two.read('note'))).toBeDefined();
  });

  it('an app that goes takes nobody along', async () => {
    const [first, second] = runtimes;
    if (first === undefined || second === undefined) throw new Error('there are three');
    const opened = (await first.stats(/layotto_session_links_opened_total/)) ?? {};
    await rm(join(dir, 'apps', 'app-2.yaml'));
    await eventually(
      'it is gone',
      async () => (await http1(second.target, 'GET', '/v1.0/state/store-app-2/who')).status === 503,
    );
    expect((await http1(first.target, 'GET', '/v1.0/state/store-app-1/who')).body).toBe('app-1');
    expect(await first.stats(/layotto_session_links_opened_total/)).toEqual(opened);
    bridge.signal('SIGTERM');
    expect(await bridge.exited).toBe(0);
  });
});
