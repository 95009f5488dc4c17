import { fileURLToPath } from 'node:url';

import { GetStateResponseSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { Status } from '../../cli/src/emulator/abi.js';
import { HostEmulator } from '../../cli/src/emulator/emulator.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';
import type { PluginConfiguration } from '../../envoy/plugin-config.js';
import { buildFunction } from '../../tools/function.mjs';
import { Kind } from '../support/frames.js';
import { FakeBridge } from './fake-bridge.js';
import { configuration } from './harness.js';

const BUSY = 'too busy: limits.operations or limits.bytes is reached; try again later';

let module: WebAssembly.Module;
let host: HostEmulator;
let bridge: FakeBridge;
let root: number;

beforeAll(async () => {
  const source = fileURLToPath(new URL('assembly/bounded-function.ts', import.meta.url));
  module = await WebAssembly.compile(await buildFunction(source));
}, 60_000);

beforeEach(() => start());

/** @returns whether the function took its configuration */
async function start(settings: object = {}, more: Partial<PluginConfiguration> = {}): Promise<boolean> {
  host = await HostEmulator.load(module);
  const plugin = { ...configuration(more), function: { id: 'bounded', ...settings } };
  const started = host.start(JSON.stringify(plugin));
  root = started.root;
  bridge = new FakeBridge(host);
  return started.ok;
}

function call(query: string, ...body: Uint8Array[]): HttpStream {
  const headers = {
    ':method': 'POST',
    ':path': `/a/b?${query}`,
    ':authority': 'localhost',
    'content-type': 'x/y',
  };
  return host.openStream(root).request(headers, ...body);
}

function said({ answer }: HttpStream): [status: number | undefined, text: string | undefined] {
  return [answer?.status, answer?.body.toString()];
}

const logged = (): string => host.logs.map(({ message }) => message).join('\n');

test('each call has its own time, from the making of its object on', () => {
  expect(said(call('do=turn'))).toEqual([200, '20000']);
  host.advance(root, 1_000);
  expect(said(call('do=turn'))).toEqual([200, '20000']);
});

test.each([
  [{}, 100],
  [{ turnMs: 2_000 }, 2_000],
])('a method that runs too long is ended: by settings %j after %d ms', async (settings, ms) => {
  await start(settings);
  // The making of the object and the method look at the clock twice each.
  host.nsPerReading = BigInt(ms - 10) * 1_000_000n;
  expect(() => call('do=turn')).toThrow();
  expect(logged()).toContain(`a function ran for ${ms} ms without a pause and is ended`);
});

test('a call waits for 64 answers at most, and is told of each thing more', () => {
  const stream = call('do=read&count=66');
  bridge.greet();
  const requests = bridge.requests();
  expect(requests).toHaveLength(64);
  expect(stream.answer).toBeUndefined();
  for (const request of requests) bridge.result(request, GetStateResponseSchema, {});
  const text = 'a call waits for at most 64 answers';
  expect(said(stream)).toEqual([200, `64: ${text}\n65: ${text}`]);
});

test('what takes more than the runtime may hold is refused, and room is given back', async () => {
  await start({}, { limits: { ...configuration().limits, operations: 2, bytes: 8_192 } });
  const [first, second] = [call('do=call'), call('do=call')];
  expect(said(call('do=nothing', Buffer.alloc(9_000)))).toEqual([429, BUSY]);
  expect([first.answer, second.answer]).toEqual([undefined, undefined]);
  expect(said(call('do=save&count=9000'))).toEqual([429, BUSY]);
  expect(said(call('do=echo', Buffer.alloc(8_000, 'x')))).toEqual([200, 'x'.repeat(8_000)]);
  expect(said(call('do=echo', Buffer.alloc(8_000, 'y')))).toEqual([200, 'y'.repeat(8_000)]);
});

test('what is longer than a message is not sent', () => {
  const length = configuration().limits.messageBytes;
  expect(said(call(`do=save&count=${length}`))).toEqual([429, 'it is larger than limits.message']);
  expect(bridge.open).toEqual([]);
});

test('what is asked of a bridge that is not there waits a little for it, and fails at once after that', () => {
  const text = 'the components bridge is not connected; calls are refused until it is back';
  host.grpc.openStatus = Status.InternalFailure;
  const first = call('do=read&count=1');
  expect(first.answer).toBeUndefined();
  host.advance(root, 10_000);
  expect(said(first)).toEqual([503, text]);
  expect(said(call('do=read&count=1'))).toEqual([503, text]);
});

test('an answer of the bridge that is none fails what asked for it', () => {
  const stream = call('do=read&count=1');
  bridge.greet();
  const { stream: session, frame } = bridge.lastRequest();
  bridge.send(session, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from([0xff]) });
  expect(said(stream)).toEqual([500, expect.stringContaining('cannot be read')]);
});

test('what is asked for waits no longer than is left of the call', async () => {
  await start({ deadlineMs: 5_000 });
  call('do=call');
  const timeouts = (): number[] => [...host.http.open.values()].map(({ timeoutMs }) => timeoutMs);
  expect(timeouts()).toEqual([5_000]);
  host.advance(root, 1_500);
  const [token] = [...host.http.open.keys()];
  host.callOnHttpCallResponse(token ?? 0, { ':status': '200' });
  expect(timeouts()).toEqual([3_500]);
});

test('a request that ends with trailers is a whole one', () => {
  const stream = host.openStream(root);
  const headers = {
    ':method': 'PUT',
    ':path': '/a%20b?do=echo',
    ':authority': 'localhost',
    'content-type': 'x/y',
  };
  stream.callOnRequestHeaders(headers, false);
  stream.callOnRequestBody(Buffer.from([0, 0xff, 7]), false);
  expect(stream.answer).toBeUndefined();
  stream.callOnRequestTrailers({ 'x-trailer': '1' });
  expect(stream.answer?.status).toBe(200);
  expect(stream.answer?.body).toEqual(Buffer.from([0, 0xff, 7]));
  expect(stream.answer?.headers.object()).toMatchObject({ 'content-type': 'x/y', 'x-path': 'PUT /a%20b' });
});

test('a call that neither answers nor asks is answered, and said in the log', () => {
  const text = 'the function has neither answered nor asked for anything';
  expect(said(call('do=nothing'))).toEqual([500, text]);
  expect(logged()).toContain(`function bounded: ${text}`);
});

test('only the first answer counts, and nothing is asked for behind it', () => {
  expect(said(call('do=twice'))).toEqual([200, 'first']);
  expect(bridge.open).toEqual([]);
});

test.each([
  [{ id: '' }, '"function" must have an "id"'],
  [{ inFlight: 0 }, 'function.inFlight'],
  [{ bodyBytes: -1 }, 'function.bodyBytes'],
  [{ deadlineMs: 'soon' }, 'function.deadlineMs'],
  [{ turnMs: 10_001 }, 'function.turnMs'],
])('the settings %j are refused, and why is said', async (settings, why) => {
  expect(await start(settings)).toBe(false);
  expect(logged()).toContain('the configuration of a function is refused: ');
  expect(logged()).toContain(why);
});
