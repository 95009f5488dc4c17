import { Redis } from 'ioredis';

import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import type { Outcome } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually, sleep } from '../support/wait.js';
import { BrokerClient, outgoing } from './pubsub-client.js';

const SOON = { processingTimeout: '400ms', redeliverInterval: '100ms' };

/** A CloudEvent as daprd writes it. */
const EVENT = JSON.stringify({
  id: '9f0d7a8e-1',
  specversion: '1.0',
  type: 'com.dapr.event.sent',
  source: 'orders',
  topic: 'orders',
  pubsubname: 'events',
  datacontenttype: 'application/json',
  data: { order: 7 },
});

describe('pubsub.redis beside Dapr and Layotto', () => {
  let store: StoreServer;
  let raw: Redis;
  let clients: BrokerClient[] = [];
  let topics = 0;
  const fresh = (): string => `stream-${++topics}`;

  beforeAll(async () => {
    store = await startStore('valkey');
    raw = new Redis(store.port);
  });

  afterEach(async () => {
    for (const client of clients) await client.close();
    clients = [];
  });

  afterAll(async () => {
    raw?.disconnect();
    await store?.stop();
  });

  async function open(metadata: Record<string, string> = {}, appId = 'shop'): Promise<BrokerClient> {
    const all = { redisHost: `127.0.0.1:${store.port}`, ...SOON, ...metadata };
    const client = await BrokerClient.open('pubsub.redis', all, appId);
    clients.push(client);
    return client;
  }

  it('delivers what daprd and Layotto have written, from before the first subscription too', async () => {
    const topic = fresh();
    const first = await raw.xadd(topic, '*', 'data', EVENT, 'metadata', '{"ttlInSeconds":"60"}');
    const client = await open();
    const taker = await client.subscribe(topic);
    const second = await raw.xadd(topic, '*', 'data', EVENT);
    const third = await raw.xadd(topic, '*', 'metadata', 'no JSON', 'else', 'x');
    await taker.has(3);
    const got = taker.messages.map((message) => ({ ...message, data: Buffer.from(message.data).toString() }));
    expect(got).toEqual([
      { id: first, data: EVENT, metadata: { ttlInSeconds: '60' }, attempt: 1 },
      { id: second, data: EVENT, metadata: {}, attempt: 1 },
      { id: third, data: '', metadata: {}, attempt: 1 },
    ]);
  });

  it('writes what they read, into a stream with the name of the topic', async () => {
    const topic = fresh();
    const client = await open();
    const published = await client.publishAll(topic, [
      outgoing(EVENT),
      outgoing(EVENT, { metadata: { partitionKey: 'a' } }),
      outgoing('<a/>', { contentType: 'application/xml', metadata: { rawPayload: 'true' } }),
    ]);
    expect(await raw.xrange(topic, '-', '+')).toEqual([
      [published[0]?.id, ['data', EVENT]],
      [published[1]?.id, ['data', EVENT, 'metadata', '{"partitionKey":"a"}']],
      [
        published[2]?.id,
        ['data', '<a/>', 'metadata', '{"rawPayload":"true"}', 'contenttype', 'application/xml'],
      ],
    ]);
  });

  it('is one consumer of one group, both called like the app, or as it is told', async () => {
    const topic = fresh();
    const client = await open();
    const held = { handle: () => new Promise<Outcome>(() => undefined) };
    const takers = [
      await client.subscribe(topic, held),
      await (await open({ consumerID: 'billing' })).subscribe(topic, held),
    ];
    await client.publish(topic, 'a');
    for (const taker of takers) await taker.has(1);
    const groups = (await raw.call('XINFO', 'GROUPS', topic)) as string[][];
    const names = groups.map((group) => group[1] ?? '');
    expect(names.sort()).toEqual(['billing', 'shop']);
    for (const name of names) {
      const consumers = (await raw.call('XINFO', 'CONSUMERS', topic, name)) as string[][];
      expect(consumers.map((consumer) => consumer[1])).toEqual([name]);
    }
  });

  it('takes over what another runtime of the group had in hand when it went away, and acknowledges it', async () => {
    const topic = fresh();
    await raw.xgroup('CREATE', topic, 'shop', '0', 'MKSTREAM');
    await raw.xadd(topic, '*', 'data', EVENT);
    await raw.xreadgroup('GROUP', 'shop', 'shop', 'COUNT', 10, 'STREAMS', topic, '>');
    const taker = await (await open()).subscribe(topic);
    await taker.has(1);
    expect(taker.messages[0]?.attempt).toBe(2);
    await eventually('it is acknowledged', async () => (await raw.xpending(topic, 'shop'))[0] === 0);
  });

  it('leaves what another instance works on in its hand, however long that takes', async () => {
    const topic = fresh();
    const slow = await (await open()).subscribe(topic, { handle: () => sleep(2_000).then(() => 'ack') });
    await slow.subscription.lag?.();
    await raw.xadd(topic, '*', 'data', EVENT);
    await slow.has(1);
    const other = await (await open()).subscribe(topic);
    await eventually('it is acknowledged', async () => (await raw.xpending(topic, 'shop'))[0] === 0);
    expect(other.messages).toEqual([]);
  });

  it('gives back what it has read ahead when it is closed, at once and uncounted', async () => {
    const topic = fresh();
    let letGo: (outcome: Outcome) => void = () => undefined;
    const client = await open({ processingTimeout: '1m', redeliverInterval: '100ms' });
    const handle = (): Promise<Outcome> => new Promise((resolve) => (letGo = resolve));
    const taker = await client.subscribe(topic, { concurrency: 1, handle });
    await client.publish(topic, 'first');
    await taker.has(1);
    await client.publish(topic, ...Array.from({ length: 20 }, (_, index) => `${index}`));
    letGo('ack');
    await taker.has(2);
    const closing = taker.close();
    letGo('ack');
    await closing;
    const next = await (await open({ processingTimeout: '1m', redeliverInterval: '100ms' })).subscribe(topic);
    const texts = await next.has(19);
    expect(new Set([...texts, ...taker.texts]).size).toBe(21);
    expect(next.messages.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 19 }, () => 1));
  });

  it('goes on when the stream is removed', async () => {
    const topic = fresh();
    const client = await open();
    const taker = await client.subscribe(topic);
    await client.publish(topic, 'before');
    await taker.has(1);
    await raw.del(topic);
    await client.publish(topic, 'after');
    expect(await taker.has(2)).toEqual(['before', 'after']);
  });

  it('keeps about as many as it is told to', async () => {
    const topic = fresh();
    const client = await open({ maxLenApprox: '100' });
    await client.publish(topic, ...Array.from({ length: 1_000 }, (_, index) => `${index}`));
    expect(await raw.xlen(topic)).toBeLessThan(400);
  });

  it('delivers again no more than it is told to: never, with 0', async () => {
    const topic = fresh();
    const client = await open({ redeliverInterval: '0' });
    const taker = await client.subscribe(topic, { handle: (_, text) => (text === 'last' ? 'ack' : 'retry') });
    await client.publish(topic, 'bad');
    await taker.has(1);
    await sleep(600);
    await client.publish(topic, 'last');
    expect(await taker.has(2)).toEqual(['bad', 'last']);
  });

  it('keeps within its own bound of deliveries as well', async () => {
    const topic = fresh();
    const client = await open({ concurrency: '2' });
    const taker = await client.subscribe(topic, { concurrency: 9, handle: () => sleep(5).then(() => 'ack') });
    await client.publish(topic, ...Array.from({ length: 30 }, (_, index) => `${index}`));
    await taker.has(30);
    expect(taker.mostInHand).toBe(2);
  });

  it('says why it does not take an event', async () => {
    const topic = fresh();
    const client = await open();
    await raw.set(topic, 'a text');
    const refused = client.publish(topic, 'a');
    await expect(refused).rejects.toThrow(BrokerError);
    await expect(refused).rejects.toMatchObject({
      kind: 'invalid',
      message: `the key ${topic} is there and is no stream`,
    });
    await expect(client.subscribe(topic)).rejects.toMatchObject({ kind: 'invalid' });
    await raw.config('SET', 'maxmemory', '1');
    try {
      await expect(client.publish(fresh(), 'a')).rejects.toMatchObject({ kind: 'full' });
    } finally {
      await raw.config('SET', 'maxmemory', '0');
    }
  });

  it('does not say that events are on disk if it cannot know', async () => {
    await raw.call('ACL', 'SETUSER', 'careful', 'on', '>secret', '~*', '&*', '+@all', '-config');
    const client = await open({ redisUsername: 'careful', redisPassword: 'secret' });
    expect(await client.publish(fresh(), 'a')).toMatchObject([{ persisted: false }]);
  });
});
