import kafkajs from 'kafkajs';

import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import type { Outcome } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { BrokerClient, outgoing } from '../conformance/pubsub-client.js';
import { eventually, sleep } from '../support/wait.js';
import { startKafka } from './kafka-server.js';
import type { KafkaServer } from './kafka-server.js';

let kafka: KafkaServer;
let admin: kafkajs.Admin;
let client: kafkajs.Kafka;
const open: { close(): unknown }[] = [];
let topics = 0;

beforeAll(async () => {
  kafka = await startKafka({ 'num.partitions': '3', 'group.min.session.timeout.ms': '1000' });
  client = new kafkajs.Kafka({ brokers: [kafka.address], logLevel: kafkajs.logLevel.NOTHING });
  admin = client.admin();
  await admin.connect();
}, 90_000);

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

afterAll(async () => {
  await admin?.disconnect();
  await kafka?.stop();
});

async function bridge(metadata: Record<string, string> = {}, appId = 'app'): Promise<BrokerClient> {
  const settings = { brokers: kafka.address, heartbeatInterval: '300ms', sessionTimeout: '3s', ...metadata };
  const opened = await BrokerClient.open('pubsub.kafka', settings, appId);
  open.push(opened);
  return opened;
}

const fresh = (): string => `own-${++topics}`;

it('puts on the wire what Dapr does', async () => {
  const topic = fresh();
  const on = await bridge();
  const metadata = { partitionKey: 'customer-1', ttlInSeconds: '60' };
  const [first] = await on.publishAll(topic, [outgoing('{"id":"1"}', { metadata })]);
  const consumer = client.consumer({ groupId: 'outside' });
  open.push({ close: () => consumer.disconnect() });
  const records: kafkajs.EachMessagePayload[] = [];
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({ eachMessage: async (payload) => void records.push(payload) });
  await eventually('it came', () => records.length === 1, { timeoutMs: 20_000 });
  const [{ partition, message } = {} as kafkajs.EachMessagePayload] = records;
  expect(`${partition}:${message.offset}`).toBe(first?.id);
  expect(message.key?.toString()).toBe('customer-1');
  expect(message.value?.toString()).toBe('{"id":"1"}');
  expect(Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)])).toEqual([
    ['partitionKey', 'customer-1'],
    ['ttlInSeconds', '60'],
    ['content-type', 'application/cloudevents+json'],
  ]);
});

it('reads what others publish, and tells where it is from', async () => {
  const topic = fresh();
  const taker = await (await bridge()).subscribe(topic);
  open.push(taker);
  const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  open.push({ close: () => producer.disconnect() });
  await producer.send({
    topic,
    messages: [{ key: 'k', value: 'from outside', partition: 2, headers: { trace: 'abc' } }],
  });
  await taker.has(1);
  expect(taker.texts).toEqual(['from outside']);
  expect(taker.messages[0]).toMatchObject({
    id: '2:0',
    metadata: { __key: 'k', __topic: topic, __partition: '2', __offset: '0', trace: 'abc' },
  });
  expect(taker.messages[0]).not.toHaveProperty('contentType');
});

it('keeps the order of a key, and tells each message its own id', async () => {
  const topic = fresh();
  const on = await bridge();
  const taker = await on.subscribe(topic);
  open.push(taker);
  const messages = Array.from({ length: 90 }, (_, index) =>
    outgoing(`${index}`, { metadata: { partitionKey: `key-${index % 4}` } }),
  );
  const published = await on.publishAll(topic, messages);
  await taker.has(90);
  const text = new Map(published.map(({ id }, index) => [id, `${index}`]));
  for (const [index, { id }] of taker.messages.entries()) expect(taker.texts[index]).toBe(text.get(id));
  for (const key of [0, 1, 2, 3]) {
    const own = taker.texts.map(Number).filter((number) => number % 4 === key);
    expect(own).toEqual([...own].sort((a, b) => a - b));
  }
});

it('gives each of a group’s topics to those who subscribe to it', async () => {
  const [one, other] = [await bridge(), await bridge()];
  const names = [fresh(), fresh(), fresh()];
  const takers = [];
  for (const [index, name] of names.entries()) takers.push(await (index === 1 ? other : one).subscribe(name));
  open.push(...takers);
  for (const name of names) await one.publish(name, `1 ${name}`, `2 ${name}`, `3 ${name}`);
  for (const [index, taker] of takers.entries()) {
    const all = await taker.has(3, 20_000);
    expect(all.sort()).toEqual([1, 2, 3].map((number) => `${number} ${names[index]}`));
  }
});

it('loses nothing when members come, leave and vanish, and delivers little again', async () => {
  const topic = fresh();
  const publisher = await bridge();
  const members = [await bridge(), await bridge(), await bridge()];
  const texts: string[] = [];
  const join = (member: BrokerClient | undefined) =>
    member?.subscribe(topic, {
      concurrency: 10,
      handle: async (_, text): Promise<Outcome> => {
        await sleep(1);
        texts.push(text);
        return 'ack';
      },
    });
  const first = await join(members[0]);
  let count = 0;
  const publish = async (batches: number): Promise<void> => {
    for (let batch = 0; batch < batches; batch++) {
      await publisher.publish(topic, ...Array.from({ length: 10 }, () => `${++count}`));
    }
  };
  await publish(20);
  const second = await join(members[1]);
  await publish(20);
  const third = await join(members[2]);
  await publish(20);
  await first?.close();
  await publish(20);
  // One vanishes without having left: its connections end, and its session with them.
  await members[1]?.broker.close();
  await publish(20);
  await eventually('all came', () => new Set(texts).size === count, { timeoutMs: 30_000 });
  expect(count).toBe(1_000);
  expect(texts.length - count).toBeLessThan(200);
  await second?.close();
  await third?.close();
}, 90_000);

it('commits the first message that is not settled, and what is settled after it', async () => {
  const topic = fresh();
  const on = await bridge({ consumerGroup: 'gaps' });
  const stuck = await on.subscribe(topic, {
    concurrency: 10,
    handle: (_, text) => (text === 'stuck' ? new Promise(() => undefined) : 'ack'),
  });
  const metadata = { partitionNumber: '1' };
  const sent = ['a', 'stuck', 'b', 'c'].map((text) => outgoing(text, { metadata }));
  await on.publishAll(topic, sent);
  await stuck.has(4);
  await eventually('it is committed', async () => {
    const [found] = await admin.fetchOffsets({ groupId: 'gaps', topics: [topic] });
    return found?.partitions.find(({ partition }) => partition === 1)?.metadata === 'layotto:1 1-2 0x1';
  });
  expect(await stuck.subscription.lag?.()).toBe(1);
  await on.broker.close();
  const next = await (await bridge({ consumerGroup: 'gaps' })).subscribe(topic);
  open.push(next);
  await next.has(1, 20_000);
  expect([next.texts, next.messages[0]?.attempt]).toEqual([['stuck'], 2]);
});

it('begins a new group at the end if it is told to, and loses nothing from then on', async () => {
  const topic = fresh();
  const on = await bridge({ initialOffset: 'newest', consumerGroup: 'late' });
  await on.publish(topic, 'before 1', 'before 2', 'before 3');
  const taker = await on.subscribe(topic);
  await taker.close();
  await on.publish(topic, 'between');
  const again = await on.subscribe(topic);
  open.push(again);
  await on.publish(topic, 'after');
  expect((await again.has(2)).sort()).toEqual(['after', 'between']);
});

it('takes a topic that was deleted and made anew for what it is', async () => {
  const topic = fresh();
  const on = await bridge();
  const taker = await on.subscribe(topic);
  open.push(taker);
  await on.publish(topic, ...Array.from({ length: 30 }, (_, index) => `old ${index}`));
  await taker.has(30);
  await admin.deleteTopics({ topics: [topic] });
  await eventually('it takes messages again', async () => on.publish(topic, 'new'), { timeoutMs: 20_000 });
  await eventually('the new one came', () => taker.texts.includes('new'), { timeoutMs: 30_000 });
}, 60_000);

it('refuses what Kafka could not take, and none after it', async () => {
  const on = await bridge({ maxMessageBytes: '1000' });
  await expect(on.publish('no such/topic', 'a')).rejects.toMatchObject({
    kind: 'invalid',
    message: 'topic "no such/topic": expected letters, digits, dots, dashes and underscores, at most 249',
  });
  const topic = fresh();
  const large = outgoing('x'.repeat(1_000));
  const [first, second, third] = await on.broker.publish(topic, [outgoing('1'), large, outgoing('3')]);
  expect(first).toMatchObject({ persisted: true });
  expect(second).toMatchObject({ kind: 'invalid' });
  expect((second as BrokerError).message).toMatch(
    /^the message has 1\d\d\d bytes .* maxMessageBytes is 1000$/,
  );
  expect(third).toBe(second);
  const byServer = await bridge();
  await expect(byServer.publish(topic, 'x'.repeat(1_100_000))).rejects.toMatchObject({ kind: 'invalid' });
  const outside = outgoing('a', { metadata: { partitionNumber: '7' } });
  await expect(byServer.publishAll(topic, [outside])).rejects.toMatchObject({
    kind: 'invalid',
    message: `partitionNumber 7: topic ${topic} has 3 partitions`,
  });
});

it('sends many large messages together in batches that brokers take', async () => {
  const topic = fresh();
  const on = await bridge();
  const taker = await on.subscribe(topic, { concurrency: 10 });
  open.push(taker);
  const large = 'x'.repeat(200_000);
  await on.publish(topic, ...Array.from({ length: 20 }, (_, index) => `${index} ${large}`));
  expect(new Set(await taker.has(20, 20_000)).size).toBe(20);
});

it('fails at once with its addresses while no broker is there', async () => {
  await expect(bridge({ brokers: '127.0.0.1:1' })).rejects.toThrow(/^127\.0\.0\.1:1: .*ECONNREFUSED/);
  const own = await startKafka();
  open.push({ close: () => own.stop() });
  const on = await bridge({ brokers: own.address });
  await on.publish('t', '1');
  await own.kill();
  await eventually('it is down', () => on.reports.at(-1)?.startsWith('down'));
  const began = performance.now();
  const failure = await on.publish('t', '2').catch((error: unknown) => error);
  expect(performance.now() - began).toBeLessThan(100);
  expect(failure).toBeInstanceOf(BrokerError);
  expect(failure).toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining(own.address) as string,
  });
}, 90_000);
