import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/lock_pb.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Kind } from '../support/frames.js';
import { unframe } from '../support/grpc-raw.js';
import { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const DAPR = '/dapr.proto.runtime.v1.Dapr';
const TOKEN = 'layotto-fencing-token';

const STORE: PluginComponent = {
  name: 'locks',
  type: 'lock.redis',
  version: 'v1',
  primitive: 'lock',
  capabilities: [],
};

const connected = (): Promise<Filter> => Filter.connected({ components: [STORE] });

interface Fields {
  storeName?: string;
  resourceId?: string;
  lockOwner?: string;
  expire?: number;
}

const CLAIM = { storeName: 'locks', resourceId: 'r', lockOwner: 'me' };

function timed(fields: Fields = {}): Uint8Array {
  return toBinary(
    pb.TryLockRequestSchema,
    create(pb.TryLockRequestSchema, { ...CLAIM, expire: 9, ...fields }),
  );
}

function claim(fields: Fields = {}): Uint8Array {
  const { expire: _, ...rest } = fields;
  return toBinary(pb.UnlockRequestSchema, create(pb.UnlockRequestSchema, { ...CLAIM, ...rest }));
}

/** Answers a request with something that is no message. */
function unreadable({ bridge }: Filter): void {
  const { stream, frame } = bridge.lastRequest();
  bridge.send(stream, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from('0a05', 'hex') });
}

function message(stream: HttpStream): Buffer {
  const [only] = unframe(stream.answer?.body ?? Buffer.alloc(0));
  return only as Buffer;
}

function json(stream: HttpStream): unknown {
  return JSON.parse(stream.answer?.body.toString() ?? '');
}

function token(stream: HttpStream): string | undefined {
  return stream.answer?.headers.object()[TOKEN];
}

/** The methods of each gRPC door: path, operation, whether it has a time to live. */
const METHODS = [
  [`${LAYOTTO}/TryLock`, 'TryLock', timed],
  [`${LAYOTTO}/Unlock`, 'Unlock', claim],
  [`${LAYOTTO}/LockKeepAlive`, 'LockKeepAlive', timed],
  [`${DAPR}/TryLockAlpha1`, 'TryLock', timed],
  [`${DAPR}/UnlockAlpha1`, 'Unlock', claim],
] as const;

describe.each(METHODS)('%s', (path, operation, build) => {
  test('goes out as it came', async () => {
    const filter = await connected();
    filter.grpc(path, build());
    const { frame } = filter.bridge.lastRequest();
    expect(frame.method).toBe(`layotto.bridge.v1.Lock/${operation}`);
    expect(Buffer.from(frame.payload)).toEqual(Buffer.from(build()));
  });

  test('a message that cannot be decoded is INVALID_ARGUMENT', async () => {
    const filter = await connected();
    for (const bytes of ['0a05', '2003ff', 'ff', '0aff', '12ffffffffffffffffff01']) {
      expect(filter.grpc(path, Buffer.from(bytes, 'hex')).answer).toMatchObject({
        grpcStatus: 3,
        grpcMessage: 'the request message is not valid protobuf',
      });
    }
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('what is wrong is said in the words of its API', async () => {
    const isDapr = path.startsWith(DAPR);
    const expiry = isDapr ? 'ExpiryInSeconds' : 'Expire';
    const filter = await connected();
    const refusal = (fields: Fields) => filter.grpc(path, build(fields)).answer;
    const invalid = (grpcMessage: string) => ({ grpcStatus: 3, grpcMessage });
    expect(refusal({ resourceId: '' })).toMatchObject(invalid('ResourceId is empty in lock store locks'));
    expect(refusal({ lockOwner: '' })).toMatchObject(invalid('LockOwner is empty in lock store locks'));
    expect(refusal({ storeName: 'nope' })).toMatchObject(invalid('lock store nope not found'));
    // What is empty is said before the store is looked for.
    expect(refusal({ storeName: 'nope', lockOwner: '' })).toMatchObject(
      invalid('LockOwner is empty in lock store nope'),
    );
    if (operation !== 'Unlock') {
      for (const expire of [0, -1, -(2 ** 31)]) {
        const text = `${expiry} is not positive in lock store locks`;
        expect(refusal({ expire })).toMatchObject(invalid(text));
        const both = isDapr ? text : 'ResourceId is empty in lock store locks';
        expect(refusal({ expire, resourceId: '' })).toMatchObject(invalid(both));
      }
    }
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('without any lock store', async () => {
    const filter = await Filter.connected();
    expect(filter.grpc(path, build({ resourceId: '' })).answer).toMatchObject({
      grpcStatus: 9,
      grpcMessage: 'lock store is not configured',
    });
  });

  test.each([3, 13, 14])('the bridge says %i', async (code) => {
    const prefix = path.startsWith(LAYOTTO)
      ? ''
      : operation === 'TryLock'
        ? 'failed to try acquiring lock: '
        : 'failed to release lock: ';
    const filter = await connected();
    const stream = filter.grpc(path, build());
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'why');
    expect(stream.answer).toMatchObject({ grpcStatus: code, grpcMessage: `${prefix}why` });
  });

  test(`a session that breaks: ${operation === 'LockKeepAlive' ? 'asked once more' : 'not asked again'}`, async () => {
    const filter = await connected();
    const stream = filter.grpc(path, build());
    filter.bridge.close();
    filter.connect();
    if (operation !== 'LockKeepAlive') {
      expect(stream.answer?.grpcStatus).toBe(14);
      expect(filter.bridge.requests()).toEqual([]);
      return;
    }
    expect(stream.answer).toBeUndefined();
    filter.bridge.result(filter.bridge.lastRequest(), pb.LockKeepAliveResponseSchema, { status: 1 });
    expect(fromBinary(pb.LockKeepAliveResponseSchema, message(stream)).status).toBe(1);
  });
});

describe.each([`${LAYOTTO}/TryLock`, `${DAPR}/TryLockAlpha1`])('%s', (path) => {
  test('the token is a header, and not in the message', async () => {
    const filter = await connected();
    const stream = filter.grpc(path, timed());
    const answer = { success: true, fencingToken: 2n ** 63n - 1n };
    filter.bridge.result(filter.bridge.lastRequest(), pb.TryLockResponseSchema, answer);
    expect(stream.answer?.grpcStatus).toBe(0);
    expect(token(stream)).toBe('9223372036854775807');
    expect(message(stream).toString('hex')).toBe('0801');
  });

  test('a lock that was not taken has none', async () => {
    const filter = await connected();
    const stream = filter.grpc(path, timed());
    filter.bridge.result(filter.bridge.lastRequest(), pb.TryLockResponseSchema, {});
    expect(stream.answer?.grpcStatus).toBe(0);
    expect(token(stream)).toBeUndefined();
    expect(message(stream)).toHaveLength(0);
  });

  test('an answer that is no message is said to be that', async () => {
    const filter = await connected();
    const stream = filter.grpc(path, timed());
    unreadable(filter);
    expect(stream.answer?.grpcStatus).toBe(13);
  });
});

describe('Dapr HTTP', () => {
  const lock = (filter: Filter, body: string, store = 'locks'): HttpStream =>
    filter.http('POST', `/v1.0-alpha1/lock/${store}`, body);
  const unlock = (filter: Filter, body: string, store = 'locks'): HttpStream =>
    filter.http('POST', `/v1.0-alpha1/unlock/${store}`, body);
  const GOOD = '{"resourceId":"r","lockOwner":"me","expiryInSeconds":9}';

  test.each([
    GOOD,
    '{"resource_id":"r","lock_owner":"me","expiry_in_seconds":"9"}',
    '{"more":[{}],"expiryInSeconds":9.0,"lockOwner":"m\\u0065","resourceId":"r","storeName":"other"}',
    '{"resourceId":"r","lockOwner":"me","expiryInSeconds":0.9e1}',
  ])('a lock is asked for by %s', async (body) => {
    const filter = await connected();
    const stream = lock(filter, body);
    const { frame } = filter.bridge.lastRequest();
    expect(frame.method).toBe('layotto.bridge.v1.Lock/TryLock');
    expect(fromBinary(pb.TryLockRequestSchema, frame.payload)).toMatchObject({ ...CLAIM, expire: 9 });
    filter.bridge.result(filter.bridge.lastRequest(), pb.TryLockResponseSchema, {
      success: true,
      fencingToken: 7n,
    });
    expect(stream.answer?.status).toBe(200);
    expect(stream.answer?.headers.object()).toMatchObject({
      'content-type': 'application/json',
      [TOKEN]: '7',
    });
    expect(json(stream)).toEqual({ success: true });
  });

  test('a lock that was not taken', async () => {
    const filter = await connected();
    const stream = lock(filter, GOOD);
    filter.bridge.result(filter.bridge.lastRequest(), pb.TryLockResponseSchema, {});
    expect(json(stream)).toEqual({ success: false });
    expect(token(stream)).toBeUndefined();
  });

  test.each([0, 1, 2, 3])('unlock is answered with the status %i', async (status) => {
    const filter = await connected();
    const stream = unlock(filter, '{"resourceId":"r","lockOwner":"me"}');
    const { frame } = filter.bridge.lastRequest();
    expect(frame.method).toBe('layotto.bridge.v1.Lock/Unlock');
    expect(fromBinary(pb.UnlockRequestSchema, frame.payload)).toMatchObject(CLAIM);
    filter.bridge.result(filter.bridge.lastRequest(), pb.UnlockResponseSchema, { status });
    expect(stream.answer?.body.toString()).toBe(`{"status":${status}}`);
  });

  test.each([
    ['', 'ExpiryInSeconds is not positive in lock store locks'],
    ['{}', 'ExpiryInSeconds is not positive in lock store locks'],
    ['null', 'ExpiryInSeconds is not positive in lock store locks'],
    ['{"expiryInSeconds":-1,"resourceId":"r"}', 'ExpiryInSeconds is not positive in lock store locks'],
    ['{"expiryInSeconds":1}', 'ResourceId is empty in lock store locks'],
    ['{"expiryInSeconds":1,"resourceId":null}', 'ResourceId is empty in lock store locks'],
    ['{"expiryInSeconds":1,"resourceId":"r","lockOwner":""}', 'LockOwner is empty in lock store locks'],
  ])('the body %j: %s', async (body, text) => {
    const filter = await connected();
    const stream = lock(filter, body);
    expect(stream.answer?.status).toBe(400);
    expect(json(stream)).toEqual({ errorCode: 'ERR_MALFORMED_REQUEST', message: text });
    expect(filter.bridge.requests()).toEqual([]);
  });

  test.each([
    '{',
    '[]',
    '"text"',
    '{"expiryInSeconds":1.5}',
    '{"expiryInSeconds":2147483648}',
    '{"expiryInSeconds":-2147483649}',
    '{"expiryInSeconds":1e400}',
    '{"expiryInSeconds":99999999999999999999999}',
    '{"expiryInSeconds":"5s"}',
    '{"expiryInSeconds":""}',
    '{"expiryInSeconds":"1e1"}',
    '{"expiryInSeconds":true}',
    '{"expiryInSeconds":{}}',
    '{"resourceId":5,"expiryInSeconds":1}',
    '{"lockOwner":["me"],"expiryInSeconds":1}',
    '{"resourceId":"\\ud800","expiryInSeconds":1,',
    `${'['.repeat(100_000)}`,
  ])('a body that cannot be read: %.40s', async (body) => {
    const filter = await connected();
    for (const stream of [lock(filter, body), unlock(filter, body)]) {
      expect(stream.answer?.status).toBe(400);
      expect(json(stream)).toMatchObject({
        errorCode: 'ERR_MALFORMED_REQUEST',
        message: expect.stringMatching(/^failed deserializing HTTP body: ./) as string,
      });
    }
    expect(filter.bridge.requests()).toEqual([]);
    expect(filter.complaints).toEqual([]);
  });

  test('no store, and one that is not there', async () => {
    for (const call of [lock, unlock]) {
      const none = call(await Filter.connected(), GOOD);
      expect(none.answer?.status).toBe(500);
      expect(json(none)).toEqual({
        errorCode: 'ERR_LOCK_STORE_NOT_CONFIGURED',
        message: 'lock store is not configured',
      });
      const unknown = call(await connected(), GOOD, 'nope');
      expect(unknown.answer?.status).toBe(400);
      expect(json(unknown)).toEqual({
        errorCode: 'ERR_LOCK_STORE_NOT_FOUND',
        message: 'lock store nope not found',
      });
    }
  });

  test.each([
    [13, 500],
    [14, 503],
    [3, 400],
  ])('the bridge says %i', async (code, status) => {
    const filter = await connected();
    const taking = lock(filter, GOOD);
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'why');
    expect(taking.answer?.status).toBe(status);
    expect(json(taking)).toEqual({
      errorCode: 'ERR_TRY_LOCK',
      message: 'failed to try acquiring lock: why',
    });
    const giving = unlock(filter, GOOD);
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'why');
    expect(giving.answer?.status).toBe(status);
    expect(json(giving)).toEqual({ errorCode: 'ERR_UNLOCK', message: 'failed to release lock: why' });
  });

  test('an answer that is no message is said to be that', async () => {
    const filter = await connected();
    for (const call of [lock, unlock]) {
      const stream = call(filter, GOOD);
      unreadable(filter);
      expect(stream.answer?.status).toBe(500);
    }
  });

  test('other methods and versions are none of Dapr', async () => {
    const filter = await connected();
    expect(filter.http('GET', '/v1.0-alpha1/lock/locks').answer?.status).toBe(404);
    expect(filter.http('POST', '/v1.0/lock/locks', GOOD).answer?.status).toBe(404);
  });
});
