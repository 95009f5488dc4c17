import { Action } from '../../cli/src/emulator/abi.js';
import { configuration, Filter, grpcHeaders } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const GET_FILE = '/spec.proto.runtime.v1.Runtime/GetFile';
const PUT_FILE = '/spec.proto.runtime.v1.Runtime/PutFile';
const FILE = { name: 'files', type: 'file.local', version: 'v1', primitive: 'file', capabilities: [] };

function limits(streams: number) {
  return { ...configuration().limits, streams };
}

/** The filter, with a file store, and no session: streams need none. */
function filter(overrides: Parameters<typeof configuration>[0] = {}): Promise<Filter> {
  return Filter.configured({ components: [FILE], ...overrides });
}

/** Opens a stream and does not end its request. */
function open(from: Filter, path = PUT_FILE, headers: Record<string, string> = {}): HttpStream {
  const stream = from.host.openStream(from.root);
  stream.callOnRequestHeaders({ ...grpcHeaders(path), ...headers }, false);
  return stream;
}

function counted(from: Filter, operation: string, code: string): number | undefined {
  from.advance(1_000);
  const labels = `;primitive=file;operation=${operation};component=none;door=layotto_grpc;code=${code}`;
  return from.host.metric(`layotto_operations_total${labels}`);
}

describe('streams pass', () => {
  test.each([false, true])('without being held or read, in hold mode: %s', async (hold) => {
    const passing = await filter({ hold });
    const stream = passing.host.openStream(passing.root);
    const headers = { ...grpcHeaders(PUT_FILE), 'x-layotto-hold': '1' };
    expect(stream.callOnRequestHeaders(headers, false)).toBe(Action.Continue);
    expect(stream.requestHeaders.get('x-layotto-hold')).toBeUndefined();
    // Longer than any message may be; and no gRPC at all.
    const before = passing.host.memoryBytes;
    for (let i = 0; i < 8; i++) {
      expect(stream.callOnRequestBody(Buffer.alloc(4 * 1024 * 1024, 0xff), false)).toBe(Action.Continue);
    }
    expect(passing.host.memoryBytes).toBe(before);
    expect(stream.callOnRequestBody(Buffer.alloc(1), true)).toBe(Action.Continue);
    expect(stream.forwarded).toBe(true);
    expect(stream.localReplies).toEqual([]);
    stream.upstreamReply({ ':status': '200' }, Buffer.alloc(10), { 'grpc-status': '0' });
    expect(stream.responseHeaders?.get('grpc-status')).toBeUndefined();
    expect(counted(passing, 'PutFile', 'OK')).toBe(1);
  });

  test('and their ends are counted by their status', async () => {
    const passing = await filter();
    open(passing).upstreamReply({ ':status': '200', 'grpc-status': '3' });
    open(passing, GET_FILE).upstreamReply({ ':status': '200' }, Buffer.alloc(1), { 'grpc-status': '13' });
    open(passing, GET_FILE).reset();
    open(passing, GET_FILE).upstreamReply({ ':status': '200' }, Buffer.alloc(1), { 'grpc-status': 'x' });
    expect(counted(passing, 'PutFile', 'INVALID_ARGUMENT')).toBe(1);
    expect(counted(passing, 'GetFile', 'INTERNAL')).toBe(1);
    expect(counted(passing, 'GetFile', 'CANCELLED')).toBe(1);
    expect(counted(passing, 'PutFile', 'OK')).toBeUndefined();
  });

  test('and what Envoy says of a bridge that is away is said of the bridge', async () => {
    const passing = await filter();
    const away = open(passing);
    away.envoyReply(503, 'upstream connect error or disconnect/reset before headers', 14);
    expect(away.answer).toMatchObject({
      grpcStatus: 14,
      grpcMessage:
        'the components bridge cannot be reached, or has gone: upstream connect error or disconnect/reset before headers',
    });
    const none = open(passing);
    none.envoyReply(503, 'no healthy upstream', 14);
    expect(none.answer?.grpcMessage).toContain('bridge cannot be reached, or has gone: no healthy upstream');
    const own = open(passing);
    own.upstreamReply({ ':status': '200', 'grpc-status': '14', 'grpc-message': 'file store is not ready' });
    expect(own.responseHeaders?.get('grpc-message')).toBe('file store is not ready');
    const late = open(passing);
    late.envoyReply(504, 'stream timeout', 4);
    expect(late.answer).toMatchObject({ grpcStatus: 4, grpcMessage: 'stream timeout' });
    expect(counted(passing, 'PutFile', 'UNAVAILABLE')).toBe(3);
    expect(counted(passing, 'PutFile', 'DEADLINE_EXCEEDED')).toBe(1);
  });

  test('beside other calls, whose contexts are used again', async () => {
    const passing = await Filter.connected({ components: [...configuration().components, FILE] });
    const streams = Array.from({ length: 20 }, () => open(passing));
    for (let i = 0; i < 20; i++) {
      const call = passing.grpc('/spec.proto.runtime.v1.Runtime/Nothing', new Uint8Array(0));
      expect(call.answer?.grpcStatus).toBe(12);
      expect(streams[i]?.callOnRequestBody(Buffer.alloc(100), false)).toBe(Action.Continue);
      expect(streams[i]?.answer).toBeUndefined();
    }
    passing.advance(1_000);
    expect(passing.host.metric('layotto_streams_open')).toBe(20);
    for (const stream of streams) stream.reset();
    passing.advance(1_000);
    expect(passing.host.metric('layotto_streams_open')).toBe(0);
  });
});

describe('heads of streams are refused', () => {
  test('when no component serves them', async () => {
    const none = await filter({ components: [] });
    for (const path of [GET_FILE, PUT_FILE]) {
      const { answer } = open(none, path);
      expect(answer).toMatchObject({
        grpcStatus: 3,
        grpcMessage: 'no file store is configured; add a component of a type that starts with file.',
      });
    }
    expect(counted(none, 'GetFile', 'INVALID_ARGUMENT')).toBe(1);
  });

  test('when they break the rules of access', async () => {
    const digest = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b';
    const guarded = await filter({ tokens: [digest] });
    const refused = (headers: Record<string, string>) => open(guarded, GET_FILE, headers).answer?.grpcStatus;
    expect(refused({})).toBe(16);
    expect(refused({ 'dapr-api-token': 'wrong' })).toBe(16);
    expect(refused({ 'dapr-api-token': 'secret', origin: 'http://a.example' })).toBe(7);
    expect(refused({ 'dapr-api-token': 'secret', ':authority': 'a.example' })).toBe(7);
    expect(refused({ 'dapr-api-token': 'secret' })).toBeUndefined();
    // No gRPC: Envoy has no stream route for it, so it must not pass here either.
    expect(
      open(guarded, GET_FILE, { 'dapr-api-token': 'secret', 'content-type': 'text/plain' }).forwarded,
    ).toBe(false);
  });

  test('when too many are open, until one has ended', async () => {
    const narrow = await filter({ limits: limits(2) });
    const [first] = [open(narrow), open(narrow)];
    expect(open(narrow).answer).toMatchObject({
      grpcStatus: 8,
      grpcMessage: 'too many open streams: limits.streams is reached; try again later',
    });
    narrow.advance(1_000);
    expect(narrow.host.metric('layotto_limit_refusals_total;limit=streams')).toBe(1);
    first?.reset();
    expect(open(narrow).answer).toBeUndefined();
    expect(open(narrow).answer?.grpcStatus).toBe(8);
  });

  test('whatever stands in them, and none traps', async () => {
    const passing = await filter();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1');
    for (const text of ['', bytes, 'x'.repeat(60_000), '%', '\u0000']) {
      for (const name of ['traceparent', 'grpc-timeout', 'user-agent', 'grpc-encoding', ':authority']) {
        const stream = open(passing, GET_FILE, { [name]: text });
        stream.upstreamReply({ ':status': '200', 'grpc-status': text, 'grpc-message': text });
      }
      open(passing, `${GET_FILE}?${text}`).reset();
      open(passing, GET_FILE + text).reset();
    }
    expect(open(passing).answer).toBeUndefined();
    expect(passing.complaints).toEqual([]);
  });
});

describe('calls about files', () => {
  const call = (from: Filter, method: string, message: Uint8Array) =>
    from.grpc(`/spec.proto.runtime.v1.Runtime/${method}`, message).answer;

  test.each(['ListFile', 'DelFile', 'GetFileMeta'])('%s is checked before it is asked', async (method) => {
    const connected = await Filter.connected({ components: [FILE] });
    const request = (store: string): Buffer =>
      Buffer.from([0x0a, store.length + 2, 0x0a, store.length, ...Buffer.from(store)]);
    expect(call(connected, method, Buffer.from([0xff]))).toMatchObject({ grpcStatus: 3 });
    expect(call(connected, method, new Uint8Array(0))).toMatchObject({
      grpcStatus: 3,
      grpcMessage: "request can't be nil",
    });
    expect(call(connected, method, request('nope'))).toMatchObject({
      grpcStatus: 3,
      grpcMessage: 'not support store type: nope',
    });
    expect(call(connected, method, request('files'))).toBeUndefined();
    const asked = connected.bridge.lastRequest();
    expect(asked.frame.method).toBe(`layotto.bridge.v1.File/${method}`);
    connected.bridge.failure(asked, 5, 'file not found: x');
  });
});
