import type { DaprClient } from '@dapr/dapr';
import { Client as LayottoClient } from 'layotto';
import { DAPR_DOORS, startDaprClient } from '../support/dapr-client.js';
import { TestHttpServer } from '../support/http-server.js';
import { GRPC_SERVERS, Runtime } from '../support/runtime.js';

const PREFIX = 'SDK_SECRETS_SPEC_';

/** The published clients, unmodified, on the primitives that ask others: secrets, bindings, greetings. */
describe('published clients', () => {
  let server: TestHttpServer;
  let runtime: Runtime;

  beforeAll(async () => {
    process.env[`${PREFIX}password`] = 'hush';
    process.env[`${PREFIX}denied`] = 'no';
    server = await TestHttpServer.start();
    runtime = await Runtime.start({
      listen: true,
      components: [
        {
          name: 'secretstore',
          type: 'secretstores.local.env',
          metadata: { prefix: PREFIX },
          access: { default: 'allow', allowed: [], denied: ['denied'] },
        },
        { name: 'out', type: 'bindings.http', metadata: { url: server.url } },
        { name: 'helloworld', type: 'hello.helloworld', metadata: { hello: 'greeting' } },
      ],
    });
    for (const name of ['password', 'denied']) delete process.env[`${PREFIX}${name}`];
  });

  afterAll(async () => {
    await runtime?.stop();
    await server?.stop();
  });

  describe.each(GRPC_SERVERS)('layotto over gRPC, by %s', (_, portOf) => {
    let client: LayottoClient;

    beforeAll(() => {
      client = new LayottoClient(String(portOf(runtime)), '127.0.0.1');
    });

    // The client has no call that ends its connection.
    afterAll(() => (client as unknown as { _runtime: { close(): void } })._runtime.close());

    test('says hello', async () => {
      expect(await client.hello.sayHello()).toBe('greeting');
      expect(await client.hello.sayHello({ name: 'Ada' })).toBe('greeting, Ada');
      await expect(client.hello.sayHello({ serviceName: 'nope' })).rejects.toMatchObject({
        details: 'no instance found',
      });
    });

    test('invokes an output binding', async () => {
      const answer = await client.binding.invoke({
        name: 'out',
        operation: 'post',
        data: 'hello binding',
        metadata: { path: 'kept/layotto', 'X-Mine': 'yes' },
      });
      expect(Buffer.from(answer.data).toString()).toBe('hello binding');
      expect(answer.metadata).toMatchObject({ statusCode: '200' });
      expect(server.seen.at(-1)?.headers['x-mine']).toBe('yes');
      await expect(
        client.binding.invoke({ name: 'nope', operation: 'get', data: '', metadata: {} }),
      ).rejects.toMatchObject({
        code: 13,
        details: "error when invoke output binding nope: couldn't find output binding nope",
      });
    });
  });

  describe.each(DAPR_DOORS)('@dapr/dapr over %s', (_, protocol, communicationProtocol, portOf) => {
    let client: DaprClient;

    beforeAll(async () => {
      client = await startDaprClient(portOf(runtime), communicationProtocol);
    });

    afterAll(() => client?.stop());

    test('reads secrets', async () => {
      expect(await client.secret.get('secretstore', 'password')).toEqual({ password: 'hush' });
      expect(await client.secret.getBulk('secretstore')).toEqual({ password: { password: 'hush' } });
      await expect(client.secret.get('secretstore', 'denied')).rejects.toThrow(/access denied by policy/);
      await expect(client.secret.get('secretstore', 'absent')).rejects.toThrow(/secret absent not found/);
      await expect(client.secret.get('nope', 'password')).rejects.toThrow(/nope/);
      // The system's own look-up of a variable ends at a NUL.
      if (protocol === 'gRPC')
        await expect(client.secret.get('secretstore', 'denied\0')).rejects.toThrow(/not found/);
    });

    test('sends to an output binding', async () => {
      const data = { fruit: 'apple', from: protocol };
      const answer: unknown = await client.binding.send('out', 'post', data, { path: `kept/${protocol}` });
      const sent = server.seen.at(-1);
      expect(JSON.parse(sent?.body ?? '')).toEqual(data);
      if (protocol === 'HTTP') expect(answer).toEqual(data);
      else expect(Buffer.from((answer as { data: Uint8Array }).data).toString()).toBe(JSON.stringify(data));
      await expect(client.binding.send('out', 'zap', data)).rejects.toThrow(/does not support operation zap/);
    });
  });
});
