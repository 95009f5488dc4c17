import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import {
  HttpExtension_Verb,
  InvokeRequestSchema,
  InvokeResponseSchema,
  InvokeServiceRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/invoke_pb.js';
import { grpcFrame } from '../support/grpc-raw.js';
import type { RawAnswer, RawClient } from '../support/grpc-raw.js';
import { http1, type HttpAnswer } from '../support/http1.js';
import { InvokedApp, InvokedGrpcApp } from '../support/invoked-app.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime/InvokeService';
const DAPR = '/dapr.proto.runtime.v1.Dapr/InvokeService';

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

interface Sent {
  id?: string;
  method?: string;
  data?: string | Uint8Array;
  contentType?: string;
  verb?: HttpExtension_Verb;
  query?: string;
  headers?: Record<string, string>;
}

function message({
  id = 'orders',
  method = 'hello',
  data,
  contentType = 'text/plain',
  verb,
  query,
}: Sent): Buffer {
  const inner = create(InvokeRequestSchema, {
    method,
    contentType,
    ...(data === undefined ? {} : { data: { value: typeof data === 'string' ? Buffer.from(data) : data } }),
    ...(verb === undefined ? {} : { httpExtension: { verb, querystring: query ?? '' } }),
  });
  const request = { id, message: toBinary(InvokeRequestSchema, inner) };
  return grpcFrame(toBinary(InvokeServiceRequestSchema, create(InvokeServiceRequestSchema, request)));
}

function answered(answer: RawAnswer): { data: string; contentType: string } {
  expect(answer).toMatchObject({ grpcStatus: 0, grpcMessage: '' });
  expect(answer.messages).toHaveLength(1);
  const { data, contentType } = fromBinary(InvokeResponseSchema, answer.messages[0] ?? Buffer.alloc(0));
  return { data: Buffer.from(data?.value ?? []).toString(), contentType };
}

const { GET, POST, PUT, HEAD } = HttpExtension_Verb;

describe.each([false, true])('InvokeService, in hold mode: %s', (hold) => {
  let app: InvokedApp;
  let grpcApp: InvokedGrpcApp;
  let callee: Runtime;
  let runtime: Runtime;
  let client: RawClient;

  beforeAll(async () => {
    app = await InvokedApp.start('orders');
    grpcApp = await InvokedGrpcApp.start();
    const bare = { bridge: 'none', waitForComponents: false } as const;
    callee = await Runtime.start({ ...bare, appId: 'orders', appPort: app.port, inbound: true });
    runtime = await Runtime.start({
      ...bare,
      appId: 'shop',
      hold,
      callees: {
        orders: { to: [{ host: '127.0.0.1', port: callee.config.listen.inbound?.port ?? 0 }] },
        away: { to: [{ host: '127.0.0.1', port: await freePort() }] },
        speaks: { to: [{ host: '127.0.0.1', port: grpcApp.port }], protocol: 'grpc' },
      },
    });
    client = await runtime.connect();
  });

  afterAll(async () => {
    await Promise.all([runtime?.stop(), callee?.stop()]);
    await app?.kill();
    await grpcApp?.stop();
  });

  const call = (path: string, { headers = {}, ...sent }: Sent): Promise<RawAnswer> =>
    client.send({ path, headers, body: [message(sent)] });

  test.each([LAYOTTO, DAPR])('%s is an HTTP call, and its answer a message', async (path) => {
    const answer = await call(path, {
      method: 'a/b',
      data: 'hello',
      contentType: 'text/x-mine',
      verb: PUT,
      query: 'x=1&y=2',
      headers: { 'x-mine': 'm' },
    });
    const { data, contentType } = answered(answer);
    expect(contentType).toBe('application/json');
    expect(JSON.parse(data)).toEqual({ app: 'orders', method: 'PUT', url: '/a/b?x=1&y=2', body: 'hello' });
    expect(answer.headers).toMatchObject({ 'content-type': 'application/grpc', 'x-app': 'orders' });
    expect(answer.headers['content-length']).toBeUndefined();
    const { headers } = app.last;
    expect(headers).toMatchObject({
      'content-type': 'text/x-mine',
      'content-length': '5',
      'x-mine': 'm',
      'dapr-caller-app-id': 'shop',
      'dapr-callee-app-id': 'orders',
    });
    expect(headers['id']).toBe(path === LAYOTTO ? 'orders' : undefined);
    expect(answer.headers['dapr-http-status']).toBe(path === DAPR ? '200' : undefined);
    const strays = Object.keys(headers).filter((name) => /^(te|grpc-.*|x-envoy.*|x-layotto.*)$/.test(name));
    expect(strays).toEqual([]);
  });

  test.each([LAYOTTO, DAPR])('%s answers without a body, and with a large one', async (path) => {
    expect(answered(await call(path, { method: 'empty' }))).toEqual({ data: '', contentType: '' });
    expect(answered(await call(path, { method: 'hello', verb: HEAD })).data).toBe('');
    const large = Buffer.alloc(3 * 1024 * 1024, 0x61);
    // Its answer has trailers, too.
    const echoed = answered(await call(path, { method: 'echo', data: large, verb: POST }));
    expect(echoed.data.length).toBe(large.length);
    const tooLarge = await call(path, { data: Buffer.alloc(4 * 1024 * 1024), verb: POST });
    expect(tooLarge).toMatchObject({ grpcStatus: 8 });
    if (path === DAPR) expect(answered(await call(path, { method: 'status/204' })).data).toBe('');
  });

  test('a status other than 200 is what each API makes of it', async () => {
    expect(await call(LAYOTTO, { method: 'status/404' })).toMatchObject({
      grpcStatus: 14,
      grpcMessage: 'http response code 404, body: status 404',
      httpStatus: 200,
    });
    expect(await call(LAYOTTO, { method: 'status/204' })).toMatchObject({
      grpcStatus: 14,
      grpcMessage: 'http response code 204, body: ',
    });
    const table = {
      400: 13,
      401: 16,
      403: 7,
      404: 5,
      409: 6,
      429: 8,
      501: 12,
      503: 14,
      504: 4,
      500: 2,
      418: 2,
    };
    for (const [status, code] of Object.entries(table)) {
      const answer = await call(DAPR, { method: `status/${status}`, verb: POST });
      expect([status, answer.grpcStatus]).toEqual([status, code]);
      expect(answer.headers['dapr-http-status']).toBe(status);
    }
    const missing = await call(DAPR, { method: 'status/404' });
    expect(missing.grpcMessage).toBe('Not Found');
    expect(missing.details).toMatchObject({ code: 5, message: 'Not Found' });
    expect(missing.details?.details[0]?.typeUrl).toBe('type.googleapis.com/google.rpc.ErrorInfo');
  });

  test('timeouts are those that the caller asks for', async () => {
    const late = await call(LAYOTTO, { method: 'wait', headers: { rpc_request_timeout: '200' } });
    expect(late).toMatchObject({ grpcStatus: 14, grpcMessage: matching(/timeout/) });
    expect(late.ms).toBeLessThan(2500);
    const later = await call(LAYOTTO, { method: 'wait' });
    expect(later.grpcStatus).toBe(14);
    expect(later.ms).toBeGreaterThan(2500);
    expect(later.ms).toBeLessThan(6000);
    const own = await call(DAPR, { method: 'wait', headers: { 'grpc-timeout': '200m' } });
    expect([4, 14]).toContain(own.grpcStatus);
    expect(own.ms).toBeLessThan(2000);
  });

  test('who is unknown or not there is told in the words of each API', async () => {
    expect(await call(LAYOTTO, { id: 'nobody' })).toMatchObject({
      grpcStatus: 14,
      grpcMessage: "http response code 404, body: couldn't find service: nobody",
    });
    expect(await call(DAPR, { id: 'nobody' })).toMatchObject({
      grpcStatus: 13,
      grpcMessage: "failed to invoke, id: nobody, err: couldn't find service: nobody",
    });
    expect(await call(LAYOTTO, { id: 'away' })).toMatchObject({
      grpcStatus: 14,
      grpcMessage: matching(/^upstream connect error/),
    });
    expect(await call(DAPR, { id: 'away' })).toMatchObject({
      grpcStatus: 14,
      grpcMessage: matching(/^failed to invoke, id: away, err: upstream connect error/),
    });
    const malformed = await client.send({ path: DAPR, body: [grpcFrame(Buffer.from([10, 200]))] });
    expect(malformed.grpcStatus).toBe(3);
    expect((await call(DAPR, { method: 'a b\r\nx: y' })).grpcStatus).toBe(3);
  });

  test.each([LAYOTTO, DAPR])('a callee that speaks gRPC gets %s as OnInvoke', async (path) => {
    grpcApp.answer = (body) => {
      const { method, data } = fromBinary(InvokeRequestSchema, body);
      const value = Buffer.from(`${method} ${Buffer.from(data?.value ?? []).toString()}`);
      return Buffer.from(
        toBinary(
          InvokeResponseSchema,
          create(InvokeResponseSchema, { data: { value }, contentType: 'text/plain' }),
        ),
      );
    };
    const answer = await call(path, { id: 'speaks', method: 'm', data: 'd', verb: GET });
    expect(answered(answer)).toEqual({ data: 'm d', contentType: 'text/plain' });
    expect(grpcApp.calls.at(-1)?.path).toBe('/dapr.proto.runtime.v1.AppCallback/OnInvoke');
  });
});

describe.each([false, true])('HTTP calls to a callee that speaks gRPC, in hold mode: %s', (hold) => {
  const ON_INVOKE = '/dapr.proto.runtime.v1.AppCallback/OnInvoke';
  const MIB = 1024 * 1024;
  let app: InvokedGrpcApp;
  let runtime: Runtime;

  beforeAll(async () => {
    app = await InvokedGrpcApp.start();
    const to = [{ host: '127.0.0.1', port: app.port }];
    runtime = await Runtime.start({
      ...{ bridge: 'none', waitForComponents: false, appId: 'shop', hold },
      callees: {
        speaks: { to, protocol: 'grpc' },
        away: { to: [{ host: '127.0.0.1', port: await freePort() }], protocol: 'grpc' },
      },
    });
  });

  afterAll(async () => {
    await runtime?.stop();
    await app?.stop();
  });

  beforeEach(() => {
    app.failure = undefined;
    app.answer = (body) => {
      const { method, data, contentType, httpExtension } = fromBinary(InvokeRequestSchema, body);
      const { verb = -1, querystring = '' } = httpExtension ?? {};
      const said = [HttpExtension_Verb[verb], method, querystring, contentType, data?.value.length];
      return answerOf(JSON.stringify(said), 'application/x-mine');
    };
  });

  function answerOf(text: string, contentType = '', typeUrl = ''): Buffer {
    const data = { value: Buffer.from(text), typeUrl };
    return Buffer.from(toBinary(InvokeResponseSchema, create(InvokeResponseSchema, { data, contentType })));
  }

  const ask = (verb: string, path: string, body?: string | Buffer, headers = {}): Promise<HttpAnswer> =>
    http1(runtime.target, verb, path, { headers, ...(body === undefined ? {} : { body }) });
  const base = '/v1.0/invoke/speaks/method/';

  test('are OnInvoke, whatever names the callee', async () => {
    const type = { 'content-type': 'text/x-mine', 'x-mine': 'm' };
    const posted = await ask('POST', `${base}a/b?x=1&y=2`, 'hello', type);
    expect(posted).toMatchObject({ status: 200, body: '["POST","a/b","x=1&y=2","text/x-mine",5]' });
    expect(posted.headers).toMatchObject({ 'content-type': 'application/x-mine', 'x-head': 'h' });
    const strays = Object.keys(posted.headers).filter((name) => /^(grpc-|x-envoy|x-layotto)/.test(name));
    expect(strays).toEqual([]);
    const { path, headers } = app.calls.at(-1) ?? {};
    expect(path).toBe(ON_INVOKE);
    expect(headers).toMatchObject({
      ...{ ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', 'x-mine': 'm' },
      'dapr-caller-app-id': 'shop',
      'dapr-callee-app-id': 'speaks',
    });
    expect(headers?.['x-layotto-on-invoke']).toBeUndefined();
    const of = async (...call: Parameters<typeof ask>): Promise<string> => (await ask(...call)).body;
    expect(await of('GET', `${base}m`)).toBe('["GET","m","","",0]');
    expect(await of('DELETE', `${base}m`)).toBe('["DELETE","m","","",0]');
    expect(await of('PATCH', `${base}m`, '')).toBe('["PATCH","m","","",0]');
    expect(await of('GET', '/m?q', undefined, { 'dapr-app-id': 'Speaks' })).toBe('["GET","m","q","",0]');
    const chunked = { body: 'abc', chunked: true };
    expect(await http1(runtime.target, 'POST', `${base}m`, chunked)).toMatchObject({
      status: 200,
      body: '["POST","m","","",3]',
    });
    const user = { authorization: `Basic ${btoa('dapr-app-id:speaks')}` };
    expect(await of('PUT', '/m', 'x', user)).toBe('["PUT","m","","",1]');
    expect(await of('GET', '/v1.0/invoke/SPEAKS.default/method/m')).toBe('["GET","m","","",0]');
    expect(await ask('HEAD', `${base}m`)).toMatchObject({ status: 200, body: '' });
  });

  test('carry messages as long as they may be', async () => {
    app.answer = (body) => body;
    const large = Buffer.alloc(3 * MIB, 'a');
    app.answer = () => answerOf(large.toString());
    const answer = await ask('POST', `${base}m`, large);
    expect([answer.status, answer.body.length]).toEqual([200, large.length]);
    expect(answer.headers['content-type']).toBeUndefined();
    const tooLong = await ask('POST', `${base}m`, Buffer.alloc(5 * MIB));
    expect(tooLong.status).toBe(400);
    expect(JSON.parse(tooLong.body)).toMatchObject({ message: matching(/limits\.message/) });
    app.answer = () => answerOf('x', 'text/plain', 'type.googleapis.com/a.B');
    expect((await ask('GET', `${base}m`)).headers['content-type']).toBe('application/x-protobuf');
    app.answer = () => Buffer.alloc(0);
    expect(await ask('GET', `${base}m`)).toMatchObject({ status: 200, body: '' });
  });

  test.each([true, false])('tell a failure by the status of HTTP, at once: %s', async (atOnce) => {
    const table = { 1: 408, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409 };
    for (const [code, status] of Object.entries({ ...table, 11: 400, 12: 501, 13: 500, 14: 503, 16: 401 })) {
      app.failure = { status: Number(code), message: 'no %22such%22 th%C3%AFng%0A', atOnce };
      const answer = await ask('POST', `${base}m`, 'x');
      expect([code, answer.status]).toEqual([code, status]);
      expect(answer.headers['content-type']).toBe('application/json');
      expect(JSON.parse(answer.body)).toEqual({ code: Number(code), message: 'no "such" thïng\n' });
    }
    app.failure = { status: 5, message: 'bytes %FF%00', atOnce };
    expect(JSON.parse((await ask('GET', `${base}m`)).body)).toEqual({ code: 5, message: 'bytes ?\0' });
  });

  test('are told of what is no answer', async () => {
    app.answer = () => Buffer.from([10, 200]);
    const broken = await ask('GET', `${base}m`);
    app.answer = () => Buffer.alloc(2 * MIB, Buffer.from([16, 1]));
    expect((await ask('GET', `${base}m`)).status).toBe(500);
    expect([broken.status, JSON.parse(broken.body)]).toMatchObject([500, { code: 13 }]);
    // Data that end before their length says, and a type that no header can hold.
    for (const wrong of [Buffer.from([10, 5, 18, 1, 97]), answerOf('x', 'text/plain\r\nx-y: z')]) {
      app.answer = () => wrong;
      const answer = await ask('POST', `${base}m`, 'x');
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([500, { code: 13 }]);
    }
    const away = await ask('GET', '/v1.0/invoke/away/method/m');
    expect(away.status).toBe(500);
    expect(JSON.parse(away.body)).toMatchObject({
      errorCode: 'ERR_DIRECT_INVOKE',
      message: matching(/^failed to invoke, id: away, err: /),
    });
  });
});

describe('InvokeService with a channel that is not HTTP', () => {
  test.each(['dubbo', 'bolt'] as const)('is unimplemented by name: %s', async (channel) => {
    const runtime = await Runtime.start({ bridge: 'none', waitForComponents: false, invoke: { channel } });
    try {
      const client = await runtime.connect();
      expect(await client.send({ path: LAYOTTO, body: [message({})] })).toMatchObject({
        grpcStatus: 12,
        grpcMessage: `the ${channel} channel of InvokeService is not served by this version; the http channel is`,
      });
    } finally {
      await runtime.stop();
    }
  });
});
