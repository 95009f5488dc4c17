import { CommunicationProtocolEnum } from '@dapr/dapr';

import { asyncApiProblems } from '../support/asyncapi.js';
import { startDaprClient } from '../support/dapr-client.js';
import { http1 } from '../support/http1.js';
import { HttpApp } from '../support/http-app.js';
import { Publisher } from '../support/publisher.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const PUBSUB = { name: 'pubsub', type: 'pubsub.embedded', metadata: { redeliverInterval: '200ms' } };

describe('an HTTP app', () => {
  let app: HttpApp;
  let runtime: Runtime;
  let publisher: Publisher;
  let bridgeLog = '';

  beforeAll(async () => {
    app = await HttpApp.open();
    app.subscriptions = [
      { pubsubname: 'pubsub', topic: 'orders', route: '/orders' },
      { pubsubname: 'pubsub', topic: 'later', route: 'later' },
      {
        pubsubname: 'pubsub',
        topic: 'routed',
        routes: {
          rules: [
            { match: 'event.type == "urgent"', path: '/urgent' },
            { match: 'event.data.total > 100', path: '/large' },
          ],
          default: '/any',
        },
      },
      {
        pubsubname: 'pubsub',
        topic: 'strict',
        routes: { rules: [{ match: 'event.data.kind == "known"', path: '/known' }] },
        deadLetterTopic: 'strict-dead',
      },
      {
        pubsubname: 'pubsub',
        topic: 'fragile',
        route: '/fragile',
        metadata: { maxDeliveries: '3' },
        deadLetterTopic: 'dead',
      },
      { pubsubname: 'pubsub', topic: 'dead', route: '/dead' },
      { pubsubname: 'pubsub', topic: 'strict-dead', route: '/strict-dead' },
      { pubsubname: 'pubsub', topic: 'raw', route: '/raw', metadata: { rawPayload: 'true' } },
      {
        pubsubname: 'pubsub',
        topic: 'many',
        route: '/many',
        bulkSubscribe: { enabled: true, maxMessagesCount: 5, maxAwaitDurationMs: 300 },
      },
      { pubsubname: 'pubsub', topic: 'bad', routes: { rules: [{ match: 'event.type ==', path: '/x' }] } },
      { pubsubname: 'nowhere', topic: 'bad', route: '/x' },
      { pubsubname: 'pubsub', topic: 'no route' },
    ];
    runtime = await Runtime.start({ appPort: app.port, appToken: 'of the app', components: [PUBSUB] });
    publisher = await Publisher.of(runtime);
    await app.start();
    await publisher.publish('orders', 'first');
    await eventually('the first event comes', () => app.told('/orders').length === 1);
  });

  beforeEach(() => {
    app.calls.length = 0;
    app.answer = () => ({});
  });

  afterAll(async () => {
    await runtime?.stop();
    await app?.stop();
  });

  test('is told of an event as Dapr tells it', async () => {
    await publisher.publish('orders', { total: 3 });
    await eventually('it is told', () => app.told('/orders').length === 1);
    const [call] = app.told('/orders');
    expect(call?.headers).toMatchObject({
      'content-type': 'application/cloudevents+json',
      'dapr-api-token': 'of the app',
    });
    expect(call?.json).toMatchObject({
      topic: 'orders',
      pubsubname: 'pubsub',
      data: { total: 3 },
      specversion: '1.0',
    });
  });

  test.each([
    ['nothing', {}, 1],
    ['SUCCESS', { body: { status: 'SUCCESS' } }, 1],
    ['DROP', { body: { status: 'DROP' } }, 1],
    ['no JSON', { body: undefined, status: 202 }, 1],
    ['404', { status: 404 }, 1],
    ['RETRY', { body: { status: 'RETRY' } }, 2],
    ['an unknown status', { body: { status: 'success' } }, 2],
    ['503', { status: 503 }, 2],
  ])('that answers with %s gets the event %#', async (_, reply, times) => {
    app.answer = ({ json }) => (json['data'] === 'end' || app.calls.length > 1 ? {} : reply);
    await publisher.publish('orders', 'tried');
    await eventually('it has come', () => app.told('/orders').length === times);
    await publisher.publish('orders', 'end');
    await eventually('the next has come', () =>
      app.told('/orders').some(({ json }) => json['data'] === 'end'),
    );
    expect(app.told('/orders').filter(({ json }) => json['data'] === 'tried')).toHaveLength(times);
  });

  test('gets events by rules', async () => {
    await publisher.publish('routed', { total: 1 }, { metadata: { 'cloudevent.type': 'urgent' } });
    await publisher.publish('routed', { total: 101 });
    await publisher.publish('routed', 'neither');
    await eventually('all have come', () => app.calls.length === 3);
    expect(app.calls.map(({ path }) => path).sort()).toEqual(['/any', '/large', '/urgent']);
  });

  test('does not get what fits no rule', async () => {
    await publisher.publish('strict', { kind: 'unknown' });
    await publisher.publish('strict', { kind: 'known' });
    await eventually('both have come', () => app.calls.length === 2);
    expect(app.told('/known').map(({ json }) => json['data'])).toEqual([{ kind: 'known' }]);
    expect(app.told('/strict-dead').map(({ json }) => json['data'])).toEqual([{ kind: 'unknown' }]);
  });

  test('that fails too often gets the event on the dead letter topic', async () => {
    app.answer = ({ path }) => ({ status: path === '/fragile' ? 500 : 200 });
    await publisher.publish('fragile', 'poison');
    await eventually('it is given up', () => app.told('/dead').length === 1);
    expect(app.told('/fragile')).toHaveLength(3);
    const [dead] = app.told('/dead');
    expect(dead?.body.toString()).toEqual(app.told('/fragile')[0]?.body.toString());
    app.answer = ({ path }) => (path === '/fragile' ? { body: { status: 'DROP' } } : {});
    await publisher.publish('fragile', 'dropped');
    await eventually('it is given up at once', () => app.told('/dead').length === 2);
    expect(app.told('/fragile')).toHaveLength(4);
  });

  test('that wants raw payloads gets them wrapped', async () => {
    await publisher.publish('raw', Buffer.from([1, 2, 255]), {
      contentType: 'application/octet-stream',
      metadata: { rawPayload: 'true' },
    });
    await eventually('it is told', () => app.told('/raw').length === 1);
    expect(app.told('/raw')[0]?.json).toMatchObject({
      datacontenttype: 'application/octet-stream',
      data_base64: Buffer.from([1, 2, 255]).toString('base64'),
      topic: 'raw',
    });
  });

  test('is not told of an event that has expired', async () => {
    app.answer = async () => new Promise((resolve) => setTimeout(() => resolve({}), 50));
    const expired = { metadata: { 'cloudevent.id': 'old', ttlInSeconds: '1' } };
    const event = { specversion: '1.0', id: 'x', source: 's', type: 't', expiration: '2020-01-01T00:00:00Z' };
    await publisher.publish('orders', JSON.stringify(event), { contentType: 'application/cloudevents+json' });
    await publisher.publish('orders', 'fresh', expired);
    await eventually('the other is told', () => app.told('/orders').length === 1);
    expect(app.told('/orders')[0]?.json).toMatchObject({ id: 'old', data: 'fresh' });
  });

  test('gets many events in one call', async () => {
    let first = true;
    app.answer = ({ json }) => {
      const entries = json['entries'] as { entryId: string; event: { data: number } }[];
      const statuses = entries.flatMap(({ entryId, event }) => {
        if (!first || event.data > 2) return [{ entryId, status: 'SUCCESS' }];
        return event.data === 1 ? [{ entryId, status: 'RETRY' }] : [];
      });
      first = false;
      return { body: { statuses } };
    };
    for (let n = 1; n <= 5; n++) await publisher.publish('many', n);
    const told = (): number[][] =>
      app
        .told('/many')
        .map(({ json }) => (json['entries'] as { event: { data: number } }[]).map(({ event }) => event.data));
    await eventually('it is told', () => told().length >= 1);
    expect(told()[0]).toEqual([1, 2, 3, 4, 5]);
    expect(app.told('/many')[0]?.json).toMatchObject({
      topic: 'many',
      pubsubname: 'pubsub',
      type: 'com.dapr.event.sent.bulk',
    });
    await eventually('what was not taken comes again', () => told().flat().length === 7);
    expect(told().slice(1).flat().sort()).toEqual([1, 2]);
  });

  test('that is away for a while misses nothing, and no attempt is lost', async () => {
    await app.stop();
    await publisher.publish('later', 1);
    await publisher.publish('later', 2);
    await eventually('it is noticed', () => runtime.bridgeProcess.log.includes('the app cannot be reached'));
    await app.start();
    await eventually('both are told', () => app.told('/later').length === 2);
    // The bridge counts them when it has the app's answers.
    const first =
      /pubsub_deliveries_total\{component="pubsub",topic="later",status="success",attempt="1"\} 2/;
    await eventually('both are counted', async () => first.test(await bridgeMetrics(runtime)));
  });

  test('that changes its mind is heard', async () => {
    const before = app.subscriptions;
    app.subscriptions = [...(before ?? []), { pubsubname: 'pubsub', topic: 'new', route: '/new' }];
    await eventually(
      'it is asked again',
      () => runtime.bridgeProcess.log.includes('"topic":"new","msg":"subscribed"'),
      { timeoutMs: 15_000 },
    );
    await publisher.publish('new', 1);
    await eventually('it is told', () => app.told('/new').length === 1);
    app.subscriptions = before;
    await eventually(
      'it is asked again',
      () => runtime.bridgeProcess.log.includes('"topic":"new","msg":"unsubscribed"'),
      { timeoutMs: 15_000 },
    );
    // The others have stayed as they were.
    expect(runtime.bridgeProcess.log.match(/"topic":"orders","msg":"subscribed"/g)).toHaveLength(1);
  });

  test('sees in the metadata what it is subscribed to', async () => {
    // What was given up a moment ago is told to each worker in its turn.
    const subscriptions = await eventually('it names nine', async () => {
      const { body } = await http1(runtime.target, 'GET', '/v1.0/metadata');
      const { subscriptions: named } = JSON.parse(body) as { subscriptions: { topic: string }[] };
      return named.length === 9 && named;
    });
    expect(subscriptions.find(({ topic }) => topic === 'routed')).toEqual({
      pubsubname: 'pubsub',
      topic: 'routed',
      rules: [
        { match: 'event.type == "urgent"', path: '/urgent' },
        { match: 'event.data.total > 100', path: '/large' },
        { path: '/any' },
      ],
      type: 'PROGRAMMATIC',
    });
    const client = await startDaprClient(runtime.port, CommunicationProtocolEnum.GRPC);
    const metadata = await client.metadata.get();
    await client.stop();
    expect(metadata).toMatchObject({ id: 'app' });
  });

  test('has its topics described as AsyncAPI', async () => {
    const { status, body } = await http1(runtime.target, 'GET', '/v1.0-layotto/asyncapi.json');
    expect(status).toBe(200);
    const document = JSON.parse(body) as Record<string, object>;
    expect(asyncApiProblems(document)).toEqual([]);
    expect(document['operations']).toMatchObject({
      publish_pubsub_orders: { action: 'send' },
      receive_pubsub_fragile: { 'x-layotto-dead-letter-topic': 'dead', 'x-layotto-max-deliveries': 3 },
      receive_pubsub_many: { 'x-layotto-bulk': { maxMessages: 5, maxAwaitMs: 300 } },
    });
    const channels = document['channels'] as Record<string, { messages: Record<string, unknown> }>;
    expect(channels['pubsub_raw']?.messages).toMatchObject({
      raw1: { contentType: 'application/octet-stream' },
    });
  });

  test('has topics that it has published to described after a restart of the bridge', async () => {
    const operations = async (): Promise<Record<string, unknown>> => {
      const { body } = await http1(runtime.target, 'GET', '/v1.0-layotto/asyncapi.json');
      return (JSON.parse(body) as { operations?: Record<string, unknown> }).operations ?? {};
    };
    const published = async (): Promise<string[]> =>
      Object.keys(await operations()).filter((name) => name.startsWith('publish_'));
    const before = await published();
    expect(before.length).toBeGreaterThan(2);
    const { log } = runtime.bridgeProcess;
    await runtime.restartBridge();
    await eventually('all are known again', async () => {
      return (await published()).sort().join() === before.sort().join();
    });
    // What is asked below was asked of the bridge that had the subscriptions first.
    bridgeLog = log;
  });

  test('has subscriptions that are wrong named, each once', async () => {
    const log = bridgeLog;
    expect(log.match(/not an expression of CEL/g)).toHaveLength(1);
    expect(log).toContain('pubsub nowhere is not configured');
    expect(log).toContain('has no route; it is left out');
  });
});

async function bridgeMetrics(runtime: Runtime): Promise<string> {
  const { body } = await http1(
    { socketPath: `${runtime.config.dataDir}/bridge-admin.sock` },
    'GET',
    '/metrics',
  );
  return body;
}
