import { create, toBinary } from '@bufbuild/protobuf';

import {
  InvokeRequestSchema,
  InvokeServiceRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/invoke_pb.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { FILTERS, TYPES } from '../../envoy/names.js';
import { grpcFrame } from '../support/grpc-raw.js';
import { http1 } from '../support/http1.js';
import type { HttpAnswer } from '../support/http1.js';
import { InvokedApp } from '../support/invoked-app.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

type Callees = NonNullable<RuntimeConfig['callees']>;
type Addresses = Callees[string]['to'];

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const failure = (message: unknown): object => ({ errorCode: 'ERR_DIRECT_INVOKE', message });
const ORDERS = '/v1.0/invoke/orders/method';

/** What was counted of a metric whose labels have these values. */
async function counted(runtime: Runtime, metric: string, labels: Record<string, string>): Promise<number> {
  const { body } = await http1({ port: runtime.config.envoy.metricsPort }, 'GET', '/metrics');
  const having = Object.entries(labels).map(([name, value]) => `(?=[^}]*\\b${name}="${value}")`);
  const lines = body.matchAll(new RegExp(`^${metric}\\{${having.join('')}[^}]*\\} (\\d+)$`, 'gm'));
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
}

describe('calls that the filter has nothing to say about', () => {
  let app: InvokedApp;
  let callee: Runtime;
  let dead: Runtime;
  let callees: Callees;
  let runtime: Runtime;
  const bare = { bridge: 'none', waitForComponents: false } as const;

  beforeAll(async () => {
    app = await InvokedApp.start('orders');
    callee = await Runtime.start({ ...bare, appId: 'orders', appPort: app.port, inbound: true });
    dead = await Runtime.start({ ...bare, appId: 'gone', appPort: await freePort(), inbound: true });
    const [to, gone] = [callee, dead].map(({ config }) => [
      { host: '127.0.0.1', port: config.listen.inbound?.port ?? 0 },
    ]) as [Addresses, Addresses];
    callees = {
      orders: { to },
      gone: { to: gone },
      'gone-grpc': { to: gone, protocol: 'grpc' },
      'orders.eu': { to: [], routes: [{ weight: 1, to }] },
      away: { to: [{ host: '127.0.0.1', port: await freePort() }] },
    };
    runtime = await Runtime.start({ ...bare, appId: 'shop', metrics: true, callees });
  });

  afterAll(async () => {
    await Promise.all([runtime?.stop(), callee?.stop(), dead?.stop()]);
    await app?.kill();
  });

  const filtered = (component: string): Promise<number> =>
    counted(runtime, 'layotto_operations_total', { primitive: 'invoke', component });
  const byEnvoy = (envoy_response_code: string, of = 'orders'): Promise<number> =>
    counted(runtime, 'envoy_cluster_upstream_rq', { callee: of, envoy_response_code });

  test('pass as they are, and Envoy counts them by callee and code', async () => {
    // What survives on the way is in invoke.spec.ts.
    const answer = await http1(runtime.target, 'POST', `${ORDERS}/hello`, { body: 'hello' });
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-'))).toEqual(['x-app']);
    for (const status of [204, 404, 500, 503]) {
      const said = await http1(runtime.target, 'GET', `${ORDERS}/status/${status}`);
      expect([said.status, said.headers['x-app']]).toEqual([status, 'orders']);
    }
    await eventually('Envoy has counted them', async () => (await byEnvoy('503')) === 1);
    expect(await byEnvoy('200')).toBe(1);
    // Envoy ends names of clusters at a dot.
    expect((await http1(runtime.target, 'GET', '/v1.0/invoke/orders.eu/method/hello')).status).toBe(200);
    await eventually('Envoy has counted it', async () => (await byEnvoy('200', 'orders.eu')) === 1);
    expect(await filtered('orders')).toBe(0);
  });

  test.each<[string, string, Record<string, string>]>([
    ['the header dapr-app-id', '/hello', { 'dapr-app-id': 'orders' }],
    [
      'basic authentication',
      '/hello',
      { authorization: `Basic ${Buffer.from('dapr-app-id:orders').toString('base64')}` },
    ],
    ['a path that has to be cleaned', `/${ORDERS}/hello`, {}],
    ['a host name', `${ORDERS}/hello`, { host: 'a.localhost' }],
  ])('it has those by %s', async (_what, path, headers) => {
    const before = await filtered('orders');
    const { status, body } = await http1(runtime.target, 'GET', path, { headers });
    expect([status, JSON.parse(body)]).toMatchObject([200, { app: 'orders', url: '/hello' }]);
    await eventually('the filter has counted it', async () => (await filtered('orders')) === before + 1);
  });

  test.each([
    ['from web pages', { origin: 'http://shop.example' }],
    ['for another host', { host: 'shop.example' }],
    ['for a host that begins like this machine', { host: '127.0.0.1.shop.example' }],
    ['for a host that ends like this machine', { host: 'shop.localhost.example' }],
  ])('those %s are refused', async (_what, headers) => {
    const calls = app.calls.length;
    const { status, body } = await http1(runtime.target, 'GET', `${ORDERS}/hello`, { headers });
    expect([status, JSON.parse(body)]).toMatchObject([403, { errorCode: 'ERR_PERMISSION_DENIED' }]);
    expect(app.calls).toHaveLength(calls);
  });

  test.each<[string, (id: string, method: string) => Promise<HttpAnswer>]>([
    [
      'by their path',
      (id, method) => http1(runtime.target, 'POST', `/v1.0/invoke/${id}/method/${method}`, { body: 'x' }),
    ],
    [
      'by a path that has to be cleaned',
      (id, method) => http1(runtime.target, 'POST', `//v1.0/invoke/${id}/method/${method}`, { body: 'x' }),
    ],
    [
      'by header',
      (id, method) =>
        http1(runtime.target, 'POST', `/${method}`, { headers: { 'dapr-app-id': id }, body: 'x' }),
    ],
  ])('%s: who is not there, or goes away, is said in the words of Dapr', async (_what, call) => {
    const away = await call('away', 'hello');
    expect([away.status, away.headers['content-type'], JSON.parse(away.body)]).toEqual([
      500,
      'application/json',
      failure(matching(/^failed to invoke, id: away, err: upstream connect error/)),
    ]);
    // Its own Envoy is there, the app goes away with the call in its hands.
    const lost = await call('orders', 'hang-up');
    expect([lost.status, lost.headers['x-layotto-unanswered'], JSON.parse(lost.body)]).toEqual([
      500,
      undefined,
      failure(matching(/^failed to invoke, id: orders, err: upstream connect error/)),
    ]);
  });

  test('an app that is gone behind its Envoy is said so whatever the call became on its way', async () => {
    for (const [callee, method, headers] of [
      ['gone', 'POST', {}],
      // Begins like gRPC, and is none.
      ['gone', 'POST', { 'content-type': 'application/grpc-web' }],
      ['gone-grpc', 'GET', {}],
    ] as const) {
      const path = `/v1.0/invoke/${callee}/method/hello`;
      const answer = await http1(runtime.target, method, path, { headers });
      expect([callee, answer.status, JSON.parse(answer.body)]).toEqual([
        callee,
        500,
        failure(matching(new RegExp(`^failed to invoke, id: ${callee}, err: `))),
      ]);
    }
  });

  test('an answer of a filter that stands before the runtime passes as it is', async () => {
    const lua = {
      name: 'closed',
      typed_config: {
        '@type': TYPES.lua,
        default_source_code: {
          inline_string:
            'function envoy_on_request(handle)\n  handle:respond({[":status"] = "503"}, "maintenance")\nend\n',
        },
      },
    };
    const closed = await Runtime.start({
      ...bare,
      appId: 'shop',
      callees,
      bootstrap: (rendered) => {
        const text = JSON.stringify(rendered);
        const first = JSON.stringify({ name: FILTERS.runtime }).slice(0, -1);
        return JSON.parse(text.replace(first, `${JSON.stringify(lua)},${first}`)) as typeof rendered;
      },
    });
    try {
      const { status, body } = await http1(closed.target, 'GET', `${ORDERS}/hello`);
      expect([status, body]).toEqual([503, 'maintenance']);
    } finally {
      await closed.stop();
    }
  });

  test('what InvokeService could not reach is said once', async () => {
    const client = await runtime.connect();
    const message = toBinary(InvokeRequestSchema, create(InvokeRequestSchema, { method: 'hello' }));
    const request = create(InvokeServiceRequestSchema, { id: 'away', message });
    const answer = await client.send({
      path: '/dapr.proto.runtime.v1.Dapr/InvokeService',
      body: [grpcFrame(toBinary(InvokeServiceRequestSchema, request))],
    });
    expect(answer.grpcMessage).toMatch(/^failed to invoke, id: away, err: upstream connect error/);
  });

  test.each([
    ['a token is asked for', { apiToken: 'secret' }, 401],
    [
      'a rule is about them',
      {
        policy: {
          default: 'allow' as const,
          trustDomain: 'cluster.local',
          rules: [
            {
              ...{ name: 'no', effect: 'deny' as const, apps: [], primitives: [], operations: [] },
              ...{ components: ['orders'], secrets: [], topics: [] },
            },
          ],
        },
      },
      403,
    ],
  ])('where %s, the filter has them all', async (_what, options, status) => {
    const asking = await Runtime.start({ ...bare, appId: 'shop', callees, ...options });
    try {
      const calls = app.calls.length;
      expect((await http1(asking.target, 'GET', `${ORDERS}/hello`)).status).toBe(status);
      expect(app.calls).toHaveLength(calls);
    } finally {
      await asking.stop();
    }
  });
});
