import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { gzipSync } from 'node:zlib';
import {
  GetStateRequestSchema,
  GetStateResponseSchema,
  SaveStateRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { DAPR, LAYOTTO } from '../support/doors.js';
import { grpcFrame, pieces, type RawAnswer, type RawClient } from '../support/grpc-raw.js';
import { http1 } from '../support/http1.js';
import { Runtime } from '../support/runtime.js';
import { silentBridge } from '../support/scripted-bridge.js';

const LIMIT = 65_536;
const get = toBinary(
  GetStateRequestSchema,
  create(GetStateRequestSchema, { storeName: 'statestore', key: 'k' }),
);

function save(size: number): Uint8Array {
  const states = [{ key: 'big', value: new Uint8Array(size).fill(0x61) }];
  return toBinary(
    SaveStateRequestSchema,
    create(SaveStateRequestSchema, { storeName: 'statestore', states }),
  );
}

/** A SaveState message of exactly `size` bytes. */
function saveOf(size: number): Uint8Array {
  const message = save(size - (save(size).length - size));
  expect(message).toHaveLength(size);
  return message;
}

describe.each([1, 2])('gRPC details on %i worker(s)', (concurrency) => {
  let runtime: Runtime;
  let client: RawClient;

  beforeAll(async () => {
    runtime = await Runtime.start({ concurrency, limits: { messageBytes: LIMIT } });
    client = await runtime.connect();
    const saved = await client.send({
      path: `${LAYOTTO}/SaveState`,
      body: [
        grpcFrame(
          toBinary(
            SaveStateRequestSchema,
            create(SaveStateRequestSchema, {
              storeName: 'statestore',
              states: [{ key: 'k', value: Buffer.from('v') }],
            }),
          ),
        ),
      ],
    });
    expect(saved.grpcStatus).toBe(0);
  });

  afterAll(() => runtime?.stop());

  function expectValue(answer: RawAnswer): void {
    expect(answer).toMatchObject({ httpStatus: 200, grpcStatus: 0, trailersOnly: false });
    expect(answer.messages).toHaveLength(1);
    const message = fromBinary(GetStateResponseSchema, answer.messages[0] as Buffer);
    expect(Buffer.from(message.data).toString()).toBe('v');
  }

  describe.each([
    ['Layotto', LAYOTTO],
    ['Dapr', DAPR],
  ])('%s door', (_, service) => {
    const path = `${service}/GetState`;

    test('an answer is what a gRPC client expects: headers, one frame, trailers', async () => {
      const answer = await client.send({ path, body: [grpcFrame(get)] });
      expectValue(answer);
      expect(answer.headers).toMatchObject({ ':status': '200', 'content-type': 'application/grpc' });
      expect(answer.headers).not.toHaveProperty('content-length');
      expect(answer.headers).not.toHaveProperty('x-layotto-reply');
      expect(answer.trailers).toMatchObject({ 'grpc-status': '0' });
      expect(answer.body).toHaveLength(5 + (answer.messages[0] as Buffer).length);
    });

    test.each(['application/grpc', 'application/grpc+proto'])('content type %s', async (type) => {
      expectValue(await client.send({ path, headers: { 'content-type': type }, body: [grpcFrame(get)] }));
    });

    test('a body in many DATA frames, one byte each, and an empty last one', async () => {
      expectValue(await client.send({ path, body: pieces(grpcFrame(get), 1) }));
      expectValue(await client.send({ path, body: [grpcFrame(get), 20] }));
    });

    test('a body whose frames come slowly', async () => {
      const [first, ...rest] = pieces(grpcFrame(get), 3);
      expectValue(
        await client.send({ path, body: [first as Buffer, 30, ...rest.slice(0, 2), 30, ...rest.slice(2)] }),
      );
    });

    test('a request that ends in trailers', async () => {
      expectValue(await client.send({ path, body: [grpcFrame(get)], trailers: { 'x-checksum': 'none' } }));
    });

    test('a compressed message is refused, and the answer says what is accepted', async () => {
      const answer = await client.send({
        path,
        headers: { 'grpc-encoding': 'gzip' },
        body: [grpcFrame(gzipSync(get), 1)],
      });
      expect(answer).toMatchObject({ httpStatus: 200, grpcStatus: 12 });
      expect(answer.grpcMessage).toMatch(/compress/);
      expect(answer.headers['grpc-accept-encoding']).toBe('identity');
    });

    test('more than one message is refused', async () => {
      const answer = await client.send({ path, body: [grpcFrame(get), grpcFrame(get)] });
      expect(answer).toMatchObject({ httpStatus: 200, grpcStatus: 12 });
      expect(answer.grpcMessage).toMatch(/more than one message/);
    });

    test.each<[string, Buffer[]]>([
      ['no bytes', []],
      ['an incomplete prefix', [Buffer.from([0, 0, 0])]],
      ['fewer bytes than the prefix says', [grpcFrame(get).subarray(0, -1)]],
      ['a length beyond every limit', [Buffer.from([0, 0xff, 0xff, 0xff, 0xff])]],
      ['an unknown flag', [grpcFrame(get, 7)]],
    ])('a body of %s is refused', async (_name, body) => {
      const answer = await client.send({ path, body });
      expect(answer.httpStatus).toBe(200);
      expect(answer.grpcStatus).toBeGreaterThan(0);
      expect(answer.grpcMessage).not.toBe('');
    });

    test.each<[string, Uint8Array]>([
      ['random bytes', Buffer.from('ff'.repeat(64), 'hex')],
      ['a field longer than the message', Buffer.from([0x0a, 0x7f, 0x61])],
      ['an unfinished varint', Buffer.from([0x18, 0x80, 0x80])],
    ])('a message of %s is refused', async (_name, message) => {
      const answer = await client.send({ path, body: [grpcFrame(message)] });
      expect([3, 13]).toContain(answer.grpcStatus);
    });

    test('a message at the limit is served, one byte more is refused with the limit named', async () => {
      const fits = await client.send({ path: `${service}/SaveState`, body: [grpcFrame(saveOf(LIMIT))] });
      expect(fits.grpcStatus).toBe(0);
      const over = await client.send({ path: `${service}/SaveState`, body: [grpcFrame(saveOf(LIMIT + 1))] });
      expect(over.grpcStatus).toBe(8);
      expect(over.grpcMessage).toContain(String(LIMIT));
    });

    test('a body far over the limit is refused before it has all come', async () => {
      const endless = Array.from({ length: 64 }, () => Buffer.alloc(LIMIT));
      const answer = await client.send({ path: `${service}/SaveState`, body: endless, end: false });
      expect(answer.grpcStatus).toBe(8);
    });

    test.each(['NoSuchMethod', 'getstate', 'GetState/', ''])('the unknown method "%s"', async (method) => {
      const answer = await client.send({ path: `${service}/${method}`, body: [grpcFrame(get)] });
      expect(answer).toMatchObject({ httpStatus: 200, grpcStatus: 12, trailersOnly: true });
    });
  });

  test('an unknown service is UNIMPLEMENTED', async () => {
    const answer = await client.send({ path: '/helloworld.Greeter/SayHello', body: [grpcFrame(get)] });
    expect(answer).toMatchObject({ httpStatus: 200, grpcStatus: 12 });
  });

  test('an HTTP body over the limit is refused as Dapr does, with the limit named', async () => {
    const body = JSON.stringify([{ key: 'k', value: 'v'.repeat(LIMIT) }]);
    for (const chunked of [false, true]) {
      const answer = await http1(runtime.target, 'POST', '/v1.0/state/statestore', {
        headers: { 'content-type': 'application/json' },
        body,
        chunked,
      });
      expect(answer.status).toBe(400);
      const error = JSON.parse(answer.body) as { errorCode: string; message: string };
      expect(error.errorCode).toBe('ERR_MALFORMED_REQUEST');
      expect(error.message).toContain(String(LIMIT));
    }
  });

  test('the runtime still serves after all of this', async () => {
    expectValue(await client.send({ path: `${LAYOTTO}/GetState`, body: [grpcFrame(get)] }));
    expect(runtime.envoy.log).not.toMatch(/wasm.*(abort|trap|unreachable|Uncaught)/i);
  });
});

describe('deadlines with a bridge that never answers', () => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({ bridge: silentBridge, limits: { deadlineMs: 900 } });
  });

  afterAll(() => runtime?.stop());

  test.each([
    ['300m', 300],
    ['300000u', 300],
  ])('grpc-timeout %s is kept', async (timeout, ms) => {
    const client = await runtime.connect();
    for (const service of [LAYOTTO, DAPR]) {
      const answer = await client.send({
        path: `${service}/GetState`,
        headers: { 'grpc-timeout': timeout },
        body: [grpcFrame(get)],
      });
      expect(answer).toMatchObject({ httpStatus: 200, grpcStatus: 4 });
      expect(answer.ms).toBeGreaterThanOrEqual(ms - 20);
      // Before the default deadline: it was the caller's own that ended the call.
      expect(answer.ms).toBeLessThan(900);
    }
  });

  test('without a timeout the default deadline ends the call, on every door', async () => {
    const client = await runtime.connect();
    const [layotto, dapr, http] = await Promise.all([
      client.send({ path: `${LAYOTTO}/GetState`, body: [grpcFrame(get)] }),
      client.send({ path: `${DAPR}/GetState`, body: [grpcFrame(get)] }),
      http1(runtime.target, 'GET', '/v1.0/state/statestore/k'),
    ]);
    for (const answer of [layotto, dapr]) {
      expect(answer.grpcStatus).toBe(4);
      expect(answer.ms).toBeGreaterThanOrEqual(880);
    }
    expect(http.status).toBe(408);
    expect(JSON.parse(http.body)).toHaveProperty('errorCode');
  });

  test('no header takes the deadline away, whether or not the request has ended', async () => {
    const client = await runtime.connect();
    // Without a scheme Envoy finds no route for the request, and the route has the deadline.
    const headers = { 'x-forwarded-proto': '' };
    const path = `${LAYOTTO}/GetState`;
    const answers = await Promise.all([
      client.send({ path, headers, body: [grpcFrame(get)] }),
      client.send({ path, headers, body: [grpcFrame(get)], end: false }),
    ]);
    for (const answer of answers) {
      expect(answer.grpcStatus).toBe(4);
      expect(answer.ms).toBeGreaterThanOrEqual(880);
    }
  });
});
