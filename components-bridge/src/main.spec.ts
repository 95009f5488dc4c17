import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import { HttpApp } from '../../test/support/http-app.js';
import { http1 } from '../../test/support/http1.js';
import { freePort } from '../../test/support/ports.js';
import { SessionClient } from '../../test/support/session-client.js';
import { eventually } from '../../test/support/wait.js';
import * as configuration from './gen/layotto/bridge/v1/configuration_pb.js';
import * as pubsub from './gen/layotto/bridge/v1/pubsub_pb.js';
import { Kind } from './gen/layotto/bridge/v1/session_pb.js';
import * as pb from './gen/layotto/bridge/v1/state_pb.js';

const program = fileURLToPath(new URL('../../dist/bridge/main.js', import.meta.url));

/** The bridge as a process, as it was built. */
describe('the bridge process', () => {
  let dir: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bridge-'));
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  });

  /** Runs it until it ends. */
  function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
  }

  interface Started {
    child: ChildProcess;
    messages: { type: string; [key: string]: unknown }[];
    exit: Promise<number | null>;
    log: () => string;
  }

  /** Starts it with an IPC channel, and waits until it says that it listens. */
  async function start(...args: string[]): Promise<Started> {
    const child = fork(program, args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
    children.push(child);
    let log = '';
    child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const messages: Started['messages'] = [];
    child.on('message', (message) => messages.push(message as (typeof messages)[0]));
    const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    await eventually('it listens', () => {
      if (child.exitCode !== null) throw new Error(log);
      return messages.some(({ type }) => type === 'ready');
    });
    return { child, messages, exit, log: () => log };
  }

  /** What is told of the store that is there by default. */
  const isStoresHealth = ({ type, component }: { type?: unknown; component?: unknown }): boolean =>
    type === 'health' && component === 'statestore';

  async function save(client: SessionClient, id: number, store = 'statestore'): Promise<void> {
    const request = create(pb.SaveStateRequestSchema, {
      storeName: store,
      states: [{ key: 'k', value: Buffer.of(1) }],
    });
    client.request(id, 'layotto.bridge.v1.State/SaveState', toBinary(pb.SaveStateRequestSchema, request));
    await client.result(id);
  }

  it('tells the app beside it by itself, if it reads its configuration itself and there is no Envoy', async () => {
    const app = await HttpApp.open();
    app.subscriptions = [{ pubsubname: 'events', topic: 'orders', route: '/orders' }];
    await app.start();
    try {
      const config = join(dir, 'layotto.yaml');
      await writeFile(config, `app: {port: ${app.port}}\n`);
      await start('--config', config);
      const client = SessionClient.open(join(dir, '.layotto', 'session.sock'));
      await client.hello();
      const call = async (id: number, method: string, payload: Uint8Array): Promise<void> => {
        client.request(id, `layotto.bridge.v1.${method}`, payload);
        await client.result(id);
      };
      await eventually('it is asked what it subscribes to', () => app.asked > 0);
      const event = { pubsubName: 'events', topic: 'orders', data: Buffer.from('7') };
      const publish = create(pubsub.PublishEventRequestSchema, event);
      await call(1, 'PubSub/PublishEvent', toBinary(pubsub.PublishEventRequestSchema, publish));
      await eventually('the event is delivered', () => app.told('/orders').length === 1);

      const subscribe = create(configuration.CallAppRequestSchema, { storeName: 'configstore', keys: ['k'] });
      await call(2, 'Configuration/CallApp', toBinary(configuration.CallAppRequestSchema, subscribe));
      const item = { key: 'k', content: 'v' };
      const save = create(configuration.SaveConfigurationRequestSchema, {
        storeName: 'configstore',
        items: [item],
      });
      const saved = toBinary(configuration.SaveConfigurationRequestSchema, save);
      await call(3, 'Configuration/SaveConfiguration', saved);
      await eventually('the change is told', () => app.told('/configuration/configstore/k').length === 1);
      client.close();
    } finally {
      await app.stop();
    }
  });

  it('serves the embedded store by default, tells its parent, and ends on SIGTERM', async () => {
    const { child, messages, exit, log } = await start();
    const socket = join(dir, '.layotto', 'session.sock');
    expect(messages).toContainEqual({ type: 'ready', socket });
    await eventually('the store is ready', () => messages.some(isStoresHealth));
    expect(messages.filter(isStoresHealth)).toEqual([
      { type: 'health', component: 'statestore', ready: true, status: 'ready' },
    ]);

    const client = SessionClient.open(socket);
    expect(await client.hello()).toMatchObject({
      name: 'bridge',
      services: expect.arrayContaining(['layotto.bridge.v1.State']) as string[],
    });
    await save(client, 1);
    await eventually('the session is counted', () => messages.some(({ open }) => open === 1));
    child.kill('SIGTERM');
    await client.frame(Kind.GOAWAY);
    expect(await client.ended()).toEqual({ code: 0, message: '' });
    client.close();
    expect(await exit).toBe(0);
    expect(existsSync(socket)).toBe(false);
    for (const line of log().trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('msg');

    // What was saved is there for the next one, and the app's id chooses whose keys are seen.
    const next = await start('--app-id', 'app');
    await eventually('the store is ready', () => next.messages.some(isStoresHealth));
    const reader = SessionClient.open(socket);
    const request = create(pb.GetStateRequestSchema, { storeName: 'statestore', key: 'k' });
    reader.request(1, 'layotto.bridge.v1.State/GetState', toBinary(pb.GetStateRequestSchema, request));
    expect(fromBinary(pb.GetStateResponseSchema, await reader.result(1)).etag).toBe('1');
    reader.close();
    next.child.kill('SIGINT');
    expect(await next.exit).toBe(0);
  });

  it('starts before its backend is there, and says why it is not ready', async () => {
    const port = await freePort();
    const config = {
      components: [{ name: 'r', type: 'state.redis', metadata: { redisHost: `127.0.0.1:${port}` } }],
    };
    await writeFile(join(dir, 'c.yaml'), JSON.stringify(config));
    const { messages } = await start('--config', 'c.yaml', '--data-dir', 'data', '--socket', 's.sock');
    await eventually('the reason is told', () => messages.some(({ type }) => type === 'health'));
    expect(messages.find(({ type }) => type === 'health')).toMatchObject({
      component: 'r',
      ready: false,
      status: 'connecting',
      reason: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
    const client = SessionClient.open(join(dir, 's.sock'));
    const request = create(pb.GetStateRequestSchema, { storeName: 'r', key: 'k' });
    client.request(1, 'layotto.bridge.v1.State/GetState', toBinary(pb.GetStateRequestSchema, request));
    expect((await client.failure(1)).message).toMatch(/^state store r is not ready: /);
    client.close();
  });

  it('takes over components from its file while it serves, and nothing from a wrong one', async () => {
    const write = (...names: string[]): Promise<void> =>
      writeFile(
        join(dir, 'c.yaml'),
        JSON.stringify({ components: names.map((name) => ({ name, type: 'state.embedded' })) }),
      );
    await write('one');
    const { child, messages, log, exit } = await start('--config', 'c.yaml');
    const ready = (component: string) => () => messages.some((told) => told['component'] === component);
    await eventually('the store is ready', ready('one'));
    const client = SessionClient.open(join(dir, '.layotto', 'session.sock'));
    await save(client, 1, 'one');

    await write('one', 'two');
    await eventually('the second store is ready', ready('two'));
    await save(client, 2, 'two');
    await save(client, 3, 'one');

    await writeFile(join(dir, 'c.yaml'), 'components: [{ name: x, type: state.nope }]');
    await eventually('it says what is wrong', () => log().includes('everything stays as it is'));
    expect(log()).toContain('c.yaml:1: components[0].type: unknown component type');
    await save(client, 4, 'two');

    // A signal does the same without waiting for the next look.
    await write('two');
    child.kill('SIGHUP');
    await eventually('the first store is gone', () => log().includes('component removed'));
    await save(client, 5, 'two');
    const request = create(pb.GetStateRequestSchema, { storeName: 'one', key: 'k' });
    client.request(6, 'layotto.bridge.v1.State/GetState', toBinary(pb.GetStateRequestSchema, request));
    expect((await client.failure(6)).message).toBe('state store one is not found');
    client.close();
    child.kill('SIGTERM');
    expect(await exit).toBe(0);
  });

  it('does not take over the socket of a live one', async () => {
    await start();
    const { code, stderr } = await run();
    expect(code).toBe(2);
    expect(stderr).toContain(`another bridge answers on ${join(dir, '.layotto', 'streams.sock')}`);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('takes over from a live one if it is told to, which then ends', async () => {
    const first = await start();
    const socket = join(dir, '.layotto', 'session.sock');
    const client = SessionClient.open(socket);
    await eventually('the store is ready', () => first.messages.some(isStoresHealth));
    await save(client, 1);
    const second = await start('--takeover');
    await client.frame(Kind.GOAWAY);
    client.close();
    expect(await first.exit).toBe(0);
    expect(first.log()).toContain('another bridge has taken over');
    const next = SessionClient.open(socket);
    await save(next, 1);
    next.close();
    const admin = join(dir, '.layotto', 'bridge-admin.sock');
    const { body } = await http1({ socketPath: admin }, 'GET', '/health');
    expect(JSON.parse(body)).toMatchObject({
      components: expect.arrayContaining([
        expect.objectContaining({ name: 'statestore', status: 'ready' }),
      ]) as unknown[],
    });
    second.child.kill('SIGTERM');
    expect(await second.exit).toBe(0);
    expect([existsSync(socket), existsSync(admin)]).toEqual([false, false]);
    // With nobody there it is a start like any other.
    await start('--takeover');
  });

  it('takes over the socket of one that was killed', async () => {
    const { child, exit } = await start();
    child.kill('SIGKILL');
    await exit;
    expect(existsSync(join(dir, '.layotto', 'session.sock'))).toBe(true);
    await start();
  });

  it('says how it is used', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: /);
  });

  it.each<[string[], RegExp]>([
    [['--nope'], /--nope/],
    [['--config', 'missing.yaml'], /missing\.yaml/],
    [['missing.json'], /missing\.json cannot be read as a resolved configuration/],
    [['empty.json'], /empty\.json is not a resolved configuration/],
    [['a', 'b'], /unexpected argument b/],
    [['empty.json', '--config', 'x'], /not both/],
    [['--socket-gid', 'staff'], /--socket-gid: expected a group's number, found staff/],
    [['--log-level', 'loud'], /--log-level/],
    [['--app-id', 'a/b'], /--app-id/],
  ])('refuses %j', async (args, message) => {
    await writeFile(join(dir, 'empty.json'), '{}');
    const { code, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
