import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { eventually, sleep } from '../../../../test/support/wait.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type {
  BrokerSubscription,
  IncomingMessage,
  OutgoingMessage,
  Outcome,
} from '../../primitives/pubsub/broker.js';
import { EmbeddedDatabase } from './database.js';
import { open } from './pubsub.js';
import type { EmbeddedBroker } from './pubsub.js';

describe('EmbeddedBroker', () => {
  let dataDir: string;
  let brokers: EmbeddedBroker[] = [];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'pubsub-'));
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    for (const broker of brokers) await broker.close();
    brokers = [];
    await rm(dataDir, { recursive: true, force: true });
  });

  async function openHere(metadata: Record<string, string> = {}): Promise<EmbeddedBroker> {
    const told = { report: () => undefined, invalidate: () => undefined };
    const log = pino({ enabled: false });
    const context = { name: 'events', version: 'v1', appId: 'shop', dataDir, log, ...told };
    const broker = await open({ ...context, metadata: { redeliverInterval: '100ms', ...metadata } });
    brokers.push(broker);
    return broker;
  }

  const message = (text: string, more: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
    data: Buffer.from(text),
    contentType: 'text/plain',
    metadata: {},
    ...more,
  });
  const textOf = ({ data }: IncomingMessage): string => Buffer.from(data).toString();

  /** What comes, with what becomes of it. */
  async function subscribe(
    broker: EmbeddedBroker,
    handle: (text: string) => Outcome | Promise<Outcome> = () => 'ack',
    { concurrency = 1, consumerID = '' } = {},
  ): Promise<{ got: string[]; subscription: BrokerSubscription }> {
    const got: string[] = [];
    const subscription = await broker.subscribe({
      topic: 'orders',
      metadata: { consumerID },
      concurrency,
      receive: async (incoming) => {
        got.push(`${textOf(incoming)}${incoming.attempt > 1 ? `/${incoming.attempt}` : ''}`);
        return handle(textOf(incoming));
      },
    });
    return { got, subscription };
  }

  /** How many entries there are on disk. */
  const entries = (broker: EmbeddedBroker): number => {
    broker.database.lookAnew();
    return broker.database.table('pubsub').getKeysCount();
  };

  it('finds what can be read only after its commit was noticed', async () => {
    const broker = await openHere();
    const { got } = await subscribe(broker);
    const other = await openHere();
    let last = broker.database.lastCommit + 1;
    jest.spyOn(broker.database, 'lastCommit', 'get').mockImplementation(() => last);
    // It is looked at what is not there yet.
    await sleep(250);
    await other.publish('orders', [message('late')]);
    await eventually('it is delivered', () => got.length === 1);
    last++;
    await other.publish('orders', [message('next')]);
    await eventually('so is the next', () => got.length === 2);
    expect(got).toEqual(['late', 'next']);
  });

  it('takes no more than a topic may keep, says who holds it up, and takes more when they have gone on', async () => {
    const broker = await openHere({ maxLength: '3' });
    const results = await broker.publish(
      'orders',
      ['1', '2', '3', '4', '5'].map((text) => message(text)),
    );
    expect(results.map((result) => (result instanceof BrokerError ? result.kind : result.persisted))).toEqual(
      [true, true, true, 'full', 'full'],
    );
    await expect(broker.publish('orders', [message('x')])).rejects.toThrow(
      'topic orders is full: it keeps 3 messages, as many as maxLength says; nobody has subscribed to it',
    );
    await broker.publish('others', [message('x')]);

    let letGo: (outcome: Outcome) => void = () => undefined;
    const { got } = await subscribe(broker, () => new Promise((resolve) => (letGo = resolve)));
    await eventually('it is delivered', () => got.length === 1);
    await expect(broker.publish('orders', [message('x')])).rejects.toMatchObject({
      kind: 'full',
      message: expect.stringContaining('the subscribers "shop" have yet to acknowledge the oldest') as string,
    });
    letGo('ack');
    await eventually('there is room', () => broker.publish('orders', [message('6')]));
  });

  it('keeps nothing for good that a group never comes back for', async () => {
    const broker = await openHere({ maxLength: '300', maxAge: '800ms' });
    const { subscription } = await subscribe(broker, undefined, { consumerID: 'gone' });
    await subscription.close();
    const start = Date.now();
    await broker.publish(
      'orders',
      Array.from({ length: 300 }, (_, n) => message(`old ${n}`)),
    );
    await expect(broker.publish('orders', [message('x')])).rejects.toMatchObject({ kind: 'full' });
    await eventually('there is room', () => broker.publish('orders', [message('new')]));
    expect(Date.now() - start).toBeGreaterThan(700);
    await eventually('all the old ones have gone', () =>
      broker.publish('orders', Array(299).fill(message('new'))),
    );
    const { got } = await subscribe(broker, undefined, { concurrency: 300 });
    await eventually('the new ones are there', () => got.length === 300);
    expect(new Set(got)).toEqual(new Set(['new']));
    await eventually('they go as well', () => entries(broker) < 20);
  });

  it('takes no more bytes than it may keep', async () => {
    const broker = await openHere({ maxBytes: '10KiB' });
    await broker.publish('a', [message('x'.repeat(6_000))]);
    await expect(broker.publish('b', [message('x'.repeat(6_000))])).rejects.toMatchObject({
      kind: 'full',
      message:
        'topic b is full: the component keeps 10240 bytes at most, as maxBytes says; nobody has subscribed to it',
    });
    await broker.publish('b', [message('x')]);
  });

  it('keeps nothing of messages that every group is done with', async () => {
    const broker = await openHere();
    const [one, other] = [
      await subscribe(broker),
      await subscribe(broker, undefined, { consumerID: 'bank' }),
    ];
    await broker.publish('orders', [message('0')]);
    await eventually('both have it', () => one.got.length === 1 && other.got.length === 1);
    await eventually('nothing is in hand', async () => (await other.subscription.lag?.()) === 0);
    const before = entries(broker);
    const expiresAt = Date.now() + 60_000;
    for (let round = 0; round < 10; round++)
      await broker.publish(
        'orders',
        Array.from({ length: 50 }, (_, index) => message(`${index}`, { expiresAt })),
      );
    await eventually('both have them', () => one.got.length === 501 && other.got.length === 501);
    await eventually('they are gone', () => entries(broker) === before);
  });

  it('lets go of messages that have expired, and of topics that nobody has subscribed to', async () => {
    const broker = await openHere({ maxLength: '2' });
    const before = entries(broker);
    const expiresAt = Date.now() + 150;
    await broker.publish('orders', [message('1', { expiresAt }), message('2', { expiresAt })]);
    await broker.publish('late', [message('3', { expiresAt, notBefore: expiresAt + 50 })]);
    await eventually('nothing is left but one number', () => entries(broker) === before + 1);
    await broker.publish('orders', [message('4')]);
    const { got } = await subscribe(broker);
    await eventually('what is left comes', () => got.length === 1);
    expect(got).toEqual(['4']);
  });

  it('delivers nothing that has expired while it waited', async () => {
    const broker = await openHere();
    const { got } = await subscribe(broker, (text) =>
      text === 'retried' ? 'retry' : sleep(200).then(() => 'ack'),
    );
    const expiresAt = Date.now() + 100;
    await broker.publish('orders', [message('slow'), message('expired', { expiresAt }), message('last')]);
    await eventually('the last one comes', () => got.includes('last'));
    expect(got).toEqual(['slow', 'last']);
  });

  it('shares commits among what comes together', async () => {
    const broker = await openHere();
    const { got } = await subscribe(broker, undefined, { concurrency: 20 });
    const before = broker.database.commits;
    await Promise.all(
      Array.from({ length: 400 }, (_, index) => broker.publish('orders', [message(`${index}`)])),
    );
    await eventually('all have come', () => got.length === 400);
    expect(broker.database.commits - before).toBeLessThan(60);
  });

  it('remembers which messages are done with, in whatever order, for each group', async () => {
    const first = await openHere();
    const stuck = new Promise<Outcome>(() => undefined);
    const handle = (text: string) => (Number(text) % 3 === 0 ? stuck : ('ack' as const));
    const shop = await subscribe(first, handle, { concurrency: 8 });
    const bank = await subscribe(first, () => stuck, { concurrency: 2, consumerID: 'bank' });
    await first.publish(
      'orders',
      Array.from({ length: 12 }, (_, index) => message(`${index}`)),
    );
    await eventually('all are out', () => shop.got.length === 12 && bank.got.length === 2);
    await eventually('four are left', async () => (await shop.subscription.lag?.()) === 4);
    await first.close();
    brokers = [];

    const second = await openHere();
    const [again, others] = [
      await subscribe(second, undefined, { concurrency: 20 }),
      await subscribe(second, undefined, { concurrency: 20, consumerID: 'bank' }),
    ];
    await eventually('the rest comes', () => again.got.length >= 4 && others.got.length >= 12);
    expect(again.got.sort()).toEqual(['0/2', '3/2', '6/2', '9/2']);
    expect(others.got.sort()).toEqual(
      ['0/2', '1/2', ...Array.from({ length: 10 }, (_, index) => `${index + 2}`)].sort(),
    );
  });

  it('has one of two bridges deliver, and the other go on when it closes', async () => {
    const [old, next] = [await openHere(), await openHere()];
    const before = await subscribe(old, () => sleep(5).then(() => 'ack'));
    const after = await subscribe(next);
    await next.publish(
      'orders',
      Array.from({ length: 30 }, (_, index) => message(`${index}`)),
    );
    await eventually('the old one delivers', () => before.got.length > 5);
    expect(after.got).toEqual([]);
    await before.subscription.close();
    await eventually('the new one goes on', () => before.got.length + after.got.length === 30);
    expect([...before.got, ...after.got]).toEqual(Array.from({ length: 30 }, (_, index) => `${index}`));
  });

  it('delivers at its time what another bridge was given', async () => {
    const [old, next] = [await openHere(), await openHere()];
    const { got } = await subscribe(next);
    await old.publish('orders', [message('later', { notBefore: Date.now() + 300 })]);
    await old.close();
    brokers = [next];
    await eventually('it comes', () => got.length === 1);
  });

  it('makes the pause longer with each time', async () => {
    const broker = await openHere({ redeliverInterval: '50ms' });
    const times: number[] = [];
    await subscribe(broker, () => {
      times.push(Date.now());
      return times.length < 5 ? 'retry' : 'ack';
    });
    await broker.publish('orders', [message('bad')]);
    await eventually('it is done', () => times.length === 5);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(50 * 2 ** index - 2);
  });

  it('says so if the disk does not take a message, and tells it later what became of deliveries', async () => {
    const broker = await openHere();
    let letGo: (outcome: Outcome) => void = () => undefined;
    const { got } = await subscribe(broker, (text) =>
      text === 'held'
        ? new Promise((resolve) => (letGo = resolve))
        : got.includes(`${text}/2`) || text !== 'retried'
          ? 'ack'
          : 'retry',
    );
    await broker.publish('orders', [message('held'), message('retried'), message('next')]);
    await eventually('it is in hand', () => got.length === 1);
    await sleep(50);
    const { database } = broker;
    const write = jest.spyOn(database, 'write');
    write.mockImplementation(async (perform) => {
      await EmbeddedDatabase.prototype.write.call(database, () => {
        database.atomically(() => {
          perform();
          throw new Error('no space left on device');
        });
      });
      throw new Error('unreachable');
    });
    letGo('ack');
    await expect(broker.publish('orders', [message('lost')])).rejects.toMatchObject({
      kind: 'failed',
      message: 'no space left on device',
    });
    write.mockRestore();
    await broker.publish('orders', [message('last')]);
    await eventually('the last one comes', () => got.includes('last'));
    await eventually('nothing is left', () => entries(broker) <= 5);
    expect(got).toEqual(['held', 'retried', 'next', 'last', 'retried/2']);
  });

  it('tells a consumer apart in its metadata, and refuses no topic for its name', async () => {
    const broker = await openHere();
    const names = ['', '/', '\u0000', 'ü'.repeat(3_000), 'orders/eu'];
    for (const topic of names) await broker.publish(topic, [message(topic)]);
    for (const topic of names) {
      const got: string[] = [];
      const receive = async (incoming: IncomingMessage): Promise<Outcome> => {
        got.push(textOf(incoming));
        return 'ack';
      };
      await broker.subscribe({ topic, metadata: {}, concurrency: 1, receive });
      await eventually('it comes', () => got.length === 1);
      expect(got).toEqual([topic]);
    }
  });
});
