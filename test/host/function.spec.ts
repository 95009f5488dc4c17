import { fileURLToPath } from 'node:url';

import { PublishEventRequestSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import {
  GetStateResponseSchema,
  SaveStateRequestSchema,
  SaveStateResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { fromBinary } from '@bufbuild/protobuf';
import { HostEmulator } from '../../cli/src/emulator/emulator.js';
import type { OpenedHttpCall } from '../../cli/src/emulator/http-calls.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';
import { buildFunction } from '../../tools/function.mjs';
import { Kind } from '../support/frames.js';
import { FakeBridge } from './fake-bridge.js';
import { configuration } from './harness.js';

const TOKEN_DIGEST = 'f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7'; // of "hunter2"
const PUBSUB = { name: 'pubsub', type: 'pubsub.redis', version: 'v1', primitive: 'pubsub', capabilities: [] };

let module: WebAssembly.Module;
let host: HostEmulator;
let bridge: FakeBridge;
let root: number;

beforeAll(async () => {
  const source = fileURLToPath(new URL('../e2e/assembly/asking-function.ts', import.meta.url));
  module = await WebAssembly.compile(await buildFunction(source));
}, 60_000);

beforeEach(() => start());

async function start(
  settings: Record<string, unknown> = {},
  more: { tokens?: string[]; limits?: Record<string, number> } = {},
): Promise<void> {
  host = await HostEmulator.load(module);
  const { components, limits } = configuration();
  const { tokens = [] } = more;
  const plugin = configuration({
    ...{ tokens, components: [...components, PUBSUB] },
    limits: { ...limits, ...more.limits },
  });
  const started = host.start(JSON.stringify({ ...plugin, function: { id: 'asks', ...settings } }));
  expect(started.ok).toBe(true);
  root = started.root;
  bridge = new FakeBridge(host);
}

/** Calls the function, which asks for something. */
function ask(query: string, headers: Record<string, string> = {}, body?: string): HttpStream {
  const method = body === undefined ? 'GET' : 'POST';
  const all = { ':method': method, ':path': `/?${query}`, ':authority': 'localhost', ...headers };
  const stream = host.openStream(root);
  return body === undefined ? stream.request(all) : stream.request(all, Buffer.from(body));
}

function onlyCall(): OpenedHttpCall {
  const [call, ...others] = host.http.open.values();
  if (call === undefined || others.length > 0) throw new Error(`${host.http.open.size} HTTP calls are open`);
  return call;
}

function said({ answer }: HttpStream): [status: number | undefined, text: string | undefined] {
  return [answer?.status, answer?.body.toString()];
}

const toFunction = `do=function&of=other&name=${encodeURIComponent('/x?y=1')}`;

test('another function is called at the listener of functions, and its answer comes to the call', () => {
  const stream = ask(toFunction, { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` });
  const { cluster, headers, timeoutMs, token } = onlyCall();
  expect(cluster).toBe('layotto_functions');
  expect(headers.object()).toEqual({
    ...{ ':method': 'GET', ':path': '/x?y=1', ':authority': 'localhost', id: 'other' },
    traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
  });
  expect(timeoutMs).toBe(15_000);
  expect(stream.answer).toBeUndefined();
  host.callOnHttpCallResponse(token, { ':status': '201', 'content-type': 'text/x' }, 'hello');
  expect(said(stream)).toEqual([201, 'other says hello']);
  expect(stream.answer?.headers.get('x-type')).toBe('text/x');
  expect(stream.gone).toBe(true);
});

test('an app is invoked, and the runtime asked, at the runtime itself', () => {
  ask(`do=invoke&of=shop&name=${encodeURIComponent('a/b?c=1')}`, {}, 'data');
  const { cluster, headers, body } = onlyCall();
  expect(cluster).toBe('layotto_self');
  expect(headers.get(':path')).toBe('/v1.0/invoke/shop/method/a/b?c=1');
  expect(headers.get('content-type')).toBe('text/x-test');
  expect(body.toString()).toBe('data');
});

test.each([
  ['nobody answers', {}, '', [503, 'AskFunction of other (14): it did not answer']],
  [
    'the answer is longer than a message may be',
    { ':status': '200' },
    'x'.repeat(4_194_305),
    [429, 'AskFunction of other (8): its answer is larger than limits.message'],
  ],
] as const)('it is told when %s', (_, headers, body, expected) => {
  const stream = ask(toFunction);
  host.callOnHttpCallResponse(onlyCall().token, { ...headers }, body);
  expect(said(stream)).toEqual(expected);
});

test('it is told what Envoy does not take', () => {
  host.http.unknown.add('layotto_functions');
  expect(said(ask(toFunction))).toEqual([
    503,
    'AskFunction of other (14): Envoy did not take the call: there is no such listener',
  ]);
  expect(said(ask('do=function&of=other&name=%2Fa%20b'))).toEqual([
    400,
    'AskFunction of other (3): escape what it is called with by encodeURIComponent',
  ]);
});

test('what comes for a caller that has gone harms nobody', () => {
  const gone = ask(toFunction);
  const { token } = onlyCall();
  gone.reset();
  host.callOnHttpCallResponse(token, { ':status': '200' }, 'late');
  expect(gone.answer).toBeUndefined();
  const next = ask(toFunction);
  host.callOnHttpCallResponse(onlyCall().token, { ':status': '200' }, 'in time');
  expect(said(next)).toEqual([200, 'other says in time']);
});

test('the token of the call goes with what it calls, and nothing without it is let in', async () => {
  await start({}, { tokens: [TOKEN_DIGEST] });
  expect(said(ask(toFunction))).toEqual([401, 'Unauthorized']);
  expect(host.http.open.size).toBe(0);
  ask(toFunction, { 'dapr-api-token': 'hunter2' });
  expect(onlyCall().headers.get('dapr-api-token')).toBe('hunter2');
});

test('a session is opened with the first thing that it asks the bridge for', () => {
  expect(said(ask('do=nothing'))).toEqual([400, 'do what?']);
  host.advance(root, 1_000);
  expect(bridge.open).toEqual([]);
  const stream = ask('do=get&of=statestore&name=k');
  expect(bridge.open.length).toBeGreaterThan(0);
  bridge.greet();
  const request = bridge.lastRequest();
  expect(request.frame.method).toBe('layotto.bridge.v1.State/GetState');
  bridge.result(request, GetStateResponseSchema, { data: Buffer.from('v'), etag: '7' });
  expect(said(stream)).toEqual([200, '7 v']);
});

test('failures of the bridge, and what there is not, come to the function', () => {
  const stream = ask('do=save&of=statestore&name=k&etag=1', {}, 'v');
  bridge.greet();
  const request = bridge.lastRequest();
  expect(fromBinary(SaveStateRequestSchema, request.frame.payload)).toMatchObject({
    storeName: 'statestore',
    states: [{ key: 'k', value: Buffer.from('v'), etag: { value: '1' } }],
  });
  bridge.failure(request, 10, 'somebody was faster');
  expect(said(stream)).toEqual([409, 'SaveState of k (10): somebody was faster']);
  expect(said(ask('do=get&of=nowhere&name=k'))).toEqual([
    404,
    'GetState of k (5): there is no state component "nowhere"; add it to components in layotto.yaml',
  ]);
});

test('an event is published as the app, with its content type', () => {
  ask('do=publish&of=pubsub&name=orders', { 'content-type': 'application/json' }, '{}');
  bridge.greet();
  const { frame } = bridge.lastRequest();
  expect(fromBinary(PublishEventRequestSchema, frame.payload)).toMatchObject({
    ...{ pubsubName: 'pubsub', topic: 'orders', dataContentType: 'application/json', envelope: 1 },
  });
});

test('calls under way are counted, and given back when they end, whoever ends them', async () => {
  await start({ inFlight: 2 });
  const [first, second] = [ask(toFunction), ask(toFunction)];
  expect(said(ask(toFunction))).toEqual([
    429,
    'function "asks" has 2 calls under way already; try again later',
  ]);
  first.reset();
  const third = ask(toFunction);
  expect(third.answer).toBeUndefined();
  const [, ofSecond] = [...host.http.open.keys()];
  host.callOnHttpCallResponse(ofSecond ?? 0, { ':status': '200' }, '');
  expect(second.answer?.status).toBe(200);
  expect(ask(toFunction).answer).toBeUndefined();
});

test('a call whose machine died is counted until it would be over, and no longer', async () => {
  await start({ inFlight: 1, deadlineMs: 1_000 });
  const lost = ask(toFunction);
  // It is counted in the span of time in which it came, and in the next one.
  host.advance(root, 2_000);
  expect(said(ask(toFunction))[0]).toBe(429);
  host.advance(root, 2_000);
  const last = ask(toFunction);
  expect(last.answer).toBeUndefined();
  // It ends in the span after its own.
  host.advance(root, 2_000);
  last.reset();
  expect(ask(toFunction).answer).toBeUndefined();
  expect(said(ask(toFunction))[0]).toBe(429);
  lost.reset();
  expect(said(ask(toFunction))[0]).toBe(429);
});

test('the end of a call that is not counted any more takes none off the count', async () => {
  await start({ inFlight: 2, deadlineMs: 1_000 });
  const late = ask(toFunction);
  host.advance(root, 2_000);
  ask(toFunction);
  host.advance(root, 2_000);
  late.reset();
  expect(ask(toFunction).answer).toBeUndefined();
  expect(said(ask(toFunction))[0]).toBe(429);
});

test('a body is as long as it may be, and no longer, before all of it is there', async () => {
  await start({ bodyBytes: 8 });
  expect(ask(toFunction, {}, '12345678').answer).toBeUndefined();
  const stream = host.openStream(root);
  const head = { ':method': 'POST', ':path': `/?${toFunction}`, ':authority': 'localhost' };
  stream.callOnRequestHeaders(head, false);
  stream.callOnRequestBody(Buffer.from('1234'), false);
  expect(stream.answer).toBeUndefined();
  stream.callOnRequestBody(Buffer.from('56789'), false);
  expect(said(stream)).toEqual([413, 'function "asks" takes bodies of at most 8 bytes']);
});

test('what calls held is given back, however they end', async () => {
  await start({}, { limits: { messageBytes: 60_000, bytes: 65_536, operations: 1 } });
  const body = 'x'.repeat(4_000);
  for (let n = 0; n < 500; n++) {
    expect(said(ask('do=nothing', {}, body))[0]).toBe(400);
    const stream = host.openStream(root);
    stream.callOnRequestHeaders({ ':method': 'POST', ':path': '/', ':authority': 'localhost' }, false);
    stream.callOnRequestBody(Buffer.from(body), false);
    stream.reset();
  }
  const save = 'do=save&of=statestore&name=k';
  const first = ask(save, {}, body);
  for (let n = 0; n < 100; n++)
    expect(said(ask(save, {}, body))).toEqual([
      429,
      'SaveState of k (8): too busy: limits.operations or limits.bytes is reached; try again later',
    ]);
  bridge.greet();
  bridge.result(bridge.lastRequest(), SaveStateResponseSchema, {});
  expect(said(first)).toEqual([201, 'saved k']);
  // It needs nearly all that there is.
  const second = ask(save, {}, 'x'.repeat(30_000));
  bridge.result(bridge.lastRequest(), SaveStateResponseSchema, {});
  expect(said(second)).toEqual([201, 'saved k']);
});

test('the bridge is told that nobody waits any more', () => {
  const stream = ask('do=get&of=statestore&name=k');
  bridge.greet();
  const { stream: session, frame } = bridge.lastRequest();
  stream.reset();
  expect(bridge.frames(session).at(-1)).toMatchObject({ kind: Kind.CANCEL, id: frame.id });
});

test('a call waits for so many answers, and for no more', () => {
  const stream = ask('do=many&of=statestore&name=64');
  bridge.greet();
  expect(bridge.requests()).toHaveLength(64);
  expect(stream.answer).toBeUndefined();
  const [status, text] = said(ask('do=many&of=statestore&name=65'));
  expect(status).toBe(429);
  expect(text).toContain('a call waits for at most 64 answers');
});

test('each method has the whole time without a pause, and what is left of the deadline', () => {
  const stream = ask('do=chain&of=statestore&name=k');
  bridge.greet();
  host.advance(root, 200);
  bridge.result(bridge.lastRequest(), GetStateResponseSchema, {});
  const { token, timeoutMs } = onlyCall();
  expect(timeoutMs).toBe(14_800);
  host.callOnHttpCallResponse(token, { ':status': '200' }, 'done');
  expect(said(stream)).toEqual([200, 'other says done']);
});
