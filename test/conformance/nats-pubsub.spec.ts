import { jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { join } from 'node:path';

import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import type { OutgoingMessage } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { startNats } from '../support/nats-server.js';
import type { NatsServer } from '../support/nats-server.js';
import { Inbox, openBroker, publishTexts } from '../support/opened-broker.js';
import type { OpenedBroker } from '../support/opened-broker.js';
import { eventually } from '../support/wait.js';

const CERTIFICATES = join(import.meta.dirname, '../support/certificates');

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function server(options: Parameters<typeof startNats>[0] = {}): Promise<NatsServer> {
  const started = await startNats(options);
  open.push({ close: () => started.stop() });
  return started;
}

async function broker(
  { url }: { url: string },
  metadata: Record<string, string> = {},
  appId = 'app',
): Promise<OpenedBroker> {
  const opened = await openBroker('pubsub.jetstream', { natsURL: url, ...metadata }, { appId });
  open.push(opened);
  return opened;
}

async function subscribe({ broker: on }: OpenedBroker, topic: string, inbox = new Inbox(), concurrency = 10) {
  const subscription = await on.subscribe({ topic, metadata: {}, concurrency, receive: inbox.receive });
  open.push(subscription);
  return { inbox, subscription };
}

/** The server as its own client sees it. */
async function manager({ url }: NatsServer): Promise<JetStreamManager> {
  const connection = await connect({ servers: url });
  open.push(connection);
  return jetstreamManager(connection);
}

const event = (fields: object): OutgoingMessage => ({
  data: Buffer.from(JSON.stringify(fields)),
  contentType: 'application/cloudevents+json',
  metadata: {},
});

it('keeps a topic in a stream of its own, by file, and says so', async () => {
  const nats = await server();
  const opened = await broker(nats);
  const [first, second] = await publishTexts(opened.broker, 'orders', 'a', 'b');
  expect(first).toEqual({ id: 'orders:1', persisted: true });
  expect(second).toEqual({ id: 'orders:2', persisted: true });
  await publishTexts(opened.broker, 'orders.new', 'c');
  const streams = await (await manager(nats)).streams.list().next();
  const seen = streams.map(({ config }) => [config.name, config.subjects, config.storage, config.max_age]);
  expect(seen.sort()).toEqual([
    ['orders', ['orders'], 'file', 168 * 3_600e9],
    ['orders_new-7f9945ec', ['orders.new'], 'file', 168 * 3_600e9],
  ]);
});

it('takes the stream that has the topic already', async () => {
  const nats = await server();
  const admin = await manager(nats);
  await admin.streams.add({ name: 'ALL', subjects: ['shop.>'], storage: 'memory' });
  const { broker: on } = await broker(nats);
  expect(await publishTexts(on, 'shop.orders', 'a')).toEqual([{ id: 'ALL:1', persisted: false }]);
  expect(await admin.streams.names().next()).toEqual(['ALL']);
});

it('adds topics to a stream of its own, and to no other', async () => {
  const nats = await server();
  const admin = await manager(nats);
  const mine = await broker(nats, { streamName: 'MINE' });
  await publishTexts(mine.broker, 'a', '1');
  expect(await publishTexts(mine.broker, 'b', '2')).toEqual([{ id: 'MINE:2', persisted: true }]);
  await admin.streams.add({ name: 'THEIRS', subjects: ['theirs'] });
  const other = await broker(nats, { streamName: 'THEIRS' });
  await expect(publishTexts(other.broker, 'c', '3')).rejects.toThrow(
    "stream THEIRS does not take topic c; add it to the stream's subjects",
  );
});

it('tells the group apart from others, and counts what waits for it', async () => {
  const nats = await server();
  const one = await broker(nats, {}, 'one');
  const { subscription } = await subscribe(one, 'orders', new Inbox(() => 'ack'));
  await publishTexts(one.broker, 'orders', 'a', 'b');
  await eventually('nothing waits', async () => (await subscription.lag?.()) === 0);
  await subscription.close();
  await publishTexts(one.broker, 'orders', 'c', 'd');
  const other = await broker(nats, {}, 'two');
  const { inbox } = await subscribe(other, 'orders');
  await inbox.holds('a', 'b', 'c', 'd');
  const again = await subscribe(one, 'orders', new Inbox(() => new Promise(() => undefined)), 1);
  open.pop();
  await again.inbox.holds('c');
  expect(await again.subscription.lag?.()).toBe(2);
});

it('delivers again after a pause, and counts', async () => {
  const nats = await server();
  const opened = await broker(nats, { backOff: '100ms,300ms' });
  const times: number[] = [];
  const { inbox } = await subscribe(
    opened,
    'orders',
    new Inbox(({ attempt }) => {
      times.push(performance.now());
      if (attempt === 1) throw new Error('not now');
      return attempt < 4 ? 'retry' : 'ack';
    }),
  );
  await publishTexts(opened.broker, 'orders', 'a');
  await inbox.holds('a', 'a', 'a', 'a');
  expect(inbox.messages.map(({ attempt, id }) => [attempt, id])).toEqual(
    [1, 2, 3, 4].map((attempt) => [attempt, 'orders:1']),
  );
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  expect(pauses[0]).toBeGreaterThan(90);
  expect(pauses[1]).toBeGreaterThan(290);
  expect(pauses[2]).toBeGreaterThan(290);
});

it('does not deliver what an app takes long for to anybody else', async () => {
  const nats = await server();
  const metadata = { ackWait: '1s' };
  const slow = await broker(nats, metadata);
  let done: (outcome: 'ack') => void = () => undefined;
  const { inbox } = await subscribe(
    slow,
    'orders',
    new Inbox(() => new Promise((resolve) => (done = resolve))),
    1,
  );
  await publishTexts(slow.broker, 'orders', 'a');
  await inbox.holds('a');
  const other = await subscribe(await broker(nats, metadata), 'orders');
  const began = performance.now();
  await eventually('three times the wait has passed', () => performance.now() - began > 3_000);
  expect(other.inbox.texts).toEqual([]);
  done('ack');
  await eventually('it is settled', async () => (await other.subscription.lag?.()) === 0);
  expect(inbox.texts).toEqual(['a']);
});

it('gives what was in hand of a subscriber that vanished to another', async () => {
  const nats = await server();
  const metadata = { ackWait: '1s' };
  const gone = await broker(nats, metadata);
  const inHand = new Inbox(() => new Promise(() => undefined));
  await gone.broker.subscribe({ topic: 'orders', metadata: {}, concurrency: 10, receive: inHand.receive });
  await publishTexts(gone.broker, 'orders', 'a', 'b');
  await inHand.holds('a', 'b');
  await gone.broker.close();
  const { inbox } = await subscribe(await broker(nats, metadata), 'orders');
  await inbox.holds('a', 'b');
  expect(inbox.messages.map(({ attempt }) => attempt)).toEqual([2, 2]);
});

it('does not store an event twice, but one of another source or topic', async () => {
  const nats = await server();
  const { broker: on } = await broker(nats, { streamName: 'MINE' });
  const first = event({ id: '1', source: 'shop' });
  expect(await on.publish('orders', [first, first])).toEqual([
    { id: 'MINE:1', persisted: true },
    { id: 'MINE:1', persisted: true },
  ]);
  expect(await on.publish('orders', [event({ id: '1', source: 'bank' })])).toEqual([
    { id: 'MINE:2', persisted: true },
  ]);
  expect(await on.publish('dead', [first])).toEqual([{ id: 'MINE:3', persisted: true }]);
  expect(await publishTexts(on, 'orders', 'x', 'x')).toEqual([
    { id: 'MINE:4', persisted: true },
    { id: 'MINE:5', persisted: true },
  ]);
});

it('has the server forget what expires', async () => {
  const nats = await server();
  const { broker: on } = await broker(nats);
  const data = Buffer.from('a');
  const admin = await manager(nats);
  await on.publish('orders', [
    { data, contentType: 'text/plain', metadata: {}, expiresAt: Date.now() + 500 },
    { data, contentType: 'text/plain', metadata: {} },
  ]);
  await eventually('one is left', async () => (await admin.streams.info('orders')).state.messages === 1);
});

it('keeps content type and bytes', async () => {
  const nats = await server();
  const opened = await broker(nats);
  const { inbox } = await subscribe(opened, 'orders');
  const data = Uint8Array.from({ length: 256 }, (_, index) => index);
  await opened.broker.publish('orders', [{ data, contentType: 'image/png; a="ü"', metadata: {} }]);
  await eventually('it came', () => inbox.messages.length === 1);
  expect(inbox.messages[0]).toMatchObject({
    id: 'orders:1',
    contentType: 'image/png; a="ü"',
    metadata: { Topic: 'orders', stream: 'orders', sequence: '1' },
    attempt: 1,
  });
  expect(Buffer.from(inbox.messages[0]?.data ?? []).equals(data)).toBe(true);
});

it.each([
  ['', 'topic "": expected something before and after each dot'],
  ['a b', 'topic "a b": expected no blanks'],
  ['a..b', 'topic "a..b": expected something before and after each dot'],
  ['a.*', 'topic "a.*": expected no * and no > as a whole part'],
  ['$JS.API.INFO', 'topic "$JS.API.INFO": NATS keeps such names for itself'],
])('refuses to publish to %j', async (topic, reason) => {
  const { broker: on } = await broker(await server());
  const failure = await publishTexts(on, topic, 'a').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(BrokerError);
  expect(failure).toMatchObject({ kind: 'invalid', message: reason });
});

it('publishes the others of a batch with one that is too large', async () => {
  const { broker: on } = await broker(await server());
  const [large, small] = await on.publish('orders', [
    { data: new Uint8Array(1024 * 1024 + 1), contentType: 'text/plain', metadata: {} },
    { data: new Uint8Array(1), contentType: 'text/plain', metadata: {} },
  ]);
  expect(large).toMatchObject({
    kind: 'invalid',
    message: 'the message has 1048577 bytes; the server takes 1048576',
  });
  expect(small).toEqual({ id: 'orders:1', persisted: true });
});

it('loses nothing when the server is killed and comes back, and fails at once meanwhile', async () => {
  const nats = await server();
  const opened = await broker(nats, { ackWait: '1s' });
  const { inbox } = await subscribe(opened, 'orders');
  await publishTexts(opened.broker, 'orders', 'a');
  await inbox.holds('a');
  await nats.kill();
  await eventually('it is down', () => opened.reports.length > 0);
  const began = performance.now();
  await expect(publishTexts(opened.broker, 'orders', 'b')).rejects.toMatchObject({
    kind: 'unavailable',
    message: `127.0.0.1:${nats.port}: the connection was lost`,
  });
  expect(performance.now() - began).toBeLessThan(100);
  await nats.restart();
  await eventually('it is back', () => opened.reports.at(-1) === 'ready');
  expect(await publishTexts(opened.broker, 'orders', 'c')).toEqual([{ id: 'orders:2', persisted: true }]);
  // The last acknowledgement before the end may have been lost with it.
  await eventually('the other came', () => inbox.texts.includes('c'), { timeoutMs: 20_000 });
  expect(new Set(inbox.texts)).toEqual(new Set(['a', 'c']));
});

it('creates streams and consumers again that somebody has deleted', async () => {
  const nats = await server();
  const opened = await broker(nats, { heartbeat: '500ms' });
  const { inbox } = await subscribe(opened, 'orders');
  await publishTexts(opened.broker, 'orders', 'a');
  await inbox.holds('a');
  await (await manager(nats)).streams.delete('orders');
  expect(await publishTexts(opened.broker, 'orders', 'b')).toEqual([{ id: 'orders:1', persisted: true }]);
  await inbox.holds('a', 'b');
});

it('refuses a consumer that is not its own', async () => {
  const nats = await server();
  const admin = await manager(nats);
  await admin.streams.add({ name: 'S', subjects: ['orders', 'other'] });
  await admin.consumers.add('S', { durable_name: 'D', ack_policy: 'explicit', filter_subject: 'other' });
  const { broker: on } = await broker(nats, { durableName: 'D' });
  await expect(
    on.subscribe({ topic: 'orders', metadata: {}, concurrency: 1, receive: new Inbox().receive }),
  ).rejects.toMatchObject({
    kind: 'invalid',
    message: 'consumer D of stream S is for other, not for topic orders; name another one in durableName',
  });
});

it('logs in by token, password or key, and says what is wrong', async () => {
  const byToken = await server({ args: ['--auth', 'secret'] });
  await expect(broker(byToken)).rejects.toThrow(`127.0.0.1:${byToken.port}: Authorization Violation`);
  await publishTexts((await broker(byToken, { token: 'secret' })).broker, 'a', '1');
  const byPassword = await server({ args: ['--user', 'u', '--pass', 'p:@'] });
  const url = byPassword.url.replace('//', '//u:p%3A%40@');
  await publishTexts((await broker({ url })).broker, 'a', '1');
});

it('speaks TLS, with a certificate of its own if it is asked for one', async () => {
  const file = (name: string) => join(CERTIFICATES, name);
  const nats = await server({
    args: [
      '--tlsverify',
      '--tlscert',
      file('server.pem'),
      '--tlskey',
      file('server.key'),
      '--tlscacert',
      file('ca.pem'),
    ],
  });
  const keys = {
    tls_ca_cert: file('ca.pem'),
    tls_client_cert: file('client.pem'),
    tls_client_key: file('client.key'),
  };
  const url = nats.url.replace('nats:', 'tls:');
  await publishTexts((await broker({ url }, keys)).broker, 'a', '1');
  await expect(broker({ url })).rejects.toThrow('check tls:// in natsURL, tls_ca_cert');
});

it('says that JetStream is not enabled', async () => {
  const nats = await server({ jetStream: false });
  await expect(broker(nats)).rejects.toThrow(
    `127.0.0.1:${nats.port}: JetStream is not enabled; start the server with -js`,
  );
});
