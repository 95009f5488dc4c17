import { pino } from 'pino';
import * as z from 'zod';

import { eventually } from '../../../../test/support/wait.js';
import type { ComponentConfig } from '../../config/types.js';
import type { ComponentContext } from '../component.js';
import { ComponentRegistry } from '../registry.js';
import { BrokerError } from './broker.js';
import type { Broker } from './broker.js';
import { Feed } from './feed.js';

const log = pino({ enabled: false });

/** What happens to subscriptions, in order, by the settings of their brokers. */
let happened: string[];
/** Brokers that refuse their next subscriptions, and how many. */
let refusals: Map<string, number>;
let registry: ComponentRegistry;
let feed: Feed;

function config(settings: string): ComponentConfig {
  const origin = { file: 'test', line: 0 };
  const metadata = { settings };
  return {
    name: 'bus',
    type: 'pubsub.test',
    version: 'v1',
    primitive: 'pubsub',
    form: 'native',
    metadata,
    origin,
  };
}

async function open({ metadata }: ComponentContext): Promise<Broker> {
  const settings = metadata['settings'] ?? '';
  return {
    delays: false,
    publish: async () => [],
    async subscribe({ topic }) {
      const left = refusals.get(settings) ?? 0;
      if (left > 0) {
        refusals.set(settings, left - 1);
        throw new BrokerError('failed', 'not now');
      }
      happened.push(`${settings}: ${topic}`);
      return { close: async () => void happened.push(`${settings}: closed`) };
    },
    close: async () => void happened.push(`${settings}: gone`),
  };
}

beforeEach(async () => {
  happened = [];
  refusals = new Map();
  const type = { type: 'pubsub.test', primitive: 'pubsub', capabilities: [], metadata: z.strictObject({}) };
  registry = new ComponentRegistry({
    components: [config('old')],
    types: [{ ...type, load: () => Promise.resolve({ open }) }],
    dataDir: '/data',
    log,
  });
  registry.start();
  await registry.firstTries(5_000);
  feed = new Feed({
    registry,
    subscription: { pubsubName: 'bus', topic: 't', metadata: {} },
    concurrency: 1,
    receive: async () => 'ack',
    log,
  });
});

afterEach(async () => {
  await feed.close();
  await registry.close();
});

const apply = (...components: ComponentConfig[]): Promise<unknown> =>
  registry.apply(components, { removeOthers: true, waitMs: 300 });

it('moves to the component that takes the place of its own before it leaves that', async () => {
  feed.active = true;
  await feed.opened;
  await apply(config('new'));
  await eventually('the old one has gone', () => happened.includes('old: gone'));
  expect(happened).toEqual(['old: t', 'new: t', 'old: closed', 'old: gone']);
  expect(feed.isOpen).toBe(true);
});

it('ends with its component, and comes back with it', async () => {
  feed.active = true;
  await feed.opened;
  await apply();
  await eventually('it has ended', () => !feed.isOpen);
  await apply(config('again'));
  await eventually('it is back', () => feed.isOpen);
  expect(happened).toEqual(['old: t', 'old: closed', 'old: gone', 'again: t']);
});

it('tries again where it is refused', async () => {
  refusals.set('old', 2);
  feed.active = true;
  await feed.opened;
  expect(happened).toEqual(['old: t']);
});

it('takes nothing while it is told so', async () => {
  feed.active = true;
  await feed.opened;
  feed.active = false;
  await eventually('it has ended', () => happened.includes('old: closed'));
  feed.active = true;
  await eventually('it is back', () => feed.isOpen);
  await feed.close();
  expect(happened).toEqual(['old: t', 'old: closed', 'old: t', 'old: closed']);
});
