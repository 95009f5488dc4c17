import { StringValueSchema } from '@bufbuild/protobuf/wkt';
import * as binding from '../../components-bridge/src/gen/layotto/bridge/v1/binding_pb.js';
import * as hello from '../../components-bridge/src/gen/layotto/bridge/v1/hello_pb.js';
import * as lifecycle from '../../components-bridge/src/gen/layotto/bridge/v1/lifecycle_pb.js';
import { DAPR, LAYOTTO } from '../support/doors.js';
import type { RawClient } from '../support/grpc-raw.js';
import { TestHttpServer } from '../support/http-server.js';
import { http1, httpJson } from '../support/http1.js';
import { EMBEDDED, redisComponent, Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';

describe('output bindings, greetings, and new settings for components', () => {
  let server: TestHttpServer;
  let stores: StoreServer[];
  let runtime: Runtime;
  let client: RawClient;

  beforeAll(async () => {
    server = await TestHttpServer.start();
    stores = [await startStore('redis'), await startStore('redis')];
    runtime = await Runtime.start({
      concurrency: 2,
      limits: { messageBytes: 100_000 },
      components: [
        { name: 'out', type: 'bindings.http', metadata: { url: server.url } },
        { name: 'files', type: 'bindings.localstorage' },
        { name: 'helloworld', type: 'hello.helloworld', metadata: { hello: 'greeting' } },
        redisComponent(stores[0]?.port ?? 0, { name: 'cache' }),
        { ...EMBEDDED, name: 'embedded' },
      ],
    });
    client = await runtime.connect();
  });

  afterAll(async () => {
    await runtime?.stop();
    for (const store of stores ?? []) await store.stop();
    await server?.stop();
  });

  describe.each([LAYOTTO, DAPR])('%s/InvokeBinding', (service) => {
    const invoke = (name: string, operation: string, path: string, data = '', timeoutMs = 20_000) =>
      client.unary(
        `${service}/InvokeBinding`,
        binding.InvokeBindingRequestSchema,
        { name, operation, data: Buffer.from(data), metadata: { path } },
        binding.InvokeBindingResponseSchema,
        { headers: { 'grpc-timeout': '5S' }, timeoutMs },
      );

    test('sends and answers', async () => {
      const answer = await invoke('out', 'post', `kept${service}`, 'ü\0');
      expect(Buffer.from(answer.message?.data ?? []).toString()).toBe('ü\0');
      expect(answer.message?.metadata).toMatchObject({ statusCode: '200', 'X-Served-By': 'test' });
      if (service === DAPR) {
        expect(answer.headers).toMatchObject({
          'metadata.statuscode': '200',
          'metadata.x-served-by': 'test',
          'metadata.set-cookie': 'a=1, b=2',
        });
      } else expect(Object.keys(answer.headers).filter((name) => name.startsWith('metadata.'))).toEqual([]);
    });

    test('says what is wrong', async () => {
      const prefix = service === DAPR ? 'error invoking output binding' : 'error when invoke output binding';
      expect(await invoke('nope', 'get', '')).toMatchObject({
        grpcStatus: 13,
        grpcMessage: `${prefix} nope: couldn't find output binding nope`,
      });
      expect(await invoke('out', 'get', 'status/500')).toMatchObject({
        grpcStatus: 13,
        grpcMessage: `${prefix} out: received status code 500`,
      });
    });

    test('ends by its deadline, and so does the request to the server', async () => {
      const late = await client.unary(
        `${service}/InvokeBinding`,
        binding.InvokeBindingRequestSchema,
        { name: 'out', operation: 'get', metadata: { path: 'never' } },
        binding.InvokeBindingResponseSchema,
        { headers: { 'grpc-timeout': '300m' } },
      );
      expect(late.grpcStatus).toBe(4);
      expect((await invoke('out', 'post', 'kept/after', 'x')).grpcStatus).toBe(0);
    });
  });

  test('Dapr HTTP: an invocation', async () => {
    const invoke = (name: string, body: unknown, method = 'POST') =>
      httpJson(runtime.target, method, `/v1.0/bindings/${name}`, body);
    const data = { n: [1, 'ü'] };
    const answer = await invoke('out', { operation: 'post', data, metadata: { path: 'kept/http' } });
    expect(answer).toMatchObject({ status: 200, json: data });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'metadata.statuscode': '200',
      'metadata.status': '200 OK',
    });
    expect(
      await invoke('files', { operation: 'create', data: 'text', metadata: { fileName: 'f' } }, 'PUT'),
    ).toMatchObject({
      status: 200,
      json: { fileName: 'f' },
    });
    const read = await invoke('files', { operation: 'get', metadata: { fileName: 'f' } });
    expect(read).toMatchObject({ status: 200, body: 'text' });
    expect(await invoke('files', { operation: 'delete', metadata: { fileName: 'f' } })).toMatchObject({
      status: 204,
      body: '',
    });
    expect(await invoke('out', { operation: 'zap' })).toMatchObject({
      status: 500,
      json: {
        errorCode: 'ERR_INVOKE_OUTPUT_BINDING',
        message: expect.stringMatching(
          /^error invoking output binding out: binding out does not support/,
        ) as string,
      },
    });
  });

  test('an answer over limits.message is refused, not held', async () => {
    const path = `/v1.0/bindings/out`;
    const half = 'x'.repeat(60_000);
    const post = { operation: 'put', data: half, metadata: { path: 'kept/long' } };
    expect((await httpJson(runtime.target, 'POST', path, post)).status).toBe(200);
    const fits = { operation: 'get', metadata: { path: 'kept/long' } };
    expect((await httpJson(runtime.target, 'POST', path, fits)).body).toHaveLength(60_002);
    await http1({ port: server.port }, 'PUT', '/kept/long', { body: 'x'.repeat(200_000) });
    const refused = await httpJson(runtime.target, 'POST', path, fits);
    expect(refused).toMatchObject({ status: 429 });
    expect(refused.body).toContain('longer than 100000 bytes');
  });

  const greet = async (name = ''): Promise<string> => {
    const answer = await client.unary(
      `${LAYOTTO}/SayHello`,
      hello.SayHelloRequestSchema,
      { serviceName: 'helloworld', name, data: Buffer.from('0a0161', 'hex') },
      hello.SayHelloResponseSchema,
    );
    expect(Buffer.from(answer.message?.data ?? []).toString('hex')).toBe('0a0161');
    return answer.message?.hello ?? answer.grpcMessage;
  };

  const apply = (kind: string, name: string, metadata: Record<string, string>) =>
    client.unary(
      '/spec.proto.runtime.v1.Lifecycle/ApplyConfiguration',
      lifecycle.DynamicConfigurationSchema,
      { componentConfig: { kind, name, metadata } },
      lifecycle.ApplyConfigurationResponseSchema,
    );

  test('SayHello greets, and gives back what came along', async () => {
    expect(await greet()).toBe('greeting');
    expect(await greet('Ada')).toBe('greeting, Ada');
    const unknown = await client.unary(
      `${LAYOTTO}/SayHello`,
      hello.SayHelloRequestSchema,
      { serviceName: 'nope' },
      StringValueSchema,
    );
    expect(unknown).toMatchObject({ grpcStatus: 3, grpcMessage: 'no instance found' });
  });

  test('ApplyConfiguration changes a greeting', async () => {
    expect((await apply('hellos', 'helloworld', { hello: 'welcome' })).grpcStatus).toBe(0);
    expect(await greet('Ada')).toBe('welcome, Ada');
    expect(await apply('hellos', 'helloworld', { helo: 'x' })).toMatchObject({
      grpcStatus: 3,
      grpcMessage: 'metadata.helo: unknown metadata key of hello.helloworld; did you mean "hello"?',
    });
    expect(await apply('hellos', 'nope', { hello: 'x' })).toMatchObject({
      grpcStatus: 3,
      grpcMessage: 'component not found. kind: hellos , name: nope',
    });
    expect(await greet('Ada')).toBe('welcome, Ada');
  });

  test('ApplyConfiguration moves a store to another server, without a call that fails', async () => {
    const get = async () => http1(runtime.target, 'GET', '/v1.0/state/cache/k');
    const body = '[{"key":"k","value":"old"}]';
    expect((await http1(runtime.target, 'POST', '/v1.0/state/cache', { body })).status).toBe(204);
    let done = false;
    const reading = (async () => {
      const statuses = new Set<number>();
      while (!done) statuses.add((await get()).status);
      return statuses;
    })();
    const moved = await apply('state', 'cache', { redisHost: `127.0.0.1:${stores[1]?.port}` });
    expect(moved).toMatchObject({ grpcStatus: 0, grpcMessage: '' });
    expect((await get()).status).toBe(204);
    done = true;
    // The key was there before and is not there after; nothing else was answered.
    expect([...(await reading)].filter((status) => status !== 200 && status !== 204)).toEqual([]);

    const nowhere = await apply('state', 'cache', { redisHost: '127.0.0.1:1' });
    expect(nowhere.grpcStatus).toBe(9);
    expect(nowhere.grpcMessage).toMatch(
      /^the new settings of cache cannot be used, the old ones stay: .*127\.0\.0\.1:1/,
    );
    expect((await http1(runtime.target, 'POST', '/v1.0/state/cache', { body })).status).toBe(204);
    expect((await get()).body).toBe('"old"');
  });

  test('ApplyConfiguration of the embedded store and of a binding', async () => {
    const body = '[{"key":"k","value":1}]';
    await http1(runtime.target, 'POST', '/v1.0/state/embedded', { body });
    expect((await apply('state', 'embedded', { keyPrefix: 'name' })).grpcStatus).toBe(0);
    expect((await http1(runtime.target, 'GET', '/v1.0/state/embedded/k')).status).toBe(204);
    expect((await apply('state', 'embedded', { keyPrefix: 'appid' })).grpcStatus).toBe(0);
    expect((await http1(runtime.target, 'GET', '/v1.0/state/embedded/k')).body).toBe('1');
    expect((await apply('bindings', 'out', { url: `${server.url}/status/201` })).grpcStatus).toBe(0);
    const answer = await httpJson(runtime.target, 'POST', '/v1.0/bindings/out', { operation: 'get' });
    expect(answer).toMatchObject({ status: 200, body: 'as you wished' });
    expect(answer.headers['metadata.statuscode']).toBe('201');
  });
});
