import { CommunicationProtocolEnum, DaprPubSubStatusEnum, DaprServer } from '@dapr/dapr';
import { Client as LayottoClient, Server as LayottoServer } from 'layotto';

import { startDaprClient } from '../support/dapr-client.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const PUBSUB = { name: 'pubsub', type: 'pubsub.embedded', metadata: { redeliverInterval: '200ms' } };

const SILENT = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  log: () => undefined,
  verbose: () => undefined,
  debug: () => undefined,
};

/** The published servers and clients, unmodified. */
describe.each([
  ['HTTP', CommunicationProtocolEnum.HTTP, 'http'],
  ['gRPC', CommunicationProtocolEnum.GRPC, 'grpc'],
] as const)("Dapr's client and server over %s", (_, communicationProtocol, appProtocol) => {
  test('what is published arrives, and what fails arrives again', async () => {
    const appPort = await freePort();
    const runtime = await Runtime.start({ appPort, appProtocol, components: [PUBSUB] });
    const server = new DaprServer({
      serverHost: '127.0.0.1',
      serverPort: String(appPort),
      communicationProtocol,
      clientOptions: { daprHost: '127.0.0.1', daprPort: String(runtime.port), logger: { service: SILENT } },
      logger: { service: SILENT },
    });
    const client = await startDaprClient(runtime.port, communicationProtocol);
    try {
      const orders: unknown[] = [];
      const tries: unknown[] = [];
      await server.pubsub.subscribe('pubsub', 'orders', async (data: unknown) => void orders.push(data));
      await server.pubsub.subscribe('pubsub', 'tried', async (data: unknown) => {
        tries.push(data);
        return tries.length === 1 ? DaprPubSubStatusEnum.RETRY : DaprPubSubStatusEnum.SUCCESS;
      });
      // The app comes after the runtime.
      await server.start();
      await eventually('it is subscribed', () =>
        runtime.bridgeProcess.log.includes('"topic":"tried","msg":"subscribed"'),
      );
      await client.pubsub.publish('pubsub', 'orders', { total: 3 });
      await client.pubsub.publish('pubsub', 'orders', 'a text');
      await eventually('both have come', () => orders.length === 2);
      expect(orders).toEqual(expect.arrayContaining([{ total: 3 }, 'a text']));
      await client.pubsub.publish('pubsub', 'tried', { n: 1 });
      await eventually('it has come twice', () => tries.length === 2);
      expect(tries).toEqual([{ n: 1 }, { n: 1 }]);
    } finally {
      await client.stop();
      // The server waits for its connections to end.
      await runtime.stop();
      await server.stop();
    }
  });
});

test("Layotto's client and server", async () => {
  const appPort = await freePort();
  const runtime = await Runtime.start({ appPort, appProtocol: 'grpc', components: [PUBSUB] });
  const server = new LayottoServer(String(appPort), undefined, { logger: SILENT as unknown as Console });
  const client = new LayottoClient(String(runtime.port), '127.0.0.1');
  try {
    const orders: unknown[] = [];
    const tries: unknown[] = [];
    server.pubsub.addPubSubSubscription('pubsub', 'orders');
    server.pubsub.subscribe('pubsub', 'orders', async (data) => void orders.push(data));
    server.pubsub.addPubSubSubscription('pubsub', 'tried');
    server.pubsub.subscribe('pubsub', 'tried', async (data) => {
      tries.push(data);
      if (tries.length === 1) throw new Error('not now');
    });
    await server.start();
    await eventually('it is subscribed', () =>
      runtime.bridgeProcess.log.includes('"topic":"tried","msg":"subscribed"'),
    );
    await client.pubsub.publish({ pubsubName: 'pubsub', topic: 'orders', data: { total: 3 } });
    await client.pubsub.publish({ pubsubName: 'pubsub', topic: 'tried', data: { n: 1 } });
    await eventually('all have come', () => orders.length === 1 && tries.length === 2);
    expect(orders).toEqual([{ total: 3 }]);
    expect(tries).toEqual([{ n: 1 }, { n: 1 }]);
  } finally {
    // The client has no call that ends its connection.
    (client as unknown as { _runtime: { close(): void } })._runtime.close();
    await server.close();
    await runtime.stop();
  }
});
