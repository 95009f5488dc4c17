import { CommunicationProtocolEnum, HttpMethod } from '@dapr/dapr';
import type { DaprClient } from '@dapr/dapr';
import { Client as LayottoClient } from 'layotto';

import { startDaprClient } from '../support/dapr-client.js';
import { InvokedApp } from '../support/invoked-app.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';

/** The published clients, unmodified, on service invocation. */
describe('published clients', () => {
  let app: InvokedApp;
  let callee: Runtime;
  let runtime: Runtime;

  beforeAll(async () => {
    app = await InvokedApp.start('orders');
    const bare = { bridge: 'none', waitForComponents: false } as const;
    callee = await Runtime.start({ ...bare, appId: 'orders', appPort: app.port, inbound: true });
    runtime = await Runtime.start({
      ...bare,
      appId: 'shop',
      callees: {
        orders: { to: [{ host: '127.0.0.1', port: callee.config.listen.inbound?.port ?? 0 }] },
        away: { to: [{ host: '127.0.0.1', port: await freePort() }] },
      },
    });
  });

  afterAll(async () => {
    await Promise.all([runtime?.stop(), callee?.stop()]);
    await app?.kill();
  });

  describe.each([CommunicationProtocolEnum.HTTP, CommunicationProtocolEnum.GRPC])(
    '@dapr/dapr by protocol %s',
    (protocol) => {
      let client: DaprClient;
      beforeAll(async () => (client = await startDaprClient(runtime.port, protocol)));
      afterAll(() => client?.stop());

      test('invokes with and without a body', async () => {
        const item = await client.invoker.invoke('orders', 'items/7', HttpMethod.GET);
        expect(item).toMatchObject({ app: 'orders', method: 'GET', url: '/items/7' });
        const order = { item: 'tea', count: 2 };
        const answer = await client.invoker.invoke('orders', 'items', HttpMethod.POST, order);
        expect(answer).toMatchObject({ method: 'POST', url: '/items', body: JSON.stringify(order) });
        expect(app.last.headers['content-type']).toBe('application/json');
      });

      test('is told of what goes wrong', async () => {
        await expect(client.invoker.invoke('orders', 'status/404', HttpMethod.GET)).rejects.toThrow();
        await expect(client.invoker.invoke('nobody', 'x', HttpMethod.GET)).rejects.toThrow(/nobody/);
        await expect(client.invoker.invoke('away', 'x', HttpMethod.POST, {})).rejects.toThrow(/away/);
      });
    },
  );

  describe('layotto', () => {
    let client: LayottoClient;
    beforeAll(() => {
      client = new LayottoClient(String(runtime.port), '127.0.0.1');
    });
    // The client has no call that ends its connection.
    afterAll(() => (client as unknown as { _runtime: { close(): void } })._runtime.close());

    test('invokes, and gets JSON and text', async () => {
      const { contentType, content } = await client.invoker.invoke({ id: 'orders', method: '/hello' });
      expect(contentType).toBe('application/json');
      expect(content).toMatchObject({ app: 'orders', method: 'GET', url: '/hello' });
      const posted = await client.invoker.invoke({ id: 'orders', method: 'x', httpVerb: 3, data: 'text' });
      expect(posted.content).toMatchObject({ method: 'POST', body: 'text' });
      expect(app.last.headers).toMatchObject({ id: 'orders', 'content-type': 'text/plain; charset=UTF-8' });
    });

    test('is told of what goes wrong', async () => {
      await expect(client.invoker.invoke({ id: 'orders', method: 'status/404' })).rejects.toMatchObject({
        code: 14,
        details: 'http response code 404, body: status 404',
      });
      await expect(client.invoker.invoke({ id: 'away', method: 'x' })).rejects.toMatchObject({ code: 14 });
    });
  });
});
