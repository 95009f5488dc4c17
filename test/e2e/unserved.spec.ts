import { grpcFrame } from '../support/grpc-raw.js';
import { httpJson } from '../support/http1.js';
import { Runtime } from '../support/runtime.js';

describe('what this version does not serve', () => {
  let runtime: Runtime;

  beforeAll(async () => (runtime = await Runtime.start({ bridge: 'none', waitForComponents: false })));
  afterAll(() => runtime?.stop());

  test("Layotto's extension services are refused by name, streams before they have sent anything", async () => {
    const client = await runtime.connect();
    const service = '/spec.proto.extension.v1.s3.ObjectStorageService';
    const unary = await client.send({ path: `${service}/HeadObject`, body: [grpcFrame(new Uint8Array(0))] });
    expect(unary).toMatchObject({
      grpcStatus: 12,
      grpcMessage: `method ${service}/HeadObject is not implemented by this runtime: object storage is not served by this version`,
      trailersOnly: true,
    });
    const upload = await client.send({
      path: `${service}/PutObject`,
      body: Array.from({ length: 8 }, () => grpcFrame(new Uint8Array(65_536))),
    });
    expect(upload).toMatchObject({ grpcStatus: 12, trailersOnly: true });
  });

  test('over HTTP too', async () => {
    const { status, json } = await httpJson(runtime.target, 'POST', '/v1.0-layotto/oss/PutObject', {
      storeName: 'oss',
    });
    expect(status).toBe(501);
    expect(json).toEqual({
      errorCode: 'UNIMPLEMENTED',
      message: 'this API is currently not implemented: object storage is not served by this version',
    });
  });
});
