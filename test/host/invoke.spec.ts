import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import { Action } from '../../cli/src/emulator/abi.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';
import {
  InvokeRequestSchema,
  InvokeResponseSchema,
  InvokeServiceRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/invoke_pb.js';
import { unframe } from '../support/grpc-raw.js';

import { configuration, Filter, grpcHeaders } from './harness.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime/InvokeService';
const DAPR = '/dapr.proto.runtime.v1.Dapr/InvokeService';
const WAY = '/v1.0/invoke/orders/method/hello';

const invoke = {
  callees: [{ name: 'orders' }, { name: 'slow', timeoutMs: 250 }, { name: 'speaks', grpc: true as const }],
  pattern: { text: 'outbound|80||{app}.{namespace}' },
  namespace: 'shops',
};

function message(id: string, data = 'x', method = 'hello'): Uint8Array {
  const inner = create(InvokeRequestSchema, {
    ...{ method, contentType: 'text/plain', data: { value: Buffer.from(data) } },
    httpExtension: { verb: 3, querystring: 'a=b' },
  });
  const request = { id, message: toBinary(InvokeRequestSchema, inner) };
  return toBinary(InvokeServiceRequestSchema, create(InvokeServiceRequestSchema, request));
}

/** How often a call was counted so, after the next tick. */
function counted(filter: Filter, door: string, operation: string, component: string, code: string): number {
  filter.advance(1_000);
  const labels = `;primitive=invoke;operation=${operation};component=${component};door=${door};code=${code}`;
  return filter.host.metric(`layotto_operations_total${labels}`) ?? 0;
}

function way(stream: HttpStream): string | undefined {
  return stream.requestHeaders.get(':path');
}

describe('a call that passes', () => {
  test('keeps its head if it has the spelling of its route, and its end is counted', async () => {
    const filter = await Filter.configured({ invoke });
    const stream = filter.http('POST', WAY, 'body');
    expect(stream.forwarded).toBe(true);
    expect(stream.requestHeaders.object()).toEqual({
      ...{ ':method': 'POST', ':path': WAY, ':authority': 'localhost:34904', ':scheme': 'http' },
    });
    expect(stream.passedBody?.toString()).toBe('body');
    stream.upstreamReply({ ':status': '418' }, Buffer.from('teapot'));
    expect(counted(filter, 'dapr_http', 'InvokeService', 'orders', '418')).toBe(1);
    filter.http('GET', WAY).reset();
    expect(counted(filter, 'dapr_http', 'InvokeService', 'orders', '499')).toBe(1);
  });

  test.each([
    ['another spelling', '/v1.0//invoke/orders/method/hello?q', {}, `${WAY}?q`],
    ['its own namespace', '/v1.0/invoke/orders.shops/method/hello', {}, WAY],
    ['a header', '/hello?q', { 'dapr-app-id': 'orders' }, `${WAY}?q`],
    ['a user', '/hello', { authorization: `Basic ${btoa('dapr-app-id:orders')}` }, WAY],
  ])('gets the path of its route: %s', async (_, path, headers, expected) => {
    const filter = await Filter.configured({ invoke });
    const stream = filter.http('GET', path, undefined, headers);
    expect([stream.forwarded, way(stream)]).toEqual([true, expected]);
  });

  test('by gRPC ends with the status of its trailers', async () => {
    const filter = await Filter.configured({ invoke });
    const stream = filter.grpc('/any.Service/Call', Buffer.from('m'), { 'dapr-app-id': 'orders' });
    expect([stream.forwarded, way(stream)]).toEqual([true, '/v1.0/invoke/orders/method/any.Service/Call']);
    stream.upstreamReply({ ':status': '200' }, Buffer.from('m'), { 'grpc-status': '5' });
    expect(counted(filter, 'dapr_grpc', 'Proxy', 'orders', 'NOT_FOUND')).toBe(1);
  });

  test('has the timeout of its callee, and the cluster that a pattern finds', async () => {
    const filter = await Filter.configured({ invoke });
    const slow = filter.http('GET', '/v1.0/invoke/slow/method/x').requestHeaders;
    expect(slow.get('x-envoy-upstream-rq-timeout-ms')).toBe('250');
    const forged = { 'x-layotto-cluster': 'layotto_session' };
    const found = filter.http('GET', '/v1.0/invoke/stock/method/x', undefined, forged).requestHeaders;
    expect(found.object()).toMatchObject({
      ...{ 'x-layotto-cluster': 'outbound|80||stock.shops', ':authority': 'stock.shops' },
      'dapr-callee-app-id': 'stock',
    });
  });

  test.each([
    ['cluster_not_found', "couldn't find service: stock", 13],
    ['no_healthy_upstream', 'no healthy upstream', 14],
  ])("is told of Envoy's own answer in the words of its API: %s", async (details, text, code) => {
    const filter = await Filter.configured({ invoke });
    filter.host.properties.set('response.code_details', Buffer.from(details));
    const http = filter.http('GET', '/v1.0/invoke/stock/method/x');
    http.envoyReply(503, text, 14);
    expect(http.answer?.status).toBe(500);
    expect(JSON.parse(http.answer?.body.toString() ?? '')).toEqual({
      errorCode: 'ERR_DIRECT_INVOKE',
      message: `failed to invoke, id: stock, err: ${text}`,
    });
    const grpc = filter.grpc('/any.Service/Call', Buffer.from('m'), { 'dapr-app-id': 'stock' });
    grpc.envoyReply(503, text, 14);
    const grpcMessage = `failed to invoke, id: stock, err: ${text}`;
    expect(grpc.answer).toMatchObject({ grpcStatus: code, grpcMessage });
    const layotto = filter.grpc(LAYOTTO, message('stock'));
    layotto.envoyReply(503, text, 14);
    const prefix = code === 13 ? 'http response code 404, body: ' : '';
    expect(layotto.answer).toMatchObject({ grpcStatus: 14, grpcMessage: `${prefix}${text}` });
  });

  test("is told of the callee's own answer as it is, also after one of Envoy's", async () => {
    const filter = await Filter.configured({ invoke });
    const { properties } = filter.host;
    const call = (): HttpStream => filter.http('GET', WAY);
    properties.set('response.code_details', Buffer.from('no_healthy_upstream'));
    const first = call();
    first.envoyReply(503, 'nobody', 14);
    expect(first.answer?.body.toString()).toContain('ERR_DIRECT_INVOKE');
    properties.set('response.code_details', Buffer.from('via_upstream'));
    for (const status of ['200', '503']) {
      const stream = call();
      stream.upstreamAnswer({ ':status': status }, Buffer.from('as it is'));
      expect([stream.answer?.status, stream.answer?.body.toString()]).toEqual([Number(status), 'as it is']);
    }
    // The callee's Envoy says that its app gave none, in Dapr's words.
    const lost = call();
    lost.upstreamAnswer({ ':status': '500', 'x-layotto-unanswered': 'lost' }, Buffer.from('{"errorCode":'));
    expect(lost.answer?.status).toBe(500);
    expect(lost.answer?.body.toString()).toBe('{"errorCode":');
    expect(lost.answer?.headers.has('x-layotto-unanswered')).toBe(false);
    const wrapped = filter.grpc(LAYOTTO, message('stock'));
    wrapped.upstreamAnswer(
      { ':status': '500', 'x-layotto-unanswered': 'lost' },
      Buffer.from('{"errorCode":'),
    );
    expect(wrapped.answer).toMatchObject({
      grpcStatus: 14,
      grpcMessage: expect.stringContaining('its Envoy was reached, the app gave no answer') as unknown,
    });
  });

  test('keeps the timeout that its caller asks for', async () => {
    const filter = await Filter.configured({ invoke });
    const asked = { 'x-envoy-upstream-rq-timeout-ms': '50' };
    const { requestHeaders } = filter.http('GET', '/v1.0/invoke/slow/method/x', undefined, asked);
    expect(requestHeaders.get('x-envoy-upstream-rq-timeout-ms')).toBe('50');
  });

  test('is refused if nobody is there by this name', async () => {
    const { callees, namespace } = invoke;
    const filter = await Filter.configured({ invoke: { callees, namespace } });
    expect(filter.http('GET', '/v1.0/invoke/nobody/method/x').answer?.status).toBe(500);
    const grpc = filter.grpc('/any.Service/Call', Buffer.from('m'), { 'dapr-app-id': 'nobody' });
    expect(grpc.answer?.grpcStatus).toBe(13);
    expect(filter.grpc(DAPR, message('nobody')).answer?.grpcStatus).toBe(13);
    expect(filter.grpc(LAYOTTO, message('nobody')).answer?.grpcStatus).toBe(14);
  });
});

describe('an HTTP call to a callee that speaks gRPC', () => {
  const path = '/v1.0/invoke/speaks/method/hello';

  test('passes, and is counted with the status that its caller gets', async () => {
    const filter = await Filter.configured({ invoke });
    const stream = filter.http('POST', path, 'body');
    expect([stream.forwarded, way(stream), stream.passedBody?.toString()]).toEqual([true, path, 'body']);
    stream.upstreamReply({ ':status': '404' }, Buffer.from('{}'));
    expect(counted(filter, 'dapr_http', 'InvokeService', 'speaks', '404')).toBe(1);
    const called = filter.http('GET', '/hello?q', undefined, { 'dapr-app-id': 'speaks' });
    expect([called.forwarded, way(called)]).toEqual([true, `${path}?q`]);
  });

  test('may be as long as a message, and counts in the budget', async () => {
    const limits = { ...configuration().limits, messageBytes: 8, bytes: 12 };
    const filter = await Filter.configured({ invoke, limits });
    const open = (...pieces: string[]): HttpStream => {
      const stream = filter.host.openStream(filter.root);
      const head = { ':method': 'POST', ':path': path, ':authority': 'localhost:34904', ':scheme': 'http' };
      expect(stream.callOnRequestHeaders(head, false)).toBe(Action.Continue);
      for (const piece of pieces)
        if (stream.answer === undefined) stream.callOnRequestBody(Buffer.from(piece), false);
      return stream;
    };
    expect(open('1234', '5678', '9').answer?.status).toBe(400);
    const long = filter.http('POST', path, '123456789');
    expect(long.answer?.status).toBe(400);
    expect(long.answer?.body.toString()).toContain('limits.message is 8 bytes');
    const first = open('1234', '5678');
    expect(first.answer).toBeUndefined();
    expect(open('12345').answer?.status).toBe(429);
    first.reset();
    expect(open('12345').answer).toBeUndefined();
  });
});

describe('InvokeService', () => {
  test.each([LAYOTTO, DAPR])(
    '%s: the request goes on as HTTP, the answer comes back as a message',
    async (path) => {
      const filter = await Filter.configured({ invoke });
      const stream = filter.grpc(path, message('orders', 'data'));
      expect(stream.forwarded).toBe(true);
      expect(stream.requestHeaders.object()).toMatchObject({
        ...{ ':path': `${WAY}?a=b`, ':method': 'POST', 'content-type': 'text/plain', 'content-length': '4' },
      });
      expect(stream.requestHeaders.has('te')).toBe(false);
      expect(stream.passedBody?.toString()).toBe('data');
      stream.upstreamAnswer({ ':status': '200', 'content-type': 'text/x' }, Buffer.from('answer'));
      expect(stream.answer).toMatchObject({ status: 200, grpcStatus: 0 });
      const [body = Buffer.alloc(0)] = unframe(stream.answer?.body ?? Buffer.alloc(0));
      const { data, contentType } = fromBinary(InvokeResponseSchema, body);
      expect([Buffer.from(data?.value ?? []).toString(), contentType]).toEqual(['answer', 'text/x']);
    },
  );

  test('an answer is as long as a message may be, and its room is given back', async () => {
    const limits = { ...configuration().limits, messageBytes: 1_000, bytes: 4_000 };
    const filter = await Filter.configured({ invoke, limits });
    const answered = (size: number, more: Record<string, string> = {}): HttpStream => {
      const stream = filter.grpc(DAPR, message('orders'));
      stream.upstreamAnswer({ ':status': '200', ...more }, Buffer.alloc(size, 'x'));
      return stream;
    };
    for (let n = 0; n < 20; n++) expect(answered(900).answer?.grpcStatus).toBe(0);
    expect(answered(1_000).answer?.grpcStatus).toBe(0);
    expect(answered(1_001).answer).toMatchObject({
      grpcStatus: 8,
      grpcMessage: expect.stringContaining('limits.message') as string,
    });
    // The reply filter had to give it a body, so that there is one to put the message in.
    const [body = Buffer.alloc(0)] = unframe(
      answered(1, { 'x-layotto-empty': '1' }).answer?.body ?? Buffer.alloc(0),
    );
    expect(fromBinary(InvokeResponseSchema, body).data?.value.length ?? 0).toBe(0);
  });

  test('in hold mode, what is to change in the head stands before the body', async () => {
    const filter = await Filter.configured({ invoke, hold: true });
    const stream = filter.host.openStream(filter.root);
    expect(stream.callOnRequestHeaders(grpcHeaders(DAPR), false)).toBe(Action.Continue);
    const framed = Buffer.concat([Buffer.alloc(5), message('orders', 'a\n\nb')]);
    framed.writeUInt32BE(framed.length - 5, 1);
    expect(stream.callOnRequestBody(framed, true)).toBe(Action.Continue);
    // The head is out of reach.
    expect(way(stream)).toBe(DAPR);
    const lines = stream.passedBody?.toString().split('\n') ?? [];
    const end = lines.findIndex((line, at) => at % 2 === 0 && line === '');
    const changes = Object.fromEntries(
      Array.from({ length: end / 2 }, (_, n) => [lines[2 * n] ?? '', lines[2 * n + 1]]),
    );
    expect(changes).toMatchObject({ ':path': `${WAY}?a=b`, ':method': 'POST', te: '', 'x-layotto-hold': '' });
    expect(changes['content-length']).toBe('4');
    expect(lines.slice(end + 1).join('\n')).toBe('a\n\nb');
  });
});

test('bytes that mean nothing are refused or passed, and the next call is served', async () => {
  const filter = await Filter.configured({ invoke });
  let seed = 11;
  const random = (below: number): number =>
    Math.floor(((seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31) * below);
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)));
  const paths = ['/v1.0/invoke/', '/v1.0/invoke/orders/', '/v1.0/invoke/orders/method', '/', ''];
  for (let i = 0; i < 400; i++) {
    const good = Buffer.from(message(['orders', 'speaks', 'stock'][random(3)] ?? '', 'data', `m${i}`));
    for (let n = random(6); n > 0; n--) good[random(good.length)] = random(256);
    const bytes = random(3) === 0 ? noise(random(200)) : good;
    const call = filter.grpc(random(2) === 0 ? LAYOTTO : DAPR, bytes);
    if (call.answer === undefined)
      call.upstreamAnswer(
        { ':status': String(random(1000)), 'content-type': noise(9).toString('latin1') },
        noise(1 + random(50)),
      );
    const path = `${paths[random(5)]}${noise(random(20)).toString('latin1')}`;
    const headers = { 'dapr-app-id': noise(random(12)).toString('latin1') };
    const http = filter.http('GET', path, undefined, random(2) === 0 ? headers : {});
    if (http.answer === undefined)
      http.upstreamAnswer({ ':status': noise(random(5)).toString('latin1') }, noise(1 + random(50)));
  }
  filter.http('GET', WAY).upstreamReply({ ':status': '200' }, Buffer.from('x'));
  expect(counted(filter, 'dapr_http', 'InvokeService', 'orders', '200')).toBe(1);
  expect(filter.complaints).toEqual([]);
});
