import { fromBinary } from '@bufbuild/protobuf';
import { join } from 'node:path';
import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO } from '../support/doors.js';
import { ErrorInfoSchema } from '../../components-bridge/src/gen/google/rpc/status_pb.js';
import {
  GetStateRequestSchema,
  GetStateResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { http1 } from '../support/http1.js';
import { Runtime } from '../support/runtime.js';

const request = { storeName: 'statestore', key: 'k' };

describe('who may call', () => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({ hosts: ['runtime.shop.internal'], unixSocket: true });
  });

  afterAll(() => runtime?.stop());

  const get = (headers: Record<string, string>) =>
    http1(runtime.target, 'GET', '/v1.0/state/statestore/k', { headers });

  test('a browser is refused, on every door', async () => {
    const http = await get({ origin: 'https://example.com' });
    expect(http.status).toBe(403);
    expect(JSON.parse(http.body)).toHaveProperty('errorCode');
    const client = await runtime.connect();
    for (const service of [LAYOTTO, DAPR]) {
      const answer = await client.unary(
        `${service}/GetState`,
        GetStateRequestSchema,
        request,
        GetStateResponseSchema,
        {
          headers: { origin: 'null' },
        },
      );
      expect(answer.grpcStatus).toBe(7);
    }
  });

  test.each([
    'evil.example',
    'evil.example:34904',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '1.2.3',
  ])('the foreign host %s is refused', async (host) => {
    expect((await get({ host })).status).toBe(403);
    const client = await runtime.connect();
    const answer = await client.unary(
      `${DAPR}/GetState`,
      GetStateRequestSchema,
      request,
      GetStateResponseSchema,
      {
        headers: { ':authority': host },
      },
    );
    expect(answer.grpcStatus).toBe(7);
  });

  test.each([
    'localhost',
    'localhost:34904',
    'LOCALHOST',
    '127.0.0.1',
    '127.0.0.1:80',
    '[::1]:34904',
    'runtime.shop.internal',
    'Runtime.Shop.Internal:34904',
  ])('the host %s is served', async (host) => {
    expect((await get({ host })).status).toBe(204);
  });

  test('the Unix socket serves all doors', async () => {
    const target = { socketPath: join(runtime.config.dataDir, 'runtime.sock') };
    const client = await runtime.connect(target);
    const layotto = new GrpcStateDoor('Layotto gRPC', client, LAYOTTO);
    const dapr = new GrpcStateDoor('Dapr gRPC', client, DAPR);
    const http = new HttpStateDoor(target);
    expect(await layotto.save('statestore', [{ key: 'u', value: '7' }])).toMatchObject({ code: 0 });
    for (const door of [layotto, dapr, http]) {
      expect(await door.get('statestore', 'u')).toMatchObject({ value: '7', etag: '1' });
    }
  });
});

describe('the API token', () => {
  const token = 'correct horse battery staple';
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({ apiToken: token });
  });

  afterAll(() => runtime?.stop());

  test.each([undefined, '', 'wrong', `${token} `.slice(0, -2), token.toUpperCase()])(
    'a call with the token %j is refused',
    async (given) => {
      const headers: Record<string, string> = given === undefined ? {} : { 'dapr-api-token': given };
      const http = await http1(runtime.target, 'GET', '/v1.0/state/statestore/k', { headers });
      expect(http).toMatchObject({ status: 401, body: 'invalid api token\n' });
      expect(http.headers['content-type']).toMatch(/^text\/plain/);
      const client = await runtime.connect();
      for (const service of [LAYOTTO, DAPR]) {
        const answer = await client.unary(
          `${service}/GetState`,
          GetStateRequestSchema,
          request,
          GetStateResponseSchema,
          { headers },
        );
        expect([answer.grpcStatus, answer.grpcMessage]).toEqual([16, 'Unauthorized']);
        const [detail] = answer.details?.details ?? [];
        const said = fromBinary(ErrorInfoSchema, detail?.value ?? new Uint8Array(0));
        const why = given
          ? 'authentication error: api token mismatch'
          : 'missing api token in request metadata';
        expect(said).toMatchObject({
          ...{ reason: 'Unauthorized', domain: 'dapr.io' },
          metadata: { 'http.code': '401', 'http.error_message': why },
        });
      }
    },
  );

  test('a call with the right token is served', async () => {
    const headers = { 'dapr-api-token': token };
    expect((await http1(runtime.target, 'GET', '/v1.0/state/statestore/k', { headers })).status).toBe(204);
    const client = await runtime.connect();
    for (const service of [LAYOTTO, DAPR]) {
      const door = new GrpcStateDoor(service, client, service, headers);
      expect(await door.get('statestore', 'k')).toMatchObject({ code: 0 });
    }
  });

  test('health probes need no token', async () => {
    for (const path of ['/v1.0/healthz', '/v1.0/healthz/outbound']) {
      expect((await http1(runtime.target, 'GET', path)).status).toBe(204);
    }
    expect((await http1(runtime.target, 'GET', '/v1.0/metadata')).status).toBe(401);
  });

  test('the configuration Envoy shows holds no token', async () => {
    const { body } = await runtime.admin('/config_dump');
    expect(body).toContain('layotto.runtime');
    expect(body).not.toContain(token);
  });
});
