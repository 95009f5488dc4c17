import { fromBinary } from '@bufbuild/protobuf';
import {
  GetStateResponseSchema,
  SaveStateRequestSchema,
  SaveStateResponseSchema,
  GetStateRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { grpcFrame, pieces, unframe } from '../support/grpc-raw.js';
import { Kind } from '../support/frames.js';
import { Action } from '../../cli/src/emulator/abi.js';
import { Filter, getState, grpcHeaders, saveState } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const DAPR = '/dapr.proto.runtime.v1.Dapr';
const value = { data: Buffer.from('hello'), etag: '3' };

function valueIn(stream: HttpStream): string {
  const [message] = unframe(stream.answer?.body ?? Buffer.alloc(0));
  return Buffer.from(fromBinary(GetStateResponseSchema, message as Buffer).data).toString();
}

describe('GetState', () => {
  test.each([LAYOTTO, DAPR])(
    '%s: the request goes out as it came, the result comes back as a message',
    async (service) => {
      const { host, root, bridge } = await Filter.connected();
      const message = getState('k');
      const stream = host.openStream(root);
      expect(stream.callOnRequestHeaders(grpcHeaders(`${service}/GetState`), false)).toBe(Action.Pause);
      expect(stream.callOnRequestBody(grpcFrame(message), true)).toBe(Action.Pause);
      const request = bridge.lastRequest();
      expect(request.frame).toMatchObject({ method: 'layotto.bridge.v1.State/GetState', deadlineMs: 15_000 });
      expect(Buffer.from(request.frame.payload)).toEqual(Buffer.from(message));
      expect(stream.answer).toBeUndefined();

      bridge.result(request, GetStateResponseSchema, value);
      expect(stream.answer).toMatchObject({ status: 200, grpcStatus: 0 });
      expect(valueIn(stream)).toBe('hello');
      expect(stream.answer?.headers.object()).toEqual({
        ':status': '200',
        'content-type': 'application/grpc',
      });
      expect(stream.answer?.trailers?.object()).toEqual({ 'grpc-status': '0' });
      expect(stream.gone).toBe(true);
    },
  );

  test('Dapr HTTP: the path becomes the message, the result a body with its ETag', async () => {
    const filter = await Filter.connected();
    const stream = filter.http('GET', '/v1.0/state/statestore/a%20b?consistency=strong&metadata.region=eu');
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.State/GetState');
    expect(fromBinary(GetStateRequestSchema, request.frame.payload)).toMatchObject({
      storeName: 'statestore',
      key: 'a b',
      consistency: 2,
      metadata: { region: 'eu' },
    });
    filter.bridge.result(request, GetStateResponseSchema, { data: Buffer.from('{"n":1}'), etag: '3' });
    expect(stream.answer?.status).toBe(200);
    expect(stream.answer?.body.toString()).toBe('{"n":1}');
    expect(stream.answer?.headers.object()).toMatchObject({ 'content-type': 'application/json', etag: '3' });
  });

  test('an absent key is OK with an empty message, and 204 over HTTP', async () => {
    const filter = await Filter.connected();
    const grpc = filter.getState('k');
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, {});
    expect(grpc.answer?.grpcStatus).toBe(0);
    expect(grpc.answer?.body).toEqual(Buffer.alloc(5));
    const http = filter.http('GET', '/v1.0/state/statestore/k');
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, {});
    expect(http.answer).toMatchObject({ status: 204, body: Buffer.alloc(0) });
  });

  test('a body in pieces, a request ended by trailers, and one of only headers', async () => {
    const { host, root, bridge } = await Filter.connected();
    for (const size of [1, 3, 7]) {
      host
        .openStream(root)
        .request(grpcHeaders(`${LAYOTTO}/GetState`), ...pieces(grpcFrame(getState('k')), size));
      expect(Buffer.from(bridge.lastRequest().frame.payload)).toEqual(Buffer.from(getState('k')));
    }
    const before = bridge.requests().length;
    const stream = host.openStream(root);
    stream.callOnRequestHeaders(grpcHeaders(`${LAYOTTO}/GetState`), false);
    stream.callOnRequestBody(grpcFrame(getState('k')), false);
    expect(bridge.requests()).toHaveLength(before);
    expect(stream.callOnRequestTrailers({ 'x-a': 'b' })).toBe(Action.Pause);
    expect(bridge.requests()).toHaveLength(before + 1);
    const empty = host.openStream(root).request(grpcHeaders(`${LAYOTTO}/GetState`));
    expect(empty.answer?.grpcStatus).toBeGreaterThan(0);
  });

  test('the deadline and the trace context go along', async () => {
    const filter = await Filter.connected();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    for (const [timeout, ms] of [
      ['300m', 300],
      ['2S', 2000],
      ['1M', 60_000],
    ] as const) {
      filter.getState('k', { 'grpc-timeout': timeout, traceparent });
      expect(filter.bridge.lastRequest().frame).toMatchObject({ deadlineMs: ms, traceparent });
    }
    filter.getState('k', { 'grpc-timeout': 'soon', traceparent: 'x'.repeat(400) });
    expect(filter.bridge.lastRequest().frame).toMatchObject({ deadlineMs: 15_000, traceparent: '' });
    // As long as one, and no text for a string field.
    filter.getState('k', { traceparent: '\u00e9'.repeat(27) + 'x' });
    expect(filter.bridge.lastRequest().frame).toMatchObject({ traceparent: '' });
  });
});

describe('failures', () => {
  test('reach each door in its own words', async () => {
    const filter = await Filter.connected();
    const text = 'possible etag mismatch. error from state store: version is 2';
    const grpc = filter.saveState('k', Buffer.from('1'));
    filter.bridge.failure(filter.bridge.lastRequest(), 10, text);
    expect(grpc.answer).toMatchObject({
      grpcStatus: 10,
      grpcMessage: `failed saving state in state store statestore: ${text}`,
      trailers: undefined,
    });
    const http = filter.http('POST', '/v1.0/state/statestore', '[{"key":"k","value":1,"etag":"1"}]');
    filter.bridge.failure(filter.bridge.lastRequest(), 10, text);
    expect(http.answer?.status).toBe(409);
    expect(JSON.parse(http.answer?.body.toString() ?? '')).toEqual({
      errorCode: 'ERR_STATE_SAVE',
      message: `failed saving state in state store statestore: ${text}`,
    });
  });

  test('a failure that cannot be read, or of code 0, is INTERNAL', async () => {
    const filter = await Filter.connected();
    for (const payload of [Buffer.from('ffff', 'hex'), Buffer.alloc(0)]) {
      const stream = filter.getState('k');
      const { stream: session, frame } = filter.bridge.lastRequest();
      filter.bridge.send(session, { id: frame.id, kind: Kind.FAILURE, payload });
      expect(stream.answer?.grpcStatus).toBe(13);
    }
  });

  test('a result over HTTP that is no valid message kills nothing', async () => {
    const filter = await Filter.connected();
    for (const path of ['/v1.0/state/statestore/k', '/v1.0/state/statestore/bulk']) {
      const stream = filter.http(
        path.endsWith('bulk') ? 'POST' : 'GET',
        path,
        path.endsWith('bulk') ? '{"keys":["a"]}' : undefined,
      );
      const { stream: session, frame } = filter.bridge.lastRequest();
      filter.bridge.send(session, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from('0aff01', 'hex') });
      expect(stream.answer?.status).toBe(500);
    }
  });

  test("Envoy's own replies keep their status and get the door's shape", async () => {
    const filter = await Filter.connected();
    const http = filter.http('GET', '/v1.0/state/statestore/k');
    http.envoyReply(431, 'headers too large', -1);
    expect(http.answer?.status).toBe(431);
    expect(JSON.parse(http.answer?.body.toString() ?? '')).toMatchObject({
      errorCode: expect.any(String) as string,
    });
    const grpc = filter.getState('k');
    grpc.envoyReply(200, 'downstream duration timeout', 4);
    expect(grpc.answer).toMatchObject({
      status: 200,
      grpcStatus: 4,
      grpcMessage: 'downstream duration timeout',
    });
  });

  test.each([408, 504])('a deadline that Envoy calls %i is 408 to a caller over HTTP', async (status) => {
    const filter = await Filter.connected();
    const http = filter.http('GET', '/v1.0/state/statestore/k');
    http.envoyReply(status, 'downstream duration timeout', -1);
    expect(http.answer?.status).toBe(408);
    expect(JSON.parse(http.answer?.body.toString() ?? '')).toMatchObject({
      errorCode: 'ERR_DEADLINE_EXCEEDED',
    });
  });

  test('without a session calls are refused at once, on every door', async () => {
    const filter = await Filter.connected();
    filter.bridge.close();
    expect(filter.getState('k').answer).toMatchObject({ grpcStatus: 14 });
    expect(filter.http('GET', '/v1.0/state/statestore/k').answer?.status).toBeGreaterThanOrEqual(500);
    expect(filter.saveState('k', Buffer.alloc(100_000)).answer).toMatchObject({ grpcStatus: 14 });
    const health = filter.http('GET', '/v1.0/healthz').answer;
    expect(health?.status).toBe(500);
    expect(JSON.parse(health?.body.toString() ?? '')).toMatchObject({ errorCode: 'ERR_HEALTH_NOT_READY' });
    expect(filter.http('GET', '/v1.0/metadata').answer?.status).toBe(200);
  });
});

describe('results that come late', () => {
  test('after a reset the bridge is told, and the result goes nowhere', async () => {
    const filter = await Filter.connected();
    const gone = filter.getState('gone');
    const request = filter.bridge.lastRequest();
    gone.reset();
    expect(filter.bridge.frames(request.stream).at(-1)).toMatchObject({
      id: request.frame.id,
      kind: Kind.CANCEL,
    });
    const stays = filter.getState('stays');
    filter.bridge.result(request, GetStateResponseSchema, { data: Buffer.from('late') });
    expect(gone.answer).toBeUndefined();
    expect(stays.answer).toBeUndefined();
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, value);
    expect(valueIn(stays)).toBe('hello');
    expect(filter.complaints).toEqual([]);
  });

  test("after Envoy's deadline the result goes nowhere", async () => {
    const filter = await Filter.connected();
    const stream = filter.getState('k');
    const request = filter.bridge.lastRequest();
    stream.envoyReply(200, 'timeout', 4);
    filter.bridge.result(request, GetStateResponseSchema, value);
    filter.bridge.failure(request, 13, 'twice');
    expect(stream.answer?.grpcStatus).toBe(4);
  });

  test('a second result for one request changes nothing', async () => {
    const filter = await Filter.connected();
    const stream = filter.getState('k');
    const request = filter.bridge.lastRequest();
    filter.bridge.result(request, GetStateResponseSchema, value);
    filter.bridge.result(request, GetStateResponseSchema, { data: Buffer.from('other') });
    expect(valueIn(stream)).toBe('hello');
  });
});

describe('a session that breaks', () => {
  test('reads are sent once more, with a new id; writes fail at once', async () => {
    const filter = await Filter.connected();
    const read = filter.getState('r');
    const first = filter.bridge.lastRequest();
    const write = filter.saveState('w', Buffer.from('1'));
    filter.bridge.close(14);
    expect(write.answer).toMatchObject({ grpcStatus: 14 });
    expect(write.answer?.grpcMessage).toMatch(/bridge/);
    expect(read.answer).toBeUndefined();
    filter.connect();
    const again = filter.bridge.lastRequest();
    expect(Buffer.from(again.frame.payload)).toEqual(Buffer.from(getState('r')));
    expect(again.frame.id).not.toBe(first.frame.id);
    filter.bridge.result(again, GetStateResponseSchema, value);
    expect(valueIn(read)).toBe('hello');
  });

  test('a read is sent once more and not twice more', async () => {
    const filter = await Filter.connected();
    const read = filter.getState('r');
    filter.bridge.close(14);
    filter.connect();
    filter.bridge.close(14);
    expect(read.answer).toMatchObject({ grpcStatus: 14 });
  });

  test('a read that waits for the next session is not kept waiting by the backoff', async () => {
    const filter = await Filter.connected();
    const read = filter.getState('r');
    const gaps: number[] = [];
    filter.bridge.close(14);
    // The bridge stays away long enough for the backoff to reach its longest step.
    for (let ms = 0, since = 0; ms < 20_000; ms += 10) {
      filter.advance(10);
      since += 10;
      if (filter.bridge.open.length === 0) continue;
      gaps.push(since);
      since = 0;
      filter.bridge.close(14);
    }
    expect(Math.max(...gaps)).toBeLessThanOrEqual(200);
    filter.connect();
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, value);
    expect(valueIn(read)).toBe('hello');
  });

  test('a read whose caller has gone is not sent again', async () => {
    const filter = await Filter.connected();
    const read = filter.getState('r');
    filter.bridge.close(14);
    read.reset();
    filter.connect();
    expect(filter.bridge.requests()).toEqual([]);
  });
});

describe('two sessions', () => {
  test.each([
    [64 * 1024, false],
    [64 * 1024 + 1, true],
  ])('a message of %i bytes goes on the large one: %s', async (size, large) => {
    const filter = await Filter.connected();
    const message = saveState('k', Buffer.alloc(size - (saveState('k', Buffer.alloc(size)).length - size)));
    expect(message).toHaveLength(size);
    filter.grpc(`${LAYOTTO}/SaveState`, message);
    expect(filter.bridge.lastRequest().stream).toBe(filter.bridge.session(large));
  });

  test('results come on either', async () => {
    const filter = await Filter.connected();
    const stream = filter.getState('k');
    const { frame } = filter.bridge.lastRequest();
    const data = Buffer.alloc(100_000, 0x62);
    filter.bridge.result({ stream: filter.bridge.session(true), frame }, GetStateResponseSchema, {
      data,
      etag: '1',
    });
    expect(valueIn(stream)).toBe(data.toString());
  });
});

test('a save in 64 pieces goes out whole on the large session', async () => {
  const filter = await Filter.connected();
  const message = saveState('k', Buffer.alloc(200_000, 0x63));
  const stream = filter.host.openStream(filter.root);
  stream.request(grpcHeaders(`${LAYOTTO}/SaveState`), ...pieces(grpcFrame(message), 3200));
  const request = filter.bridge.lastRequest();
  expect(request.stream).toBe(filter.bridge.session(true));
  expect(fromBinary(SaveStateRequestSchema, request.frame.payload).states[0]?.value).toHaveLength(200_000);
  filter.bridge.result(request, SaveStateResponseSchema, {});
  expect(stream.answer).toMatchObject({ grpcStatus: 0 });
  expect(stream.answer?.body).toEqual(Buffer.alloc(5));
});

describe('hold mode', () => {
  test('marks the request for the Lua filter instead of stopping its headers', async () => {
    const filter = await Filter.connected({ hold: true });
    const stream = filter.host.openStream(filter.root);
    const headers = { ...grpcHeaders(`${LAYOTTO}/GetState`), 'x-layotto-hold': 'forged' };
    expect(stream.callOnRequestHeaders(headers, false)).toBe(Action.Continue);
    expect(stream.requestHeaders.get('x-layotto-hold')).toBe('1');
    stream.callOnRequestBody(grpcFrame(getState('k')), true);
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, value);
    expect(valueIn(stream)).toBe('hello');
  });

  test('elsewhere the mark of a caller is taken away', async () => {
    const filter = await Filter.connected();
    const stream = filter.getState('k', { 'x-layotto-hold': '1' });
    expect(stream.requestHeaders.has('x-layotto-hold')).toBe(false);
  });
});
