import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { eventually } from '../../../../test/support/wait.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type { Broker, OutgoingMessage, Published } from '../../primitives/pubsub/broker.js';
import { DelayQueue } from './delay-queue.js';
import type { DelayLimits } from './delay-queue.js';

let dataDir: string;
let queues: DelayQueue[];
/** Topics and texts that were published, in order. */
let published: string[];
let outcome: (text: string) => Published | BrokerError;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'delays-'));
  queues = [];
  published = [];
  outcome = () => ({ id: '1', persisted: true });
});

afterEach(async () => {
  for (const queue of queues) await queue.close();
  await rm(dataDir, { recursive: true, force: true });
});

const publish: Broker['publish'] = async (topic, messages) =>
  messages.map(({ data }) => {
    const text = Buffer.from(data).toString();
    const answer = outcome(text);
    if (!(answer instanceof BrokerError)) published.push(`${topic}:${text}`);
    return answer;
  });

async function open(limits?: DelayLimits): Promise<DelayQueue> {
  const context = { name: 'events', dataDir, log: pino({ level: 'silent' }) };
  const queue = await DelayQueue.open(context, 'delays', publish, limits);
  queues.push(queue);
  return queue;
}

function message(text: string, delayMs: number, more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  const due = { notBefore: Date.now() + delayMs };
  return { data: Buffer.from(text), contentType: 'text/plain', metadata: { a: 'b' }, ...due, ...more };
}

it('publishes each message when it is time, with all that belongs to it', async () => {
  const queue = await open();
  const start = Date.now();
  const ids = [
    await queue.add('t', message('c', 700)),
    await queue.add('t', message('b', 300)),
    await queue.add('u', message('a', 0)),
  ];
  expect(new Set(ids).size).toBe(3);
  await eventually('the first is published', () => published.length === 1);
  await eventually('it does not wait any more', () => queue.size === 2);
  await eventually('all are published', () => published.length === 3);
  expect(published).toEqual(['u:a', 't:b', 't:c']);
  expect(Date.now() - start).toBeGreaterThanOrEqual(700);
  await eventually('nothing is left', () => queue.size === 0);
});

it('goes on after a restart', async () => {
  const before = await open();
  await before.add('t', message('late', 200));
  await before.add('t', message('later', 100_000));
  await before.close();
  expect(published).toEqual([]);
  const queue = await open();
  await eventually('what was due is published', () => published.length === 1);
  await eventually('the other waits', () => queue.size === 1);
});

it('takes each message once, also where two have the queue open', async () => {
  const [one, two] = [await open(), await open()];
  const texts = Array.from({ length: 250 }, (_, i) => `${i}`);
  await Promise.all(texts.map((text, i) => (i % 2 === 0 ? one : two).add('t', message(text, 300))));
  await eventually('all are published', () => published.length >= 250);
  await eventually('nothing is left', () => one.size === 0);
  expect(published.sort()).toEqual(texts.map((text) => `t:${text}`).sort());
});

it('tries again what the broker does not take, and drops what it never will, and what has expired', async () => {
  let tries = 0;
  outcome = (text) => {
    if (text === 'never') return new BrokerError('invalid', 'too long');
    return ++tries < 2 ? new BrokerError('unavailable', 'away') : { id: '1', persisted: true };
  };
  const queue = await open();
  await queue.add('t', message('never', 0));
  await queue.add('t', message('again', 0));
  await queue.add('t', message('expired', 50, { expiresAt: Date.now() + 20 }));
  await eventually('nothing is left', () => queue.size === 0);
  expect(published).toEqual(['t:again']);
});

it('publishes what was taken by a process that died', async () => {
  outcome = () => new BrokerError('unavailable', 'away');
  const dead = await open();
  await dead.add('t', message('x', 0));
  await dead.close();
  outcome = () => ({ id: '1', persisted: true });
  await open();
  await eventually('it is published', () => published.length === 1);
});

it('takes no more than it has room for', async () => {
  const queue = await open({ messages: 2, bytes: 10_000 });
  await queue.add('t', message('a', 60_000));
  await expect(queue.add('t', message('x'.repeat(10_000), 60_000))).rejects.toThrow(
    'the delay queue is full',
  );
  await queue.add('t', message('b', 300));
  await expect(queue.add('t', message('c', 60_000))).rejects.toMatchObject({
    kind: 'full',
    message: expect.stringMatching(
      /^the delay queue is full: at most 2 messages and 10000 bytes may wait/,
    ) as string,
  });
  await eventually('there is room again', () => queue.size === 1);
  await queue.add('t', message('c', 60_000));
  expect(queue.size).toBe(2);
});
