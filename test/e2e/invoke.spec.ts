import { request } from 'node:http';
import { create, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';

import { GetMetadataResponseSchema } from '../../components-bridge/src/gen/dapr/proto/runtime/v1/metadata_pb.js';
import {
  InvokeRequestSchema,
  InvokeServiceRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/invoke_pb.js';
import type { PolicyConfig } from '../../components-bridge/src/policy/types.js';
import { configFolder } from '../support/config-files.js';
import { http1 } from '../support/http1.js';
import { grpcFrame } from '../support/grpc-raw.js';
import { InvokedApp, InvokedGrpcApp } from '../support/invoked-app.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';
import { pem, TlsFront } from '../support/tls-front.js';
import { eventually } from '../support/wait.js';

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const MIB = 1024 * 1024;
const none = { apps: [], primitives: ['invoke'], operations: [], components: [], secrets: [], topics: [] };

const limit = { apps: [], primitives: ['invoke'], operations: [], components: [], per: [] };

const policyOf = (filtered: boolean): PolicyConfig => ({
  default: 'allow',
  trustDomain: 'cluster.local',
  rules: [{ ...none, name: 'not-there', effect: 'deny', components: ['forbidden'] }],
  limits: [
    // About every invocation, so that all of them have the filter.
    ...(filtered ? [{ ...limit, name: 'all', perHour: 3_600_000, burst: 10_000 }] : []),
    { ...limit, name: 'few', components: ['limited'], perHour: 60, burst: 2 },
  ],
});

/** Callees by Dapr's resources of this kind. */
async function endpoints(plain: number, secure: number, elsewhere: number): Promise<object> {
  const folder = await configFolder();
  const resource = (name: string, spec: object): string =>
    JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'HTTPEndpoint', metadata: { name }, spec });
  const clientTLS = { rootCA: { value: pem('ca.pem') } };
  const headers = [{ name: 'X-Key', value: '100 %' }];
  await folder.write({
    'all.yaml': [
      resource('web', { baseUrl: `http://127.0.0.1:${plain}/api/`, headers }),
      resource('web-tls', { baseUrl: `https://localhost:${secure}`, clientTLS }),
      resource('web-untrusted', { baseUrl: `https://localhost:${secure}` }),
      resource('web-other', { baseUrl: `https://localhost:${elsewhere}`, clientTLS }),
    ].join('\n---\n'),
  });
  const { callees = {} } = await folder.config({ resourcesPath: 'all.yaml' });
  await folder.remove();
  return callees;
}

describe.each([
  ['through the filter', true],
  ['without it where that can be', false],
])('service invocation over HTTP, %s', (_how, filtered) => {
  let app: InvokedApp;
  let grpcApp: InvokedGrpcApp;
  let secure: TlsFront;
  let elsewhere: TlsFront;
  let callee: Runtime;
  let runtime: Runtime;

  beforeAll(async () => {
    app = await InvokedApp.start('orders');
    grpcApp = await InvokedGrpcApp.start();
    secure = await TlsFront.start(app.port);
    elsewhere = await TlsFront.start(app.port, { as: 'elsewhere' });
    const bare = { bridge: 'none', waitForComponents: false } as const;
    callee = await Runtime.start({ ...bare, appId: 'orders', appPort: app.port, inbound: true });
    const to = [{ host: '127.0.0.1', port: callee.config.listen.inbound?.port ?? 0 }];
    const direct = [{ host: '127.0.0.1', port: app.port }];
    runtime = await Runtime.start({
      ...bare,
      appId: 'shop',
      metrics: true,
      policy: policyOf(filtered),
      limits: { deadlineMs: 1000 },
      callees: {
        orders: { to },
        direct: { to: direct },
        short: { to, timeoutMs: 300 },
        away: { to: [{ host: '127.0.0.1', port: await freePort() }] },
        forbidden: { to },
        limited: { to },
        speaks: { to: [{ host: '127.0.0.1', port: grpcApp.port }] },
        ...(await endpoints(app.port, secure.port, elsewhere.port)),
      },
    });
  });

  afterAll(async () => {
    await Promise.all([runtime?.stop(), callee?.stop()]);
    await Promise.all([secure?.stop(), elsewhere?.stop()]);
    await app?.kill();
    await grpcApp?.stop();
  });

  test('by path: method, path, query, headers, body and status survive', async () => {
    const answer = await http1(runtime.target, 'PUT', '/v1.0/invoke/orders/method/a%2Fb/c?x=1&y=%20', {
      headers: { 'content-type': 'text/plain', 'x-mine': 'm', 'dapr-caller-app-id': 'forged' },
      body: 'hello',
    });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      app: 'orders',
      method: 'PUT',
      url: '/a%2Fb/c?x=1&y=%20',
      body: 'hello',
    });
    expect(answer.headers['x-app']).toBe('orders');
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-envoy'))).toEqual([]);
    const { headers } = app.last;
    expect(headers).toMatchObject({
      'x-mine': 'm',
      'dapr-caller-app-id': 'shop',
      'dapr-callee-app-id': 'orders',
      'dapr-caller-namespace': 'default',
      host: 'orders',
    });
    expect(Object.keys(headers).filter((name) => /^x-(envoy|layotto|request)/.test(name))).toEqual([]);
    for (const status of [204, 304, 404, 418, 500, 503]) {
      const said = await http1(runtime.target, 'GET', `/v1.0/invoke/orders/method/status/${status}`);
      expect([said.status, said.headers['x-app']]).toEqual([status, 'orders']);
    }
  });

  test.each<[string, Record<string, string>, string, string]>([
    ['the header dapr-app-id', { 'dapr-app-id': 'orders' }, '/some/path?q=1', '/some/path?q=1'],
    [
      'basic authentication',
      { authorization: `Basic ${Buffer.from('dapr-app-id:orders').toString('base64')}` },
      '/other',
      '/other',
    ],
    ['a path that has to be cleaned', {}, '//v1.0/invoke/orders/./method/x//y?z', '/x/y?z'],
    ['an id with its namespace', {}, '/v1.0/invoke/orders.default/method/ns', '/ns'],
    ['an id in other letters', {}, '/v1.0/invoke/ORDERS/method/caps', '/caps'],
  ])('by %s', async (_what, headers, path, url) => {
    const { status, body } = await http1(runtime.target, 'GET', path, {
      headers,
    });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ app: 'orders', url });
  });

  test("reaches a place of the web that Dapr's HTTPEndpoint names", async () => {
    const sent = { body: 'hello', headers: { 'x-key': 'mine', 'dapr-caller-app-id': 'forged' } };
    const { status, body } = await http1(runtime.target, 'POST', '/v1.0/invoke/web/method/a/b?x=1', sent);
    expect([status, JSON.parse(body)]).toMatchObject([
      200,
      { method: 'POST', url: '/api/a/b?x=1', body: 'hello' },
    ]);
    const { headers } = app.last;
    expect(headers).toMatchObject({ 'x-key': '100 %', host: `127.0.0.1:${app.port}` });
    expect(Object.keys(headers).filter((name) => name.startsWith('dapr-'))).toEqual([]);
    const named = await http1(runtime.target, 'GET', '/hello', { headers: { 'dapr-app-id': 'web-tls' } });
    expect([named.status, JSON.parse(named.body)]).toMatchObject([200, { url: '/hello' }]);
    expect(app.last.headers['host']).toBe(`localhost:${secure.port}`);
    const message = create(InvokeRequestSchema, {
      method: 'm',
      httpExtension: { verb: 4, querystring: 'q' },
    });
    const request = { id: 'web', message: toBinary(InvokeRequestSchema, message) };
    const client = await runtime.connect();
    const wrapped = await client.send({
      path: '/dapr.proto.runtime.v1.Dapr/InvokeService',
      body: [grpcFrame(toBinary(InvokeServiceRequestSchema, create(InvokeServiceRequestSchema, request)))],
    });
    expect(wrapped.grpcStatus).toBe(0);
    expect(app.last).toMatchObject({ method: 'PUT', url: '/api/m?q' });
    const before = app.calls.length;
    for (const name of ['web-untrusted', 'web-other']) {
      const refused = await http1(runtime.target, 'GET', `/v1.0/invoke/${name}/method/hello`);
      expect([name, refused.status]).toEqual([name, 500]);
      expect(JSON.parse(refused.body)).toMatchObject({
        errorCode: 'ERR_DIRECT_INVOKE',
        message: matching(/remote connection failure/),
      });
    }
    expect(app.calls).toHaveLength(before);
    const failures = await runtime.stats(/^cluster\.layotto_callee_web-.*\.ssl\.fail_verify_(error|san)$/);
    expect(failures['cluster.layotto_callee_web-untrusted.ssl.fail_verify_error']).toBeGreaterThan(0);
    expect(failures['cluster.layotto_callee_web-other.ssl.fail_verify_san']).toBeGreaterThan(0);
  });

  test('metadata name those places, by HTTP and gRPC, and no other callees', async () => {
    const httpEndpoints = ['web', 'web-tls', 'web-untrusted', 'web-other'].map((name) => ({ name }));
    const { body } = await http1(runtime.target, 'GET', '/v1.0/metadata');
    expect(JSON.parse(body)).toMatchObject({ httpEndpoints });
    const client = await runtime.connect();
    const path = '/dapr.proto.runtime.v1.Dapr/GetMetadata';
    const { messages } = await client.send({ path, body: [grpcFrame(new Uint8Array(0))] });
    const told = fromBinary(GetMetadataResponseSchema, messages[0] ?? new Uint8Array(0));
    expect(toJson(GetMetadataResponseSchema, told)).toMatchObject({ httpEndpoints });
    const none = await http1(callee.target, 'GET', '/v1.0/metadata');
    expect(Object.keys(JSON.parse(none.body) as object)).not.toContain('httpEndpoints');
  });

  test('bodies of any size and trailers pass both ways with nothing held back', async () => {
    const piece = Buffer.alloc(MIB, 0x61);
    const call = request({
      host: '127.0.0.1',
      port: runtime.port,
      method: 'POST',
      path: '/v1.0/invoke/orders/method/echo',
      headers: { 'transfer-encoding': 'chunked', trailer: 'x-end' },
    });
    const answered = new Promise<{ bytes: number; trailers: NodeJS.Dict<string> }>((resolve, reject) => {
      call.on('error', reject);
      call.on('response', (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          // The rest is sent when the first piece has come back: nobody waits for the whole.
          if (bytes === MIB) {
            let left = 31;
            const more = (): void => {
              while (left > 0) {
                left--;
                if (!call.write(piece)) return void call.once('drain', more);
              }
              call.addTrailers({ 'x-end': 'yes' });
              call.end();
            };
            more();
          }
        });
        response.on('end', () => resolve({ bytes, trailers: response.trailers }));
      });
    });
    call.write(piece);
    expect(await answered).toEqual({ bytes: 32 * MIB, trailers: { 'x-sum': String(32 * MIB) } });
    expect(app.last.trailers).toEqual({ 'x-end': 'yes' });
  });

  test("streams last beyond the runtime's own deadline", async () => {
    const events: string[] = [];
    const call = request({
      host: '127.0.0.1',
      port: runtime.port,
      path: '/v1.0/invoke/orders/method/events',
    });
    const over = new Promise<void>((resolve, reject) => {
      call.on('error', reject);
      call.on('response', (response) => {
        response.on('data', (chunk: Buffer) => events.push(chunk.toString()));
        response.on('end', () => resolve());
        response.on('error', reject);
      });
    });
    call.end();
    await eventually('the app has it', () => app.waiting.length === 1);
    app.waiting[0]?.write('data: 1\n\n');
    await eventually('the first event is here', () => events.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    app.waiting[0]?.end('data: 2\n\n');
    await over;
    app.waiting.length = 0;
    expect(events.join('')).toBe('data: 1\n\ndata: 2\n\n');
  });

  const direct = (message: unknown): object => ({ errorCode: 'ERR_DIRECT_INVOKE', message });

  test('who names no app, nobody, or somebody that is not there is told so', async () => {
    const call = async (path: string, headers: Record<string, string> = {}): Promise<[number, unknown]> => {
      const { status, body } = await http1(runtime.target, 'POST', path, { headers, body: 'x' });
      return [status, JSON.parse(body) as unknown];
    };
    const noId = direct('failed getting app id either from the URL path or the header dapr-app-id');
    expect(await call('/nothing')).toEqual([404, noId]);
    expect(await call('/v1.0/invoke/orders')).toEqual([404, noId]);
    const unknown = direct("failed to invoke, id: nobody, err: couldn't find service: nobody");
    expect(await call('/v1.0/invoke/nobody/method/x')).toEqual([500, unknown]);
    expect(await call('/x', { 'dapr-app-id': 'nobody' })).toEqual([500, unknown]);
    const [status, away] = await call('/v1.0/invoke/away/method/x');
    expect(status).toBe(500);
    expect(away).toEqual(direct(matching(/^failed to invoke, id: away, err: upstream connect error/)));
    const [late, timeout] = await call('/v1.0/invoke/short/method/wait');
    expect([late, timeout]).toEqual([500, direct(matching(/^failed to invoke, id: short, err: .*timeout/))]);
    app.waiting.length = 0;
    // Its own Envoy is there, the app is gone with the call in its hands.
    const [lost, gone] = await call('/v1.0/invoke/orders/method/hang-up');
    expect([lost, gone]).toEqual([500, direct(matching(/^failed to invoke, id: orders, err: /))]);
  });

  test('the policy and its limits are asked', async () => {
    const denied = await http1(runtime.target, 'GET', '/v1.0/invoke/forbidden/method/x');
    expect([denied.status, JSON.parse(denied.body) as unknown]).toEqual([
      403,
      {
        errorCode: 'ERR_PERMISSION_DENIED',
        message:
          'app "shop" may not call invoke InvokeService of component "forbidden": denied by the policy, rule "not-there"',
      },
    ]);
    const statuses = [];
    for (let i = 0; i < 3; i++)
      statuses.push((await http1(runtime.target, 'GET', '/v1.0/invoke/limited/method/x')).status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  test('by gRPC, whatever the service: messages, streams, headers, trailers and statuses survive', async () => {
    const client = await runtime.connect();
    const path = '/shop.Catalog/Get';
    const headers = { 'dapr-app-id': 'speaks', 'x-mine': 'm', 'grpc-timeout': '5S' };
    const answer = await client.send({ path, headers, body: [grpcFrame(Buffer.from('hello'))] });
    expect(answer).toMatchObject({ grpcStatus: 0, headers: { 'x-head': 'h' }, trailers: { 'x-tail': 't' } });
    expect(answer.messages.map(String)).toEqual(['hello']);
    expect(grpcApp.calls.at(-1)).toMatchObject({
      path,
      headers: { 'x-mine': 'm', 'dapr-caller-app-id': 'shop', 'dapr-callee-app-id': 'speaks' },
    });
    const failed = await client.send({
      path: '/shop.Catalog/Fail',
      headers: { 'dapr-callee-app-id': 'speaks', 'dapr-app-id': 'nobody' },
      body: [grpcFrame(Buffer.alloc(0))],
    });
    expect(failed).toMatchObject({ grpcStatus: 5, grpcMessage: 'no such thing' });
    // A stream of more than any message may be, longer than any call may take.
    const sent = Array.from({ length: 24 }, () => grpcFrame(Buffer.alloc(MIB, 1)));
    const chat = client.start({
      path: '/shop.Catalog/Chat',
      headers: { 'dapr-app-id': 'speaks' },
      body: [...sent.slice(0, 12), 1500, ...sent.slice(12)],
    });
    const streamed = await chat.answer;
    expect([streamed.grpcStatus, streamed.messages.length]).toEqual([0, 24]);
    const late = await client.send({
      path: '/shop.Catalog/Never',
      headers: { 'dapr-app-id': 'speaks', 'grpc-timeout': '300m' },
    });
    expect(late.grpcStatus).toBe(4);
    const away = await client.send({
      path,
      headers: { 'dapr-app-id': 'away' },
      body: [grpcFrame(Buffer.alloc(0))],
    });
    expect(away).toMatchObject({
      grpcStatus: 14,
      grpcMessage: matching(/^failed to invoke, id: away, err: upstream connect error/),
    });
    const unknown = await client.send({ path, headers: { 'dapr-app-id': 'nobody' } });
    expect(unknown).toMatchObject({
      grpcStatus: 13,
      grpcMessage: "failed to invoke, id: nobody, err: couldn't find service: nobody",
    });
    expect(await client.send({ path })).toMatchObject({
      grpcStatus: 12,
      grpcMessage: 'method /shop.Catalog/Get is not implemented by this runtime',
    });
  });

  test('what is served here is not passed on', async () => {
    const { status } = await http1(runtime.target, 'GET', '/v1.0/healthz', {
      headers: { 'dapr-app-id': 'orders' },
    });
    expect(status).not.toBe(200);
    const client = await runtime.connect();
    const hello = await client.send({
      path: '/spec.proto.runtime.v1.Runtime/SayHello',
      headers: { 'dapr-app-id': 'speaks' },
      body: [grpcFrame(Buffer.alloc(0))],
    });
    expect(hello.grpcMessage).toBe('no instance found');
  });

  test('every call that the filter saw is counted, by callee and code', async () => {
    await eventually('all of them', async () => {
      const { body } = await http1({ port: runtime.config.envoy.metricsPort }, 'GET', '/metrics');
      const of = (component: string, door: string, operation: string, code: string): number =>
        Number(
          new RegExp(
            `^layotto_operations_total\\{(?=[^}]*component="${component}")(?=[^}]*door="${door}")(?=[^}]*operation="${operation}")(?=[^}]*primitive="invoke")(?=[^}]*code="${code}")[^}]*\\} (\\d+)$`,
            'm',
          ).exec(body)?.[1] ?? 0,
        );
      expect(of('limited', 'dapr_http', 'InvokeService', '200')).toBe(2);
      expect(of('limited', 'dapr_http', 'InvokeService', '429')).toBe(1);
      expect(of('forbidden', 'dapr_http', 'InvokeService', '403')).toBe(1);
      expect(of('away', 'dapr_http', 'InvokeService', '500')).toBe(filtered ? 1 : 0);
      expect(of('away', 'dapr_grpc', 'Proxy', 'UNAVAILABLE')).toBe(1);
      expect(of('speaks', 'dapr_grpc', 'Proxy', 'OK')).toBe(2);
      expect(of('speaks', 'dapr_grpc', 'Proxy', 'NOT_FOUND')).toBe(1);
      expect(of('unknown', 'dapr_http', 'InvokeService', '500')).toBe(2);
      return true;
    });
  });
});
