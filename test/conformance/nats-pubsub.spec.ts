import { jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { join } from 'node:path';

import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import type { OutgoingMessage } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { startNats } from '../support/nats-server.js';
import type { NatsServer } from '../support/nats-server.js';
import { eventually } from '../support/wait.js';
import { BrokerClient, outgoing } from './pubsub-client.js';
import type { Taker, TakerOptions } from './pubsub-client.js';

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

async function client(
  { url }: { url: string },
  metadata: Record<string, string> = {},
  appId = 'app',
): Promise<BrokerClient> {
  const opened = await BrokerClient.open('pubsub.jetstream', { natsURL: url, ...metadata }, appId);
  open.push(opened);
  return opened;
}

/** A subscription that is closed in the end, in 10 hands at once. */
async function subscribed(of: BrokerClient, topic: string, options: TakerOptions = {}): Promise<Taker> {
  const taker = await of.subscribe(topic, { concurrency: 10, ...options });
  open.push(taker);
  return taker;
}

/** The server as its own client sees it. */
async function manager({ url }: NatsServer): Promise<JetStreamManager> {
  const connection = await connect({ servers: url });
  open.push(connection);
  return jetstreamManager(connection);
}

const event = (fields: object): OutgoingMessage => outgoing(JSON.stringify(fields));

it('keeps a topic in a stream of its own, by file, and says so', async () => {
  const nats = await server();
  const opened = await client(nats);
  const [first, second] = await opened.publish('orders', 'a', 'b');
  expect(first).toEqual({ id: 'orders:1', persisted: true });
  expect(second).toEqual({ id: 'orders:2', persisted: true });
  await opened.publish('orders.new', 'c');
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
  const on = await client(nats);
  expect(await on.publish('shop.orders', 'a')).toEqual([{ id: 'ALL:1', persisted: false }]);
  expect(await admin.streams.names().next()).toEqual(['ALL']);
});

it('adds topics to a stream of its own, and to no other', async () => {
  const nats = await server();
  const admin = await manager(nats);
  const mine = await client(nats, { streamName: 'MINE' });
  await mine.publish('a', '1');
  expect(await mine.publish('b', '2')).toEqual([{ id: 'MINE:2', persisted: true }]);
  await admin.streams.add({ name: 'THEIRS', subjects: ['theirs'] });
  const other = await client(nats, { streamName: 'THEIRS' });
  await expect(other.publish('c', '3')).rejects.toThrow(
    "stream THEIRS does not take topic c; add it to the stream's subjects",
  );
});

it('delivers again after its pauses, one by one', async () => {
  const opened = await client(await server(), { backOff: '100ms,300ms' });
  const taker = await subscribed(opened, 'orders', {
    handle: ({ attempt }) => (attempt < 4 ? 'retry' : 'ack'),
  });
  await opened.publish('orders', 'a');
  await taker.has(4);
  expect(taker.messages.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
  const pauses = taker.times.slice(1).map((time, index) => time - (taker.times[index] ?? 0));
  for (const [index, atLeast] of [95, 295, 295].entries())
    expect(pauses[index]).toBeGreaterThanOrEqual(atLeast);
});

it('does not deliver what an app takes long for to anybody else', async () => {
  const nats = await server();
  const metadata = { ackWait: '1s' };
  const slow = await client(nats, metadata);
  let done: (outcome: 'ack') => void = () => undefined;
  const taker = await subscribed(slow, 'orders', {
    concurrency: 1,
    handle: () => new Promise((resolve) => (done = resolve)),
  });
  await slow.publish('orders', 'a');
  await taker.has(1);
  const other = await subscribed(await client(nats, metadata), 'orders');
  const began = performance.now();
  await eventually('three times the wait has passed', () => performance.now() - began > 3_000);
  expect(other.texts).toEqual([]);
  done('ack');
  await eventually('it is settled', async () => (await other.subscription.lag?.()) === 0);
  expect(taker.texts).toEqual(['a']);
});

it('does not store an event twice, but one of another source or topic', async () => {
  const nats = await server();
  const on = await client(nats, { streamName: 'MINE' });
  const first = event({ id: '1', source: 'shop' });
  expect(await on.publishAll('orders', [first, first])).toEqual([
    { id: 'MINE:1', persisted: true },
    { id: 'MINE:1', persisted: true },
  ]);
  expect(await on.publishAll('orders', [event({ id: '1', source: 'bank' })])).toEqual([
    { id: 'MINE:2', persisted: true },
  ]);
  expect(await on.publishAll('dead', [first])).toEqual([{ id: 'MINE:3', persisted: true }]);
  expect(await on.publish('orders', 'x', 'x')).toEqual([
    { id: 'MINE:4', persisted: true },
    { id: 'MINE:5', persisted: true },
  ]);
});

it('has the server forget what expires', async () => {
  const nats = await server();
  const on = await client(nats);
  const data = Buffer.from('a');
  const admin = await manager(nats);
  await on.publishAll('orders', [
    { data, contentType: 'text/plain', metadata: {}, expiresAt: Date.now() + 500 },
    { data, contentType: 'text/plain', metadata: {} },
  ]);
  await eventually('one is left', async () => (await admin.streams.info('orders')).state.messages === 1);
});

it('keeps content type and bytes', async () => {
  const nats = await server();
  const opened = await client(nats);
  const taker = await subscribed(opened, 'orders');
  const data = Uint8Array.from({ length: 256 }, (_, index) => index);
  await opened.publishAll('orders', [{ data, contentType: 'image/png; a="ü"', metadata: {} }]);
  await taker.has(1);
  expect(taker.messages[0]).toMatchObject({
    id: 'orders:1',
    contentType: 'image/png; a="ü"',
    metadata: { Topic: 'orders', stream: 'orders', sequence: '1' },
    attempt: 1,
  });
  expect(Buffer.from(taker.messages[0]?.data ?? []).equals(data)).toBe(true);
});

it.each([
  ['', 'topic "": expected something before and after each dot'],
  ['a b', 'topic "a b": expected no blanks'],
  ['a..b', 'topic "a..b": expected something before and after each dot'],
  ['a.*', 'topic "a.*": expected no * and no > as a whole part'],
  ['$JS.API.INFO', 'topic "$JS.API.INFO": NATS keeps such names for itself'],
])('refuses to publish to %j', async (topic, reason) => {
  const on = await client(await server());
  const failure = await on.publish(topic, 'a').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(BrokerError);
  expect(failure).toMatchObject({ kind: 'invalid', message: reason });
});

it('publishes none of a batch after one that is too large', async () => {
  const { broker } = await client(await server());
  const large = outgoing('', { data: new Uint8Array(1024 * 1024) });
  const [first, second, third] = await broker.publish('orders', [outgoing('1'), large, outgoing('3')]);
  expect(first).toEqual({ id: 'orders:1', persisted: true });
  const reason = "the message has 1048576 bytes; the server's max_payload is 1048576 with 512 for headers";
  expect(second).toMatchObject({ kind: 'invalid', message: reason });
  expect(third).toBe(second);
});

it('says that a stream is full', async () => {
  const nats = await server();
  const limits = { max_msgs: 1, discard: 'new' as const };
  await (await manager(nats)).streams.add({ name: 'S', subjects: ['orders'], ...limits });
  const on = await client(nats);
  await on.publish('orders', '1');
  await expect(on.publish('orders', '2')).rejects.toMatchObject({
    kind: 'full',
    message: 'maximum messages exceeded',
  });
});

it('loses nothing when the server is killed and comes back, and fails at once meanwhile', async () => {
  const nats = await server();
  const opened = await client(nats, { ackWait: '1s' });
  const taker = await subscribed(opened, 'orders');
  await opened.publish('orders', 'a');
  await taker.has(1);
  await nats.kill();
  await eventually('it is down', () => opened.reports.at(-1)?.startsWith('down'));
  const began = performance.now();
  await expect(opened.publish('orders', 'b')).rejects.toMatchObject({
    kind: 'unavailable',
    message: `127.0.0.1:${nats.port}: the connection was lost`,
  });
  expect(performance.now() - began).toBeLessThan(100);
  await nats.restart();
  await eventually('it is back', () => opened.reports.at(-1) === 'ready');
  expect(await opened.publish('orders', 'c')).toEqual([{ id: 'orders:2', persisted: true }]);
  // The last acknowledgement before the end may have been lost with it.
  await eventually('the other came', () => taker.texts.includes('c'), { timeoutMs: 20_000 });
  expect(new Set(taker.texts)).toEqual(new Set(['a', 'c']));
});

it('creates streams and consumers again that somebody has deleted', async () => {
  const nats = await server();
  const opened = await client(nats, { heartbeat: '500ms' });
  const taker = await subscribed(opened, 'orders');
  await opened.publish('orders', 'a');
  await taker.has(1);
  await (await manager(nats)).streams.delete('orders');
  expect(await opened.publish('orders', 'b')).toEqual([{ id: 'orders:1', persisted: true }]);
  expect(await taker.has(2)).toEqual(['a', 'b']);
});

it('refuses a consumer that is not its own', async () => {
  const nats = await server();
  const admin = await manager(nats);
  await admin.streams.add({ name: 'S', subjects: ['orders', 'other'] });
  await admin.consumers.add('S', { durable_name: 'D', ack_policy: 'explicit', filter_subject: 'other' });
  const on = await client(nats, { durableName: 'D' });
  await expect(
    on.broker.subscribe({
      topic: 'orders',
      metadata: {},
      concurrency: 1,
      receive: () => Promise.resolve('ack'),
    }),
  ).rejects.toMatchObject({
    kind: 'invalid',
    message: 'consumer D of stream S is for other, not for topic orders; name another one in durableName',
  });
});

it('logs in by token, password or key, and says what is wrong', async () => {
  const byToken = await server({ args: ['--auth', 'secret'] });
  await expect(client(byToken)).rejects.toThrow(`127.0.0.1:${byToken.port}: Authorization Violation`);
  await (await client(byToken, { token: 'secret' })).publish('a', '1');
  const byPassword = await server({ args: ['--user', 'u', '--pass', 'p:@'] });
  const url = byPassword.url.replace('//', '//u:p%3A%40@');
  await (await client({ url })).publish('a', '1');
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
  await (await client({ url }, keys)).publish('a', '1');
  await expect(client({ url })).rejects.toThrow('check tls:// in natsURL, tls_ca_cert');
});

it('says that JetStream is not enabled', async () => {
  const nats = await server({ jetStream: false });
  await expect(client(nats)).rejects.toThrow(
    `127.0.0.1:${nats.port}: JetStream is not enabled; start the server with -js`,
  );
});
