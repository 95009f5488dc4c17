import { pino } from 'pino';

import { AppError } from '../app-channel.js';
import { AppPresence } from './app-presence.js';
import { BrokerError } from './broker.js';
import type { Broker, IncomingMessage, OutgoingMessage } from './broker.js';
import type { Sent } from './callbacks.js';
import { Deliveries } from './delivery.js';
import type { Found } from './delivery.js';
import type { Subscription } from './subscription.js';
import { Tally } from './tally.js';

let tally: Tally;
let presence: AppPresence;
let deliveries: Deliveries;
/** What is published, and what the broker says of it. */
let published: [topic: string, OutgoingMessage][];
let refusal: BrokerError | undefined;
/** What the app was told, and what it makes of it. */
let told: Sent[];
let verdict: Found | 'away';

const broker = {
  publish: (topic: string, messages: readonly OutgoingMessage[]) => {
    for (const message of messages) published.push([topic, message]);
    return Promise.resolve(messages.map(() => refusal ?? { id: '1', persisted: true }));
  },
} as unknown as Broker;

beforeEach(() => {
  tally = new Tally();
  presence = new AppPresence();
  deliveries = new Deliveries({ tally, presence, log: pino({ enabled: false }), onAway: () => undefined });
  published = [];
  refusal = undefined;
  told = [];
  verdict = { status: 'success' };
});

function subscription(more: Partial<Subscription> = {}): Subscription {
  return {
    ...{ pubsubName: 'bus', topic: 'orders', callback: 'dapr-http', origin: 'PROGRAMMATIC', metadata: {} },
    ...{ rules: [{ match: '', path: '/orders' }], fits: [() => true], deadLetterTopic: '' },
    ...{ concurrency: 1, maxDeliveries: undefined, raw: false },
    ...more,
  };
}

function message(more: Partial<IncomingMessage> & { event?: object } = {}): IncomingMessage {
  const { event, ...rest } = more;
  const envelope = { specversion: '1.0', id: 'e', source: 's', type: 't', data: 1, ...event };
  return {
    ...{ id: 'm', attempt: 1, metadata: {}, contentType: 'application/cloudevents+json' },
    data: Buffer.from(JSON.stringify(envelope)),
    ...rest,
  };
}

const deliver = (to: Subscription, what = message()): Promise<string> =>
  deliveries.deliver(to, broker, what, (sent) => {
    told.push(sent);
    return Promise.resolve(verdict);
  });

/** How many deliveries ended so, at whichever attempt. */
function counts(): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { status, count } of tally.series) found[status] = (found[status] ?? 0) + count;
  return found;
}

test('what the app has made of an event is what the broker is told', async () => {
  expect(await deliver(subscription())).toBe('ack');
  verdict = { status: 'retry' };
  expect(await deliver(subscription())).toBe('retry');
  verdict = { status: 'drop' };
  expect(await deliver(subscription())).toBe('ack');
  verdict = 'away';
  expect(await deliver(subscription())).toBe('retry');
  expect(counts()).toEqual({ success: 1, retry: 1, drop: 1, away: 1 });
});

test.each([
  ['at once, where nothing says how often it is tried', {}, [1], { status: 'retry' }],
  ['after so many deliveries as there may be', { maxDeliveries: 3 }, [1, 2, 3], { status: 'retry' }],
  ['when it is dropped', { maxDeliveries: 3 }, [1], { status: 'drop' }],
  ['later, if its app goes away at it', {}, [1, 2, 3], { status: 'retry', broken: true }],
] as const)('an event is put on the dead letter topic %s', async (_, more, attempts, found) => {
  const to = subscription({ deadLetterTopic: 'dead', ...more });
  verdict = found;
  for (const attempt of attempts) {
    expect(published).toEqual([]);
    expect(await deliver(to, message({ attempt }))).toBe(attempt === attempts.length ? 'ack' : 'retry');
  }
  const { data } = message();
  const contentType = 'application/cloudevents+json';
  expect(published).toEqual([['dead', { data, contentType, metadata: {} }]]);
  expect(counts()).toEqual({
    ...(attempts.length > 1 ? { retry: attempts.length - 1 } : {}),
    dead_letter: 1,
  });
});

test('an event that cannot be put there is not lost', async () => {
  refusal = new BrokerError('full', 'no room');
  verdict = { status: 'drop' };
  expect(await deliver(subscription({ deadLetterTopic: 'dead' }))).toBe('retry');
  expect(counts()).toEqual({ retry: 1 });
});

test('without such a topic an event is tried so often, and then dropped', async () => {
  verdict = { status: 'retry' };
  const to = subscription({ maxDeliveries: 2 });
  expect(await deliver(to, message({ attempt: 1 }))).toBe('retry');
  expect(await deliver(to, message({ attempt: 2 }))).toBe('ack');
  expect(counts()).toEqual({ retry: 1, drop: 1 });
});

test('what has expired is not told, what has not is', async () => {
  const at = (ms: number): object => ({ expiration: new Date(Date.now() + ms).toISOString() });
  expect(await deliver(subscription(), message({ event: at(-1_000) }))).toBe('ack');
  expect(told).toEqual([]);
  expect(await deliver(subscription(), message({ event: at(60_000) }))).toBe('ack');
  expect(told).toHaveLength(1);
  expect(counts()).toEqual({ expired: 1, success: 1 });
});

test('an event goes where the first rule leads that it fits, and nowhere if it fits none', async () => {
  const ofType =
    (type: string) =>
    (event: Record<string, unknown>): boolean =>
      event['type'] === type;
  const rules = ['a', 'b', 'b'].map((type, n) => ({ match: type, path: `/${type}${n}` }));
  const to = subscription({ rules, fits: ['a', 'b', 'b'].map(ofType) });
  await deliver(to, message({ event: { type: 'b' } }));
  expect(told.map(({ path }) => path)).toEqual(['/b1']);
  expect(await deliver(to, message({ event: { type: 'c' } }))).toBe('ack');
  expect(told).toHaveLength(1);
  const all = subscription({ rules: [...rules, { match: '', path: '/rest' }], fits: to.fits });
  await deliver(all, message({ event: { type: 'c' } }));
  expect(told.at(-1)?.path).toBe('/rest');
  // An event that no rule fits is a dead letter, if there is a topic for these.
  expect(await deliver({ ...to, deadLetterTopic: 'dead' }, message({ event: { type: 'c' } }))).toBe('ack');
  expect(published.map(([topic]) => topic)).toEqual(['dead']);
});

test('an app that is away is called again when it is back, and nobody waits for it when the bridge goes', async () => {
  let calls = 0;
  const call = (): Promise<Found> =>
    ++calls === 1 ? Promise.reject(new AppError('away', 'nobody')) : Promise.resolve({ status: 'success' });
  presence.set(true);
  const found = deliveries.attempt(subscription(), call);
  await new Promise((resolve) => setImmediate(resolve));
  expect([presence.here, calls]).toEqual([false, 1]);
  presence.set(true);
  expect(await found).toEqual({ status: 'success' });
  const lost = deliveries.attempt(subscription(), () => Promise.reject(new AppError('away', 'nobody')));
  await new Promise((resolve) => setImmediate(resolve));
  deliveries.end();
  expect(await lost).toBe('away');
  const broken = deliveries.attempt(subscription(), () => Promise.reject(new AppError('broken', 'reset')));
  expect(await broken).toMatchObject({ status: 'retry', broken: true });
});
