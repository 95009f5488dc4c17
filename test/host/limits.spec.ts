import {
  GetStateResponseSchema,
  SaveStateResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { grpcFrame, unframe } from '../support/grpc-raw.js';
import { Kind } from '../support/frames.js';
import { configuration, Filter, getState, grpcHeaders, saveState } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const { limits } = configuration();
const KIB = 1024;
const TOO_BUSY = { grpcStatus: 8 };

describe('operations', () => {
  test('past the limit calls are refused until one is answered', async () => {
    const filter = await Filter.connected({ limits: { ...limits, operations: 4 } });
    const under = Array.from({ length: 4 }, (_, n) => filter.getState(`k${n}`));
    const refused = filter.getState('more');
    expect(refused.answer).toMatchObject(TOO_BUSY);
    expect(refused.answer?.grpcMessage).toMatch(/limits\.operations/);
    const http = filter.http('GET', '/v1.0/state/statestore/more');
    expect(http.answer?.status).toBeGreaterThanOrEqual(429);
    expect(filter.bridge.requests()).toHaveLength(4);
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, {});
    expect(under.filter(({ answer }) => answer !== undefined)).toHaveLength(1);
    expect(filter.getState('now').answer).toBeUndefined();
  });

  test('one whose caller is gone counts until the bridge has answered', async () => {
    const filter = await Filter.connected({ limits: { ...limits, operations: 2 } });
    filter.getState('a').reset();
    filter.getState('b').reset();
    expect(filter.getState('c').answer).toMatchObject(TOO_BUSY);
    for (const request of filter.bridge.requests()) filter.bridge.result(request, GetStateResponseSchema, {});
    expect(filter.getState('d').answer).toBeUndefined();
  });

  test('a broken session gives every place back', async () => {
    const filter = await Filter.connected({ limits: { ...limits, operations: 2 } });
    for (let round = 0; round < 10; round++) {
      const writes = [filter.saveState('a', Buffer.from('1')), filter.saveState('b', Buffer.from('1'))];
      for (const write of writes) expect(write.answer).toBeUndefined();
      filter.bridge.close(14);
      for (const write of writes) expect(write.answer).toMatchObject({ grpcStatus: 14 });
      filter.connect();
    }
  });
});

describe('bytes', () => {
  const small = { limits: { ...limits, bytes: 256 * KIB } };
  const body = Buffer.alloc(100 * KIB);

  test('count from the first piece of a body', async () => {
    const filter = await Filter.connected(small);
    const half = Array.from({ length: 2 }, () => {
      const stream = filter.host.openStream(filter.root);
      stream.callOnRequestHeaders(grpcHeaders('/spec.proto.runtime.v1.Runtime/SaveState'), false);
      stream.callOnRequestBody(body, false);
      return stream;
    });
    expect(filter.saveState('k', body).answer).toMatchObject(TOO_BUSY);
    for (const stream of half) stream.reset();
    expect(filter.saveState('k', body).answer).toBeUndefined();
  });

  test('count until the bridge has answered, even if the caller is gone', async () => {
    const filter = await Filter.connected(small);
    filter.saveState('a', body).reset();
    filter.saveState('b', body).reset();
    const refused = filter.saveState('c', body);
    expect(refused.answer).toMatchObject(TOO_BUSY);
    expect(refused.answer?.grpcMessage).toMatch(/limits\.bytes/);
    for (const request of filter.bridge.requests())
      filter.bridge.result(request, SaveStateResponseSchema, {});
    expect(filter.saveState('d', body).answer).toBeUndefined();
  });

  test('are given back by an acknowledgement', async () => {
    const filter = await Filter.connected(small);
    const first = filter.saveState('a', body);
    const request = filter.bridge.lastRequest();
    filter.saveState('b', body);
    expect(filter.saveState('c', body).answer).toMatchObject(TOO_BUSY);
    filter.bridge.send(request.stream, { id: request.frame.id, kind: Kind.ACK });
    filter.bridge.send(request.stream, { id: request.frame.id, kind: Kind.ACK });
    expect(filter.saveState('d', body).answer).toBeUndefined();
    expect(filter.saveState('e', body).answer).toMatchObject(TOO_BUSY);
    filter.bridge.result(request, SaveStateResponseSchema, {});
    expect(first.answer).toMatchObject({ grpcStatus: 0 });
  });

  test('a result that does not fit is refused', async () => {
    const filter = await Filter.connected(small);
    filter.saveState('a', body);
    filter.saveState('b', body);
    const read = filter.getState('k');
    filter.bridge.result(
      filter.bridge.requests().find(({ frame }) => frame.method.endsWith('/GetState'))!,
      GetStateResponseSchema,
      {
        data: body,
      },
    );
    expect(read.answer).toMatchObject(TOO_BUSY);
  });

  test('never leak, whatever happens to a call', async () => {
    const filter = await Filter.connected(small);
    for (let round = 0; round < 300; round++) {
      const stream = filter.saveState('k', body);
      expect(stream.answer).toBeUndefined();
      const request = filter.bridge.lastRequest();
      switch (round % 6) {
        case 0:
          filter.bridge.result(request, SaveStateResponseSchema, {});
          break;
        case 1:
          filter.bridge.failure(request, 13, 'no');
          break;
        case 2:
          stream.reset();
          filter.bridge.result(request, SaveStateResponseSchema, {});
          break;
        case 3:
          stream.envoyReply(200, 'timeout', 4);
          filter.bridge.failure(request, 13, 'no');
          break;
        case 4:
          filter.bridge.send(request.stream, { id: request.frame.id, kind: Kind.ACK });
          stream.reset();
          filter.bridge.result(request, SaveStateResponseSchema, {});
          break;
        default:
          filter.bridge.close(14);
          filter.connect();
      }
      filter.bridge.forget();
    }
    // Two of these fit, and still do.
    expect(filter.saveState('x', body).answer).toBeUndefined();
    expect(filter.saveState('y', body).answer).toBeUndefined();
    expect(filter.saveState('z', body).answer).toMatchObject(TOO_BUSY);
  });
});

describe('calls whose bodies are waited for', () => {
  const path = '/spec.proto.runtime.v1.Runtime/GetState';

  /** Starts calls until one is refused; those that are not, wait. */
  async function waitingUntilRefused(filter: Filter, headers: Record<string, string> = {}) {
    const waiting: HttpStream[] = [];
    for (let n = 0; n < 10_000; n++) {
      const stream = filter.host.openStream(filter.root);
      stream.callOnRequestHeaders({ ...grpcHeaders(path), ...headers }, false);
      if (stream.answer !== undefined) return { waiting, refused: stream };
      waiting.push(stream);
    }
    throw new Error('no call was refused');
  }

  test('are refused past a part of the bytes, and no others are', async () => {
    const filter = await Filter.connected();
    const { waiting, refused } = await waitingUntilRefused(filter);
    expect(refused.answer).toMatchObject(TOO_BUSY);
    expect(waiting.length).toBeGreaterThan(2 * limits.operations);
    expect(waiting.length).toBeLessThan(limits.bytes / 4 / 4096);
    // What needs no body is served, and so is each of those that wait.
    expect(filter.http('GET', '/v1.0/healthz').answer?.status).toBe(204);
    expect(filter.http('GET', '/v1.0/state/statestore/k').answer).toBeUndefined();
    waiting[0]?.callOnRequestBody(grpcFrame(getState('k')), true);
    expect(filter.bridge.requests()).toHaveLength(2);
  });

  test('count with their headers, and give back all of it', async () => {
    const filter = await Filter.connected({ limits: { ...limits, bytes: 256 * KIB, operations: 64 } });
    const long = { 'x-long': 'x'.repeat(60 * KIB) };
    const first = await waitingUntilRefused(filter, long);
    const { length } = first.waiting;
    expect(length).toBeGreaterThan(2);
    expect(length).toBeLessThan(20);
    for (let round = 0; round < 20; round++) {
      for (const stream of first.waiting.splice(0)) stream.reset();
      const again = await waitingUntilRefused(filter, long);
      expect(again.waiting).toHaveLength(length);
      first.waiting = again.waiting;
    }
  });
});

describe('one message', () => {
  const tiny = { limits: { ...limits, messageBytes: 1000 } };

  test('over the limit is refused while it is still coming, with the limit named', async () => {
    const filter = await Filter.connected(tiny);
    const stream = filter.host.openStream(filter.root);
    stream.callOnRequestHeaders(grpcHeaders('/dapr.proto.runtime.v1.Dapr/SaveState'), false);
    stream.callOnRequestBody(Buffer.alloc(600), false);
    expect(stream.answer).toBeUndefined();
    stream.callOnRequestBody(Buffer.alloc(600), false);
    expect(stream.answer).toMatchObject({ grpcStatus: 8 });
    expect(stream.answer?.grpcMessage).toContain('1000');

    const http = filter.http('POST', '/v1.0/state/statestore', JSON.stringify('x'.repeat(2000)));
    expect(http.answer?.status).toBe(400);
    const error = JSON.parse(http.answer?.body.toString() ?? '') as { errorCode: string; message: string };
    expect(error).toMatchObject({ errorCode: 'ERR_MALFORMED_REQUEST' });
    expect(error.message).toContain('1000');
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('a result over the limit is refused', async () => {
    const filter = await Filter.connected(tiny);
    const stream = filter.getState('k');
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, { data: Buffer.alloc(1001) });
    expect(stream.answer).toMatchObject({ grpcStatus: 8 });
  });
});

test('the memory of the VM stays where it is over 100,000 calls', async () => {
  const filter = await Filter.connected();
  const { host, root, bridge } = filter;
  const path = '/spec.proto.runtime.v1.Runtime/';
  const get = grpcFrame(getState('k'));
  const save = grpcFrame(saveState('k', Buffer.alloc(1024)));
  const run = (from: number, to: number): void => {
    for (let n = from; n < to; n++) {
      const write = n % 4 === 0;
      const stream = host.openStream(root);
      if (n % 4 === 3) {
        stream.request({
          ':method': 'GET',
          ':path': '/v1.0/state/statestore/k',
          ':authority': 'localhost',
          ':scheme': 'http',
        });
      } else {
        stream.request(grpcHeaders(`${path}${write ? 'SaveState' : 'GetState'}`), write ? save : get);
      }
      const request = bridge.lastRequest();
      if (n % 16 === 5) stream.reset();
      if (n % 16 === 6) bridge.failure(request, 13, 'no');
      else if (write) bridge.result(request, SaveStateResponseSchema, {});
      else bridge.result(request, GetStateResponseSchema, { data: Buffer.alloc(1024), etag: '1' });
      bridge.forget();
      if (n % 5000 === 0) host.tick(root);
    }
  };
  run(0, 5000);
  const warm = host.memoryBytes;
  run(5000, 100_000);
  expect(host.memoryBytes).toBe(warm);
  expect(host.streams.size).toBe(0);
  expect(filter.complaints).toEqual([]);
  const last = filter.getState('k');
  bridge.result(bridge.lastRequest(), GetStateResponseSchema, { data: Buffer.from('v') });
  expect(unframe(last.answer?.body ?? Buffer.alloc(0))).toHaveLength(1);
}, 120_000);
