import { BULK, GrpcApp } from '../support/grpc-app.js';
import { http1 } from '../support/http1.js';
import { startNats } from '../support/nats-server.js';
import type { NatsServer } from '../support/nats-server.js';
import { Publisher } from '../support/publisher.js';
import { Runtime } from '../support/runtime.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const BROKERS = ['embedded', 'redis', 'jetstream'] as const;

/** What every broker here has settings for. */
const SOON = { redeliverInterval: '200ms' };

let store: StoreServer;
let nats: NatsServer;
let app: GrpcApp;
let runtime: Runtime;
const publishers = new Map<string, Publisher>();

/** How to find each broker; Redis has messages again that nobody has settled for so long. */
function metadataOf(broker: (typeof BROKERS)[number]): Record<string, string> {
  if (broker === 'redis')
    return { redisHost: `127.0.0.1:${store.port}`, processingTimeout: '300ms', ...SOON };
  return broker === 'jetstream' ? { natsURL: nats.url, ...SOON } : SOON;
}

async function publish(broker: string, topic: string, data: unknown): Promise<void> {
  await publishers.get(broker)?.publish(topic, data);
}

/** Gives a component other settings, as an app does. */
async function apply(name: string, metadata: Record<string, string>): Promise<void> {
  const { status, body } = await http1(runtime.target, 'POST', '/v1.0-layotto/lifecycle/ApplyConfiguration', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ componentConfig: { kind: 'pub_subs', name, metadata } }),
  });
  expect([name, status, body]).toEqual([name, 200, '{}']);
}

beforeAll(async () => {
  [store, nats, app] = await Promise.all([startStore('valkey'), startNats(), GrpcApp.open()]);
  app.bulk = [BULK[0]];
  app.subscriptions = BROKERS.flatMap((pubsubName) => [
    {
      pubsubName,
      topic: 'routed',
      routes: { rules: [{ match: 'event.data.total > 100', path: '/large' }], default: '/any' },
    },
    { pubsubName, topic: 'fragile', deadLetterTopic: 'dead', metadata: { maxDeliveries: '2' } },
    { pubsubName, topic: 'dead' },
    {
      pubsubName,
      topic: 'many',
      bulkSubscribe: { enabled: true, maxMessagesCount: 4, maxAwaitDurationMs: 500 },
    },
    { pubsubName, topic: 'numbered' },
  ]);
  app.layottoSubscriptions = BROKERS.map((pubsubName) => ({ pubsubName, topic: 'layotto' }));
  await app.start();
  runtime = await Runtime.start({
    ...{ appPort: app.port, appProtocol: 'grpc', concurrency: 2 },
    components: BROKERS.map((name) => ({ name, type: `pubsub.${name}`, metadata: metadataOf(name) })),
  });
  for (const broker of BROKERS) publishers.set(broker, await Publisher.of(runtime, broker));
  const subscriptions = app.subscriptions.length + app.layottoSubscriptions.length;
  await eventually('all is subscribed', () => {
    const said = runtime.bridgeProcess.log.match(/"msg":"subscribed"/g) ?? [];
    return said.length === subscriptions;
  });
});

beforeEach(() => {
  app.events.length = 0;
  app.answer = () => 0;
});

afterAll(async () => {
  await runtime?.stop();
  await app?.stop();
  await Promise.all([store?.stop(), nats?.stop()]);
});

describe.each(BROKERS)('deliveries from %s through Envoy to a gRPC app', (broker) => {
  test("come by Dapr's callback with the path of their rule, and by Layotto's", async () => {
    await publish(broker, 'routed', { total: 101 });
    await publish(broker, 'routed', { total: 1 });
    await publish(broker, 'layotto', 'to Layotto');
    await eventually('all have come', () => app.events.length === 3);
    expect(
      app
        .told('routed')
        .map(({ pubsub, path, data }) => [pubsub, path, data])
        .sort(),
    ).toEqual([
      [broker, '/any', '{"total":1}'],
      [broker, '/large', '{"total":101}'],
    ]);
    expect(app.told('layotto')).toMatchObject([
      { method: '/spec.proto.runtime.v1.AppCallback/OnTopicEvent', pubsub: broker, data: '"to Layotto"' },
    ]);
  });

  test('come again if the app says so or fails, and go to the dead letter topic in the end', async () => {
    const attempts: number[] = [];
    app.answer = ({ topic }) => {
      if (topic !== 'fragile') return 0;
      if (attempts.push(Date.now()) === 1) return 1;
      throw new Error('not now');
    };
    await publish(broker, 'fragile', 'poison');
    await eventually('it is dead', () => app.told('dead').length === 1);
    expect(app.told('fragile').map(({ data }) => data)).toEqual(['"poison"', '"poison"']);
    expect(app.told('dead')[0]?.data).toBe('"poison"');
  });

  test('come many in one call; what is not named comes again', async () => {
    app.answer = ({ call, data }) =>
      call > app.events[0]!.call || Number(data) > 2 ? 0 : data === '1' ? 1 : undefined;
    await Promise.all([1, 2, 3, 4].map((n) => publish(broker, 'many', n)));
    await eventually('what was not taken has come again', () => app.told('many').length === 6);
    const [first] = app.told('many');
    const inFirst = app.told('many').filter(({ call }) => call === first?.call);
    expect(inFirst.map(({ data }) => data).sort()).toEqual(['1', '2', '3', '4']);
    expect(first).toMatchObject({ method: BULK[0], pubsub: broker });
    expect(
      app
        .told('many')
        .slice(4)
        .map(({ data }) => data)
        .sort(),
    ).toEqual(['1', '2']);
  });
});

test('all go on while new settings are applied and the app changes its subscriptions', async () => {
  const total = 300;
  const came = (broker: string): Set<string> =>
    new Set(app.told('numbered').flatMap(({ pubsub, data }) => (pubsub === broker ? [data] : [])));
  const all = (count: number): boolean => BROKERS.every((broker) => came(broker).size >= count);
  const publishing = Promise.all(
    BROKERS.map(async (broker) => {
      for (let n = 0; n < total; n++) await publish(broker, 'numbered', n);
    }),
  );
  for (const [count, redeliverInterval] of [
    [20, '150ms'],
    [60, '250ms'],
  ] as const) {
    await eventually('some have come', () => all(count));
    for (const broker of BROKERS) await apply(broker, { ...metadataOf(broker), redeliverInterval });
  }
  // Another rule: subscriptions are made anew while their events come.
  const before = app.subscriptions;
  app.subscriptions = [
    ...before.filter(({ topic }) => topic !== 'numbered'),
    ...BROKERS.map((pubsubName) => ({ pubsubName, topic: 'numbered', routes: { default: '/changed' } })),
  ];
  await eventually('all have come', () => all(total), { timeoutMs: 30_000 });
  await publishing;
  await eventually(
    'the change is heard',
    async () => {
      for (const broker of BROKERS) await publish(broker, 'numbered', 'more');
      const changed = app.told('numbered').filter(({ path }) => path === '/changed');
      return new Set(changed.map(({ pubsub }) => pubsub)).size === BROKERS.length;
    },
    { timeoutMs: 15_000, everyMs: 100 },
  );
  app.subscriptions = before;
}, 60_000);

test.each([
  ['that only knows the older call for many events gets that', [BULK[1]], BULK[1]],
  ['that knows none gets each event by itself', [], '/dapr.proto.runtime.v1.AppCallback/OnTopicEvent'],
])('an app %s', async (_, bulk, method) => {
  await app.stop();
  app.bulk = bulk;
  await app.start();
  const tried = new Set<string>();
  app.answer = ({ data }) => (data === '2' && !tried.has(data) ? (tried.add(data), 1) : 0);
  await Promise.all([1, 2, 3].map((n) => publish('embedded', 'many', n)));
  await eventually('all have come, and what is to be retried again', () => app.told('many').length === 4);
  expect(
    app
      .told('many')
      .map((event) => [event.method, event.data])
      .sort(),
  ).toEqual(['1', '2', '2', '3'].map((data) => [method, data]));
});
