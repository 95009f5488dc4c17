import { join } from 'node:path';

import type { Child } from '../support/child.js';
import { http1 } from '../support/http1.js';
import { InvokedApp, InvokedGrpcApp } from '../support/invoked-app.js';
import { CommandLab } from '../support/layotto.js';
import { freePort } from '../support/ports.js';
import { steadyCalls } from '../support/steady-calls.js';
import type { SteadyCalls } from '../support/steady-calls.js';
import { eventually } from '../support/wait.js';

let lab: CommandLab;
let run: Child;
let apps: Record<'v1' | 'v2' | 'beta' | 'recorder', InvokedApp>;
let loads: SteadyCalls[];
let speaking: InvokedGrpcApp | undefined;
let proxy: number;

beforeEach(async () => {
  lab = await CommandLab.open();
  [loads, speaking] = [[], undefined];
  proxy = await freePort();
  const [v1, v2, beta, recorder] = await Promise.all(
    (['v1', 'v2', 'beta', 'recorder'] as const).map((name) => InvokedApp.start(name)),
  );
  if (!v1 || !v2 || !beta || !recorder) throw new Error('an app did not start');
  apps = { v1, v2, beta, recorder };
});

afterEach(async () => {
  await Promise.all(loads.map((load) => load.stop()));
  await lab.close();
  await Promise.all([...Object.values(apps).map((app) => app.kill()), speaking?.stop()]);
});

const at = (name: keyof typeof apps): string => `127.0.0.1:${apps[name].port}`;

function edit(callees: object | undefined, more: object = {}): void {
  lab.edit([], {
    app: { id: 'shop' },
    listen: { port: lab.port, proxy },
    limits: { deadline: '1s' },
    ...(callees && { callees }),
    ...more,
  });
}

async function start(callees?: object): Promise<void> {
  edit(callees);
  run = lab.layotto(['run', '-c', 'layotto.yaml', '--data-dir', lab.dataDir]);
  await lab.ready(run);
}

/** Waits until the run has said this after what it had said before. */
function saysAfter(edited: () => void, text: string): Promise<boolean> {
  const before = run.log.length;
  edited();
  return eventually(`layotto run says: ${text}`, () => run.log.slice(before).includes(text), {
    timeoutMs: 30_000,
  });
}

const invoke = (name: string, headers = {}) =>
  http1({ port: lab.port }, 'GET', `/v1.0/invoke/${name}/method/x`, { headers });

/** Which apps answer now, of so many calls. */
async function answers(name: string, count: number, headers = {}): Promise<string[]> {
  const found = new Set<string>();
  for (let i = 0; i < count; i++) {
    const { status, headers: got } = await invoke(name, headers);
    found.add(status === 200 ? String(got['x-app']) : String(status));
  }
  return [...found].sort();
}

function load(name: string, inflight: number, headers?: Record<string, string>): SteadyCalls {
  const calls = steadyCalls(lab.port, `/v1.0/invoke/${name}/method/x`, {
    inflight,
    ...(headers === undefined ? {} : { headers }),
  });
  loads.push(calls);
  return calls;
}

const admin = async (path: string): Promise<string> =>
  (await http1({ socketPath: join(lab.dataDir, 'envoy-admin.sock') }, 'GET', path)).body;

async function listenersModified(): Promise<string> {
  return (await admin('/stats?filter=listener_modified')).trim();
}

test('weights, routes, mirrors and addresses change, and callees come and go, with no call that fails', async () => {
  const shared = (v1: number, v2: number): object[] => [
    { weight: v1, to: at('v1') },
    { weight: v2, to: at('v2') },
  ];
  const before = { moves: at('v1'), stays: at('v1'), gone: at('v1') };
  await start({ orders: { routes: shared(99, 1) }, ...before });
  const orders = load('orders', 4);
  load('orders', 1, { 'x-version': 'beta' });
  const moves = load('moves', 2);
  const stays = load('stays', 1);
  await eventually('calls are answered', () => (orders.answered.get('v1') ?? 0) > 50);
  const slow = http1({ port: lab.port }, 'GET', '/v1.0/invoke/moves/method/wait');
  await eventually('a call waits', () => apps.v1.waiting.length === 1);

  const used = 'layotto: callees.orders: the new settings are in use';
  await saysAfter(() => edit({ orders: { routes: shared(1, 99) }, ...before }), used);
  const v2 = orders.answered.get('v2') ?? 0;
  const v1 = orders.answered.get('v1') ?? 0;
  await eventually('more calls are answered', () => (orders.answered.get('v2') ?? 0) > v2 + 500);
  expect((orders.answered.get('v1') ?? 0) - v1).toBeLessThan(100);

  // A route in front moves the others down: calls that have none of its headers must never go by it.
  const beta = { headers: { 'x-version': 'beta' }, to: at('beta') };
  const mirror = { to: at('recorder'), percent: 100 };
  const after = { moves: at('v2'), stays: at('v1'), more: at('v2') };
  await saysAfter(() => edit({ orders: { routes: [beta, ...shared(1, 99)], mirror }, ...after }), used);
  for (const said of ['moves: the new settings are in use', 'more: added', 'gone: removed'])
    expect(run.log).toContain(`layotto: callees.${said}\n`);
  expect(run.log).not.toContain('callees.stays');
  expect(await answers('orders', 10, { 'x-version': 'beta' })).toEqual(['beta']);
  expect(await answers('moves', 10)).toEqual(['v2']);
  expect(await answers('more', 10)).toEqual(['v2']);
  await eventually('the recorder has copies', () => apps.recorder.calls.length > 50);
  apps.v1.waiting.pop()?.writeHead(200, { 'x-app': 'v1' }).end();
  expect((await slow).headers['x-app']).toBe('v1');
  // As one that never was.
  const [gone, nobody] = await Promise.all(['gone', 'nobody'].map((name) => invoke(name)));
  expect(gone?.status).toBe(500);
  expect(JSON.parse(gone?.body ?? '')).toMatchObject({ errorCode: 'ERR_DIRECT_INVOKE' });
  expect(gone?.body.replaceAll('gone', 'nobody')).toBe(nobody?.body);

  // Plain calls know the same callees.
  const plain = await http1({ port: proxy }, 'GET', '/x', { headers: { host: 'more' } });
  expect([plain.status, plain.headers['x-app']]).toEqual([200, 'v2']);

  // The clusters of before go when the calls of before have had their time.
  await eventually(
    'no cluster is left of a callee that was removed',
    async () => !(await admin('/clusters')).includes('layotto_callee_gone'),
  );
  const failures = await Promise.all(loads.map((one) => one.stop()));
  expect(failures).toEqual(loads.map(() => ({})));
  expect(orders.answered.get('beta')).toBeUndefined();
  expect([...moves.answered.keys()]).toEqual(['v1', 'v2']);
  expect([...stays.answered.keys()]).toEqual(['v1']);
  expect(await listenersModified()).toBe('listener_manager.listener_modified: 0');
});

test('a wrong edit changes nothing, and what needs a restart is said', async () => {
  await start({ orders: at('v1') });
  const orders = load('orders', 4);
  await saysAfter(
    () => edit({ orders: at('v2'), wrong: 'nowhere' }),
    'layotto: the configuration is wrong; everything stays as it is',
  );
  expect(run.log).toContain('callees.wrong');
  expect(await answers('orders', 10)).toEqual(['v1']);
  const more = { invoke: { pattern: '{app}.internal:8080' } };
  await saysAfter(
    () => edit({ orders: at('v2') }, more),
    'layotto: callees.orders: the new settings are in use',
  );
  expect(run.log).toContain('layotto: invoke.pattern: needs a restart to change from nothing to ');
  expect(await answers('orders', 10)).toEqual(['v2']);
  expect(await orders.stop()).toEqual({});
});

test('the first callee that speaks gRPC comes, and a name that DNS does not know', async () => {
  speaking = await InvokedGrpcApp.start();
  await start();
  const speaks = { to: `127.0.0.1:${speaking.port}`, protocol: 'grpc' };
  await saysAfter(() => edit({ speaks, lost: 'lost.invalid:80' }), 'layotto: callees.speaks: added');
  await invoke('speaks');
  expect(speaking.calls.map(({ path }) => path)).toEqual(['/dapr.proto.runtime.v1.AppCallback/OnInvoke']);
  expect((await invoke('lost')).status).toBe(500);
});

test("places of the web come, change and go with Dapr's resources", async () => {
  const endpoint = (name: keyof typeof apps, key: string): string =>
    [
      'apiVersion: dapr.io/v1alpha1',
      'kind: HTTPEndpoint',
      'metadata: { name: web }',
      `spec: { baseUrl: "http://${at(name)}", headers: [{ name: x-key, value: ${key} }] }`,
    ].join('\n');
  const kept = 'apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: { name: kept }\n';
  lab.file('kept.yaml', `${kept}spec: { baseUrl: "http://${at('v1')}" }\n`);
  run = lab.run([], { options: ['--resources-path', lab.folder] });
  await lab.ready(run);
  const calls = load('kept', 2);
  await saysAfter(() => void lab.file('web.yaml', endpoint('v1', 'hush')), 'layotto: callees.web: added');
  expect(await answers('web', 3)).toEqual(['v1']);
  await saysAfter(
    () => void lab.file('web.yaml', endpoint('v2', 'quiet')),
    'layotto: callees.web: the new settings are in use',
  );
  expect(await answers('web', 3)).toEqual(['v2']);
  expect(apps.v2.last.headers['x-key']).toBe('quiet');
  expect(run.log).not.toMatch(/hush|quiet/);
  const metadata = await http1({ port: lab.port }, 'GET', '/v1.0/metadata');
  expect(JSON.parse(metadata.body)).toMatchObject({ httpEndpoints: [{ name: 'kept' }, { name: 'web' }] });
  expect(await calls.stop()).toEqual({});
});

test('a policy holds for calls that passed without the filter before, and they do again when it is gone', async () => {
  const callees = { orders: at('v1') };
  await start(callees);
  expect(await answers('orders', 5)).toEqual(['v1']);
  const rule = { name: 'closed', deny: { components: ['orders'] } };
  await saysAfter(() => edit(callees, { policy: { rules: [rule] } }), 'layotto: policy: now 1 rule');
  expect(await answers('orders', 20)).toEqual(['403']);
  expect(apps.v1.calls).toHaveLength(5);
  await saysAfter(() => edit(callees), 'layotto: policy: now none');
  expect(await answers('orders', 20)).toEqual(['v1']);
});
