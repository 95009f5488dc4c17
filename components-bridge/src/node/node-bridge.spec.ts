import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { chmod, lstat, mkdir, mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';

import { http1 } from '../../../test/support/http1.js';
import { SessionClient } from '../../../test/support/session-client.js';
import { eventually } from '../../../test/support/wait.js';
import { catalog } from '../catalog.js';
import { Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import * as lock from '../gen/layotto/bridge/v1/lock_pb.js';
import * as secret from '../gen/layotto/bridge/v1/secret_pb.js';
import * as state from '../gen/layotto/bridge/v1/state_pb.js';
import { Code } from '../primitives/errors.js';
import { Secrets } from '../telemetry/secrets.js';
import { NodeBridge } from './node-bridge.js';
import type { NodeOptions } from './node-bridge.js';

const SERVICE = 'layotto.bridge.v1';
const STORE = 'components:\n  - {name: store, type: state.embedded}\n';

describe('one bridge for the apps of a node', () => {
  let dir: string;
  let node: NodeBridge | undefined;
  let log: { level: number; app?: string; msg: string; problem?: string }[];
  const clients: SessionClient[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'node-'));
    await mkdir(join(dir, 'apps'));
    log = [];
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await node?.drain(100);
    node = undefined;
    await rm(dir, { recursive: true, force: true });
  });

  async function write(files: Record<string, string>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const path = join(dir, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
  }

  async function start(more: Partial<NodeOptions> = {}): Promise<NodeBridge> {
    node = new NodeBridge({
      sources: { apps: join(dir, 'apps') },
      catalog,
      version: '1.2.3',
      dataDir: join(dir, 'data'),
      socketDir: join(dir, 'sockets'),
      limits: { operations: 100, bytes: 8_388_608, sessions: 16 },
      takeover: false,
      env: {},
      log: pino({ level: 'debug' }, { write: (line) => void log.push(JSON.parse(line) as never) }),
      secrets: new Secrets(),
      ...more,
    });
    await node.start();
    return node;
  }

  const socketOf = (name: string, file = 'session.sock'): string => join(dir, 'sockets', name, file);

  function open(name: string, appId = name): Caller {
    const client = SessionClient.open(socketOf(name), { hello: { appId } });
    clients.push(client);
    return new Caller(client);
  }

  interface Health {
    problems: string[];
    apps: Record<
      string,
      { id?: string; served: boolean; problems: string[]; components?: { status: string }[] }
    >;
  }

  async function health(): Promise<Health> {
    const { body } = await http1({ socketPath: join(dir, 'data', 'bridge-admin.sock') }, 'GET', '/health');
    return JSON.parse(body) as Health;
  }

  /** Waits until the components of these apps are ready. */
  async function ready(...names: string[]): Promise<void> {
    await eventually(`${names.join()} are ready`, async () => {
      const { apps } = await health();
      return names.every((name) => apps[name]?.components?.every(({ status }) => status === 'ready'));
    });
  }

  const problems = (app: string): string[] =>
    log.flatMap((line) => (line.app === app && line.problem !== undefined ? [line.problem] : []));

  it('keeps apps apart: components of one name, names of others, secrets, locks', async () => {
    const components = (app: string): string =>
      `components:
  - {name: store, type: state.embedded}
  - {name: only-${app}, type: state.embedded}
  - {name: locks, type: lock.embedded}
  - {name: secrets, type: secretstores.local.file, metadata: {secretsFile: ${join(dir, `${app}.json`)}}}
`;
    await write({
      'apps/orders.yaml': components('orders'),
      'apps/billing/layotto.yaml': components('billing'),
      'orders.json': '{"password": "of-orders"}',
      'billing.json': '{"password": "of-billing"}',
    });
    await start();
    await ready('orders', 'billing');
    const [orders, billing] = [open('orders'), open('billing')];

    await orders.save('store', 'k', 'from orders');
    expect(await billing.get('store', 'k')).toBe('');
    await billing.save('store', 'k', 'from billing');
    expect(await orders.get('store', 'k')).toBe('from orders');

    // It knows the name, and learns no more than of a name that there is not.
    await orders.save('only-orders', 'k', 'x');
    const foreign = await billing.fails(() => billing.get('only-orders', 'k'));
    const unknown = await billing.fails(() => billing.get('no-such-store', 'k'));
    expect(foreign).toEqual({
      code: unknown.code,
      message: unknown.message.replaceAll('no-such-store', 'only-orders'),
    });

    expect(await orders.lock('locks', 'nightly', 'me')).toBe(true);
    expect(await billing.lock('locks', 'nightly', 'me')).toBe(true);
    expect(await orders.lock('locks', 'nightly', 'you')).toBe(false);

    expect(await orders.secret('secrets', 'password')).toBe('of-orders');
    expect(await billing.secret('secrets', 'password')).toBe('of-billing');

    // What billing says of itself gives it nothing on orders' socket, and a pod has only its own.
    const thief = open('orders', 'billing');
    expect(await thief.client.ended()).toMatchObject({ code: Code.PERMISSION_DENIED });
  });

  it('honours scopes of shared component files, and apps of a shared configuration', async () => {
    const component = (name: string, scopes: string): string =>
      `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: ${name}}\nspec: {type: state.embedded, version: v1}\n${scopes}`;
    await write({
      'shared/all.yaml': component('all', ''),
      'shared/few.yaml': component('few', 'scopes: [orders]\n'),
      'node.yaml': `apps: [billing, audit]\ncomponents:\n  - {name: native, type: state.embedded}\n  - {name: audits, type: state.embedded, apps: [audit]}\n`,
      // Only component files, and the scopes of shared ones count as well.
      'apps/orders/own.yaml': component('own', ''),
    });
    await start({
      sources: {
        apps: join(dir, 'apps'),
        config: join(dir, 'node.yaml'),
        resourcesPath: join(dir, 'shared'),
      },
    });
    await ready('orders', 'billing', 'audit');
    const has = async (app: string, name: string): Promise<boolean> => {
      const caller = open(app);
      return caller.get(name, 'k').then(
        () => true,
        () => false,
      );
    };
    const found: Record<string, string[]> = {};
    for (const app of ['orders', 'billing', 'audit']) {
      found[app] = [];
      for (const name of ['all', 'few', 'own', 'native', 'audits'])
        if (await has(app, name)) found[app].push(name);
    }
    expect(found).toEqual({
      orders: ['all', 'few', 'own'],
      billing: ['all', 'native'],
      audit: ['all', 'native', 'audits'],
    });
  });

  it('apps come, change and go, and one that is wrong is that one only', async () => {
    await write({
      'apps/orders.yaml': STORE,
      'apps/broken.yaml': 'components: [{name: x, type: state.redsi}]\n',
    });
    await start();
    await ready('orders');
    const orders = open('orders');
    await orders.save('store', 'k', '1');
    expect(problems('broken').join()).toContain('did you mean "state.redis"?');
    expect((await health()).apps['broken']).toMatchObject({ served: false });
    expect(existsSync(socketOf('broken'))).toBe(false);

    await write({ 'apps/broken.yaml': STORE, 'apps/new.yaml': STORE });
    await eventually('both are served', () => existsSync(socketOf('broken')) && existsSync(socketOf('new')));
    await ready('broken', 'new');
    const mended = open('broken');
    await mended.save('store', 'k', '2');

    // Wrong again: what is served goes on.
    await write({ 'apps/broken.yaml': 'components: 7\n' });
    await eventually('it is said', async () => ((await health()).apps['broken']?.problems.length ?? 0) > 0);
    expect(await mended.get('store', 'k')).toBe('2');

    // A setting that another bridge must take over, in the same process; the session of another app knows nothing of it.
    await write({ 'apps/new.yaml': `limits: {operations: 1}\n${STORE}` });
    const before = open('new');
    await before.client.hello();
    await before.client.frame(Kind.GOAWAY);
    before.client.close();
    expect(await open('new').get('store', 'k')).toBe('');

    await unlink(join(dir, 'apps/new.yaml'));
    await eventually('it has gone', () => !existsSync(socketOf('new')));
    // Pods have the folder mounted.
    expect(existsSync(dirname(socketOf('new')))).toBe(true);
    expect(await orders.get('store', 'k')).toBe('1');
    expect(orders.client.closed).toBe(false);

    // A source that cannot be read is no reason to end anything.
    await rm(join(dir, 'apps'), { recursive: true });
    await eventually('it is said', async () =>
      (await health()).problems.join().includes('no such file or folder'),
    );
    expect(await orders.get('store', 'k')).toBe('1');
    await write({ 'apps/orders.yaml': STORE });
    await eventually('it is read again', async () => (await health()).problems.length === 0);
    expect(orders.client.closed).toBe(false);
  });

  it('refuses what would let one app reach another', async () => {
    await write({
      'apps/good.yaml': STORE,
      'apps/twin.yaml': `app: {id: good}\n${STORE}`,
      'apps/other-space.yaml': `app: {id: good, namespace: other}\n${STORE}`,
      'apps/reader.yaml': `components:\n  - {name: s, type: state.embedded, metadata: {path: ${join(dir, 'data/apps/good/state/store')}}}\n`,
      'apps/above.yaml': `components:\n  - {name: f, type: file.local, metadata: {rootPath: ${dir}}}\n`,
      'apps/thief.yaml': `app: {tokenFile: good/token}\n${STORE}`,
      'apps/own.yaml': `app: {tokenFile: own/token}\n${STORE}`,
      'apps/env.yaml': `components:\n  - {name: e, type: secretstores.local.env}\n`,
      'apps/fine.yaml': `components:\n  - {name: f, type: file.local, metadata: {rootPath: ${join(dir, 'elsewhere')}}}\n`,
      'apps/-x.yaml': STORE,
      'apps/empty.yaml': '',
    });
    await start();
    const { apps, problems: general } = await health();
    // Of two apps of one id one is served, whichever was read first.
    expect([apps['good']?.served, apps['twin']?.served].filter(Boolean)).toHaveLength(1);
    expect(JSON.stringify(apps)).toContain('whose keys it would share; give one app.namespace');
    expect(apps['other-space']).toMatchObject({ id: 'good', served: true });
    expect(apps['reader']?.problems.join()).toContain(
      'expected a path outside of what belongs to other apps',
    );
    expect(apps['above']?.problems.join()).toContain('expected a path outside of what belongs to other apps');
    expect(apps['thief']?.problems.join()).toMatch(/app\.tokenFile: expected a path outside of what belongs/);
    expect(apps['own']).toMatchObject({ served: true });
    expect(apps['env']?.problems.join()).toContain(
      'which all apps of the node share; use secretstores.mounted',
    );
    expect(apps['fine']).toMatchObject({ served: true });
    expect(general.join()).toContain('found "-x"');
    // No word of components is none, not those that a developer's machine gets.
    expect(apps['empty']).toMatchObject({ served: true, components: [] });
  });

  it('makes folders and sockets that only the app and its group can use, and trusts no others', async () => {
    const gid = process.getgid?.() ?? 0;
    await write({
      'apps/orders.yaml': STORE,
      'apps/own.yaml': `app: {group: ${gid}}\n${STORE}`,
      'apps/linked.yaml': STORE,
    });
    await mkdir(join(dir, 'sockets'));
    await mkdir(join(dir, 'elsewhere'));
    await symlink(join(dir, 'elsewhere'), join(dir, 'sockets/linked'));
    await start();
    const mode = async (path: string): Promise<number> => (await lstat(path)).mode & 0o777;
    expect(await mode(dirname(socketOf('orders')))).toBe(0o700);
    expect(await mode(socketOf('orders'))).toBe(0o600);
    expect(await mode(dirname(socketOf('own')))).toBe(0o750);
    for (const file of ['session.sock', 'streams.sock'])
      expect(await mode(socketOf('own', file))).toBe(0o660);
    expect(problems('linked').join()).toContain('expected a folder of the user');
    expect(existsSync(join(dir, 'elsewhere/session.sock'))).toBe(false);

    await node?.drain(100);
    await chmod(join(dir, 'sockets'), 0o777);
    await expect(start()).rejects.toThrow('others may write there');
  });

  it('tells metrics by app, and answers probes on an address', async () => {
    await write({ 'apps/orders.yaml': STORE, 'apps/billing.yaml': STORE, 'apps/broken.yaml': 'x: 1\n' });
    await start();
    await ready('orders', 'billing');
    const orders = open('orders');
    await orders.save('store', 'k', 'v');
    await open('billing', 'orders').client.ended();
    const admin = { socketPath: join(dir, 'data', 'bridge-admin.sock') };
    const { body } = await http1(admin, 'GET', '/metrics');
    expect(body).toContain('layotto_bridge_app_up{app="orders"} 1\n');
    expect(body).toContain('layotto_bridge_app_up{app="broken"} 0\n');
    expect(body).toContain('layotto_bridge_sessions{app="orders"} 1\n');
    expect(body).toContain('layotto_bridge_app_refusals_total{app="billing",limit="identity"} 1\n');
    expect(body).toMatch(
      /layotto_bridge_backend_duration_seconds_count\{app="orders",component="store",.*\} 1\n/,
    );
    const families = [...body.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    expect(new Set(families).size).toBe(families.length);
    expect((await http1(admin, 'GET', '/readyz')).status).toBe(200);
    expect((await http1(admin, 'GET', '/livez')).status).toBe(200);
  });

  it('another one takes the places of all its bridges', async () => {
    await write({ 'apps/orders.yaml': STORE, 'apps/billing.yaml': STORE });
    let over = false;
    await start({ onTakenOver: () => (over = true) });
    await ready('orders', 'billing');
    const old = open('orders');
    await old.save('store', 'k', 'v');
    const first = node;
    await start({ takeover: true });
    await old.client.frame(Kind.GOAWAY);
    old.client.close();
    expect(await open('orders').get('store', 'k')).toBe('v');
    expect(await open('billing').get('store', 'k')).toBe('');
    await eventually('the first has nothing left to do', () => over);
    // What follows the files now is the second.
    await write({ 'apps/orders.yaml': 'components:\n  - {name: other, type: state.embedded}\n' });
    const later = open('orders');
    await eventually('it has the new component', () => later.get('other', 'k').then(() => true));
    await first?.drain(100);
    // The one that went has not taken the sockets along.
    expect(await open('orders').get('other', 'k')).toBe('');
  });
});

/** Calls over a session. */
class Caller {
  #id = 0;

  constructor(readonly client: SessionClient) {}

  async call(method: string, payload: Uint8Array): Promise<Uint8Array> {
    const id = ++this.#id;
    this.client.request(id, `${SERVICE}.${method}`, payload);
    const answered = await eventually('an answer', () =>
      this.client.frames.find((frame) => Number(frame.id) === id),
    );
    if (this.client.of(Kind.RESULT, id).length > 0) return answered.payload;
    throw Object.assign(new Error('failed'), { failure: await this.client.failure(id) });
  }

  async fails(call: () => Promise<unknown>): Promise<{ code: number; message: string }> {
    const error = await call().then(
      () => undefined,
      (thrown: { failure: { code: number; message: string } }) => thrown,
    );
    if (error === undefined) throw new Error('the call succeeded');
    return { code: error.failure.code, message: error.failure.message };
  }

  async save(storeName: string, key: string, value: string): Promise<void> {
    const request = create(state.SaveStateRequestSchema, {
      storeName,
      states: [{ key, value: Buffer.from(value) }],
    });
    await this.call('State/SaveState', toBinary(state.SaveStateRequestSchema, request));
  }

  async get(storeName: string, key: string): Promise<string> {
    const request = create(state.GetStateRequestSchema, { storeName, key });
    const answer = await this.call('State/GetState', toBinary(state.GetStateRequestSchema, request));
    return Buffer.from(fromBinary(state.GetStateResponseSchema, answer).data).toString();
  }

  async lock(storeName: string, resourceId: string, lockOwner: string): Promise<boolean> {
    const request = create(lock.TryLockRequestSchema, { storeName, resourceId, lockOwner, expire: 60 });
    const answer = await this.call('Lock/TryLock', toBinary(lock.TryLockRequestSchema, request));
    return fromBinary(lock.TryLockResponseSchema, answer).success;
  }

  async secret(storeName: string, key: string): Promise<string | undefined> {
    const request = create(secret.GetSecretRequestSchema, { storeName, key });
    const answer = await this.call('Secret/GetSecret', toBinary(secret.GetSecretRequestSchema, request));
    return fromBinary(secret.GetSecretResponseSchema, answer).data[key];
  }
}
