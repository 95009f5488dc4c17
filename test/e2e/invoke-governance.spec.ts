import { connect } from 'node:net';

import { grpcFrame } from '../support/grpc-raw.js';
import { http1 } from '../support/http1.js';
import { InvokedApp, InvokedGrpcApp } from '../support/invoked-app.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const bare = { bridge: 'none', waitForComponents: false } as const;

/** Which app answered, of so many calls. */
async function answers(
  runtime: Runtime,
  path: string,
  count: number,
  headers = {},
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const { status, body } = await http1(runtime.target, 'GET', path, { headers });
    const name = status === 200 ? (JSON.parse(body) as { app: string }).app : String(status);
    found.set(name, (found.get(name) ?? 0) + 1);
  }
  return found;
}

describe('where invocations go is configuration', () => {
  let apps: InvokedApp[];
  let runtime: Runtime;

  beforeAll(async () => {
    apps = await Promise.all(['v1', 'v2', 'beta', 'recorder'].map((name) => InvokedApp.start(name)));
    const at = (name: string) => [
      { host: '127.0.0.1', port: apps.find((app) => app.name === name)?.port ?? 0 },
    ];
    runtime = await Runtime.start({
      ...bare,
      appId: 'shop',
      callees: {
        orders: {
          to: [],
          routes: [
            { headers: { 'x-version': 'beta' }, to: at('beta') },
            { weight: 75, to: at('v1') },
            { weight: 25, to: at('v2') },
          ],
          mirror: { to: at('recorder'), percent: 100 },
        },
        plain: { to: at('v1'), mirror: { to: at('recorder'), percent: 0 } },
      },
      invoke: {
        pattern: { kind: 'cluster', text: 'outbound|{port}||{app}.{namespace}.svc.cluster.local' },
        port: 8080,
      },
      policy: {
        default: 'allow',
        trustDomain: 'cluster.local',
        rules: [],
        limits: [
          {
            name: 'per-callee',
            apps: ['shop'],
            primitives: ['invoke'],
            operations: [],
            components: ['plain'],
            per: ['component'],
            perHour: 60,
            burst: 3,
          },
        ],
      },
      // A mesh's cluster, as istiod would have made it.
      bootstrap: (rendered) => {
        const resources = rendered['static_resources'] as { clusters: Record<string, unknown>[] };
        const [{ port } = { port: 0 }] = at('v2');
        const name = 'outbound|8080||stock.shops.svc.cluster.local';
        const address = { socket_address: { address: '127.0.0.1', port_value: port } };
        const endpoints = [{ lb_endpoints: [{ endpoint: { address } }] }];
        resources.clusters.push({ name, type: 'STATIC', load_assignment: { cluster_name: name, endpoints } });
        return rendered;
      },
    });
  });

  afterAll(async () => {
    await runtime?.stop();
    await Promise.all((apps ?? []).map((app) => app.kill()));
  });

  test('shares them out by weight, and gives the recorder a copy of each', async () => {
    const recorder = apps.find(({ name }) => name === 'recorder');
    const found = await answers(runtime, '/v1.0/invoke/orders/method/x?y=1', 200);
    expect([...found.keys()].sort()).toEqual(['v1', 'v2']);
    expect(found.get('v2')).toBeGreaterThan(20);
    expect(found.get('v2')).toBeLessThan(90);
    await eventually('every copy is there', () => recorder?.calls.length === 200);
    expect(recorder?.last).toMatchObject({ method: 'GET', url: '/x?y=1', headers: { host: 'orders' } });
  });

  test('chooses by headers', async () => {
    const found = await answers(runtime, '/v1.0/invoke/orders/method/x', 10, { 'x-version': 'beta' });
    expect(Object.fromEntries(found)).toEqual({ beta: 10 });
  });

  test('limits how often an app calls another', async () => {
    const found = await answers(runtime, '/v1.0/invoke/plain/method/x', 6);
    expect(Object.fromEntries(found)).toEqual({ v1: 3, 429: 3 });
  });

  test("finds apps by a pattern of the mesh's clusters", async () => {
    const recorder = apps.find(({ name }) => name === 'v2');
    const { status, body } = await http1(runtime.target, 'POST', '/v1.0/invoke/stock.shops/method/a?b', {
      headers: { 'x-layotto-cluster': 'layotto_session' },
      body: 'x',
    });
    expect([status, (JSON.parse(body) as { app: string }).app]).toEqual([200, 'v2']);
    expect(recorder?.last).toMatchObject({
      url: '/a?b',
      headers: { host: 'stock.shops.svc.cluster.local', 'dapr-callee-app-id': 'stock.shops' },
    });
    expect(recorder?.last.headers['x-layotto-cluster']).toBeUndefined();
    // A namespace without the app, and what could be the name of another cluster.
    for (const id of ['stock', 'x%7C%7C', 'a.b.c', '']) {
      const refused = await http1(runtime.target, 'GET', `/v1.0/invoke/${id}/method/a`);
      expect([id, refused.status >= 400]).toEqual([id, true]);
    }
    const unknown = await http1(runtime.target, 'GET', '/v1.0/invoke/nobody/method/a');
    expect(unknown).toMatchObject({ status: 500, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(unknown.body)).toEqual({
      errorCode: 'ERR_DIRECT_INVOKE',
      message: "failed to invoke, id: nobody, err: couldn't find service: nobody",
    });
  });
});

describe('an app whose cluster there is not', () => {
  test('is told as one that nobody knows, over gRPC in the words of each API', async () => {
    const runtime = await Runtime.start({
      ...bare,
      invoke: { pattern: { kind: 'cluster', text: 'outbound|{port}||{app}' }, port: 80 },
    });
    try {
      const client = await runtime.connect();
      const call = (path: string, headers = {}) =>
        client.send({
          path,
          headers,
          body: [grpcFrame(Buffer.from('\n\x06nobody\x12\x03\n\x01m', 'latin1'))],
        });
      const dapr = {
        grpcStatus: 13,
        grpcMessage: "failed to invoke, id: nobody, err: couldn't find service: nobody",
      };
      expect(await call('/dapr.proto.runtime.v1.Dapr/InvokeService')).toMatchObject(dapr);
      expect(await call('/any.Service/Call', { 'dapr-app-id': 'nobody' })).toMatchObject(dapr);
      expect(await call('/spec.proto.runtime.v1.Runtime/InvokeService')).toMatchObject({
        grpcStatus: 14,
        grpcMessage: "http response code 404, body: couldn't find service: nobody",
      });
    } finally {
      await runtime.stop();
    }
  });
});

describe("a pattern of DNS's names", () => {
  test('is looked up', async () => {
    const app = await InvokedApp.start('by-name');
    const runtime = await Runtime.start({
      ...bare,
      // Everything is on localhost, whose name every resolver knows.
      invoke: { pattern: { kind: 'dns', text: '{app}:{port}' }, port: app.port },
    });
    try {
      await eventually('it is found', async () => {
        const { status, body } = await http1(runtime.target, 'GET', '/v1.0/invoke/localhost/method/x');
        if (status !== 200) throw new Error(`${status} ${body}`);
        expect(JSON.parse(body)).toMatchObject({ app: 'by-name', url: '/x' });
        return true;
      });
    } finally {
      await runtime.stop();
      await app.kill();
    }
  });
});

describe('an instance that is not there', () => {
  test('loses no call that can be repeated, and says at once of others that they are lost', async () => {
    const app = await InvokedApp.start('alive');
    const dying = await InvokedApp.start('dying');
    const grpc = await InvokedGrpcApp.start();
    grpc.hangsUp = true;
    const gone = await freePort();
    const to = [app.port, gone].map((port) => ({ host: '127.0.0.1', port }));
    const runtime = await Runtime.start({
      ...bare,
      callees: {
        orders: { to },
        // Each answer of one of them is a reset.
        lossy: { to: [{ host: '127.0.0.1', port: dying.port }] },
        speaks: { to: [{ host: '127.0.0.1', port: grpc.port }], protocol: 'grpc' },
        never: { to: [{ host: '127.0.0.1', port: dying.port }], retries: 0 },
      },
    });
    try {
      for (let i = 0; i < 30; i++) {
        const { status } = await http1(runtime.target, 'POST', '/v1.0/invoke/orders/method/x', { body: 'x' });
        expect(status).toBe(200);
      }
      const count = (): number => dying.calls.length + grpc.calls.length;
      const tries = async (
        callee: string,
        method: string,
        headers = {},
        path = 'hang-up',
      ): Promise<number> => {
        const before = count();
        const { status } = await http1(runtime.target, method, `/v1.0/invoke/${callee}/method/${path}`, {
          headers,
        });
        expect(status).toBe(500);
        return count() - before;
      };
      const marked = { 'idempotency-key': 'k' };
      for (const method of ['GET', 'PUT', 'DELETE']) expect(await tries('lossy', method)).toBe(3);
      expect(await tries('lossy', 'POST', marked)).toBe(3);
      expect(await tries('lossy', 'POST')).toBe(1);
      expect(await tries('lossy', 'PATCH')).toBe(1);
      expect(await tries('never', 'GET')).toBe(1);
      // What has not reached the app may be repeated, though its own Envoy was reached.
      expect(await tries('lossy', 'POST', {}, 'unanswered/not-sent')).toBe(3);
      expect(await tries('lossy', 'POST', {}, 'unanswered/lost')).toBe(1);
      expect(await tries('lossy', 'GET', {}, 'unanswered/lost')).toBe(3);
      // The same of HTTP calls that are made the OnInvoke of an app, and of gRPC.
      expect(await tries('speaks', 'GET')).toBe(3);
      expect(await tries('speaks', 'POST', marked)).toBe(3);
      expect(await tries('speaks', 'POST')).toBe(1);
      expect(await tries('speaks', 'POST', { 'x-layotto-on-invoke': 'again' })).toBe(1);
      const client = await runtime.connect();
      for (const [headers, times] of [
        [marked, 3],
        [{}, 1],
      ] as const) {
        const before = count();
        const call = { path: '/any.Service/Call', body: [grpcFrame(Buffer.from('m'))] };
        const { grpcStatus } = await client.send({
          ...call,
          headers: { 'dapr-app-id': 'speaks', ...headers },
        });
        expect([grpcStatus, count() - before]).toEqual([14, times]);
      }
    } finally {
      await runtime.stop();
      await Promise.all([app.kill(), dying.kill(), grpc.stop()]);
    }
  });
});

test('an instance whose app is gone gets no calls for a while; one whose app answers errors does', async () => {
  const [app, other] = await Promise.all([InvokedApp.start('first'), InvokedApp.start('second')]);
  const [grpc, another] = await Promise.all([InvokedGrpcApp.start(), InvokedGrpcApp.start()]);
  const dead = await Runtime.start({ ...bare, appId: 'orders', appPort: await freePort(), inbound: true });
  const to = (...ports: (number | undefined)[]): { host: string; port: number }[] =>
    ports.map((port = 0) => ({ host: '127.0.0.1', port }));
  const runtime = await Runtime.start({
    ...bare,
    callees: {
      orders: { to: to(app.port, dead.config.listen.inbound?.port) },
      failing: { to: to(app.port, other.port) },
      down: { to: to(app.port, other.port) },
      speaks: { to: to(grpc.port, another.port) },
    },
  });
  const call = async (callee: string, path: string): Promise<number> =>
    (await http1(runtime.target, 'GET', `/v1.0/invoke/${callee}/method/${path}`)).status;
  const ejections = async (callee: string, suffix = '|http'): Promise<number> => {
    const stat = `cluster.layotto_callee_${callee}${suffix}.outlier_detection.ejections_enforced_total`;
    return (await runtime.stats(/outlier_detection\.ejections_enforced_total$/))[stat] ?? -1;
  };
  try {
    await eventually('it is left out', async () => {
      expect(await call('orders', 'x')).toBe(200);
      return (await ejections('orders')) === 1;
    });
    for (let i = 0; i < 20; i++) expect(await call('failing', 'status/500')).toBe(500);
    expect(await ejections('failing')).toBe(0);
    for (let i = 0; i < 20; i++) expect(await call('down', 'status/503')).toBe(503);
    expect(await ejections('down')).toBe(1);
    const client = await runtime.connect();
    const statusOf = async (): Promise<number | undefined> => {
      const body = [grpcFrame(Buffer.from('m'))];
      return (await client.send({ path: '/any.Service/Call', headers: { 'dapr-app-id': 'speaks' }, body }))
        .grpcStatus;
    };
    grpc.failure = another.failure = { status: 13, message: 'broken', atOnce: true };
    for (let i = 0; i < 20; i++) expect(await statusOf()).toBe(13);
    expect(await ejections('speaks', '')).toBe(0);
    grpc.failure = another.failure = { status: 14, message: 'not now', atOnce: true };
    for (let i = 0; i < 20; i++) expect(await statusOf()).toBe(14);
    expect(await ejections('speaks', '')).toBe(1);
  } finally {
    await Promise.all([runtime.stop(), dead.stop()]);
    await Promise.all([app.kill(), other.kill(), grpc.stop(), another.stop()]);
  }
});

test('a call is given up when its caller has gone', async () => {
  const app = await InvokedApp.start('slow');
  const runtime = await Runtime.start({
    ...bare,
    callees: { slow: { to: [{ host: '127.0.0.1', port: app.port }] } },
  });
  try {
    const socket = connect(runtime.port, '127.0.0.1');
    socket.write('GET /v1.0/invoke/slow/method/wait HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await eventually('the app has it', () => app.waiting.length === 1);
    const gone = new Promise((resolve) => app.waiting[0]?.once('close', resolve));
    socket.destroy();
    await gone;
  } finally {
    await runtime.stop();
    await app.kill();
  }
});
