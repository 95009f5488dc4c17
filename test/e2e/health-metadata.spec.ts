import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import {
  GetMetadataResponseSchema,
  SetMetadataRequestSchema,
} from '../../components-bridge/src/gen/dapr/proto/runtime/v1/metadata_pb.js';
import { DAPR } from '../support/doors.js';
import { grpcFrame } from '../support/grpc-raw.js';
import { http1, httpJson } from '../support/http1.js';
import { EMBEDDED, Runtime, VERSION } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

describe.each([1, 2])('health and metadata on %i worker(s)', (concurrency) => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({ concurrency, appId: 'shop', components: [EMBEDDED] });
  });

  afterAll(() => runtime?.stop());

  test.each(['/v1.0/healthz', '/v1.0/healthz/outbound'])('GET %s answers 204', async (path) => {
    expect(await http1(runtime.target, 'GET', path)).toMatchObject({ status: 204, body: '' });
  });

  test('metadata names the app and its components', async () => {
    const { status, headers, json } = await httpJson(runtime.target, 'GET', '/v1.0/metadata');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(json).toMatchObject({
      id: 'shop',
      runtimeVersion: VERSION,
      components: [
        {
          name: 'statestore',
          type: 'state.embedded',
          version: 'v1',
          capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
        },
      ],
    });
  });

  test('metadata set through either door is read through both, on every worker', async () => {
    expect(await http1(runtime.target, 'PUT', '/v1.0/metadata/colour', { body: 'green' })).toMatchObject({
      status: 204,
      body: '',
    });
    const client = await runtime.connect();
    const set = await client.send({
      path: `${DAPR}/SetMetadata`,
      body: [
        grpcFrame(
          toBinary(SetMetadataRequestSchema, create(SetMetadataRequestSchema, { key: 'size', value: 'xl' })),
        ),
      ],
    });
    expect(set).toMatchObject({ grpcStatus: 0, trailersOnly: false });

    const expected = { colour: 'green', size: 'xl' };
    // New connections land on either worker.
    for (let round = 0; round < 8; round++) {
      const { json } = await httpJson(runtime.target, 'GET', '/v1.0/metadata');
      expect(json).toMatchObject({ extended: expected });
      const other = await runtime.connect();
      const answer = await other.send({
        path: `${DAPR}/GetMetadata`,
        body: [grpcFrame(toBinary(EmptySchema, create(EmptySchema)))],
      });
      expect(answer.grpcStatus).toBe(0);
      const message = fromBinary(GetMetadataResponseSchema, answer.messages[0] as Buffer);
      expect(message.id).toBe('shop');
      expect(message.extendedMetadata).toMatchObject(expected);
    }
  });
});

test('without a bridge the filter is up but not ready, and says so', async () => {
  const runtime = await Runtime.start({ bridge: 'none' });
  try {
    const { status, json } = await httpJson(runtime.target, 'GET', '/v1.0/healthz/outbound');
    expect(status).toBe(500);
    expect(json).toMatchObject({ errorCode: 'ERR_OUTBOUND_HEALTH_NOT_READY' });
    const metadata = await httpJson(runtime.target, 'GET', '/v1.0/metadata');
    expect(metadata.status).toBe(200);
    const get = await httpJson(runtime.target, 'GET', '/v1.0/state/statestore/a');
    expect(get.status).toBeGreaterThanOrEqual(500);
    expect((get.json as { message: string }).message).toMatch(/bridge/);
  } finally {
    await runtime.stop();
  }
});

test('a runtime that loses its bridge is healthy again when the bridge is back', async () => {
  const runtime = await Runtime.start();
  try {
    await runtime.killBridge();
    const healthy = async (): Promise<boolean> =>
      (await http1(runtime.target, 'GET', '/v1.0/healthz/outbound')).status === 204;
    await eventually('outbound health fails', async () => !(await healthy()));
    await runtime.restartBridge();
    await eventually('outbound health is back', healthy);
  } finally {
    await runtime.stop();
  }
});
