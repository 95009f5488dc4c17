import { pino } from 'pino';

import { SAMPLE_CONFIG } from '../../../../envoy/samples.js';
import { eventually } from '../../../../test/support/wait.js';
import type { SubscriptionConfig } from '../../config/types.js';
import { Policy } from '../../policy/policy.js';
import type { AppChannel } from '../app-channel.js';
import type { ComponentRegistry } from '../registry.js';
import type { Broker, BrokerSubscription } from './broker.js';
import { Subscriptions } from './subscriptions.js';
import { Tally } from './tally.js';

const DECLARED: SubscriptionConfig = {
  ...{ name: 'one', pubsubName: 'bus', topic: 'orders', form: 'native', metadata: {} },
  rules: [{ match: '', path: '/' }],
  origin: { file: 'layotto.yaml', line: 1 },
};

/** Whoever gets the events is there. */
let here: boolean;
/** Lets the broker deliver what was subscribed to. */
let subscribed: (() => void)[];
let subscriptions: Subscriptions;

beforeEach(() => {
  here = true;
  subscribed = [];
  const broker = {
    subscribe: () =>
      new Promise<BrokerSubscription>((resolve) => {
        subscribed.push(() => resolve({ close: () => Promise.resolve() }));
      }),
  } as unknown as Broker;
  const slot = { instance: broker, hold: () => undefined, release: () => undefined };
  const registry = { serves: () => true, find: () => slot, onChange: () => () => undefined };
  subscriptions = new Subscriptions({
    registry: registry as unknown as ComponentRegistry,
    channel: { app: { port: 1, protocol: 'http' } } as unknown as AppChannel,
    policy: new Policy(SAMPLE_CONFIG),
    declared: [DECLARED],
    log: pino({ enabled: false }),
    tally: new Tally(),
    ...{ appId: 'shop', messageBytes: 1024, longestAwayMs: 20 },
    ask: () => Promise.resolve(here ? { here, listed: [], problems: [] } : { here, problems: [] }),
  });
});
afterEach(async () => {
  for (const resolve of subscribed) resolve();
  await subscriptions.close();
});

test('it is at work when whoever gets the events is there, and the broker delivers them', async () => {
  here = false;
  subscriptions.start();
  expect(subscriptions.atWork).toBe(false);
  here = true;
  await eventually('the broker is asked', () => subscribed.length === 1);
  expect(subscriptions.atWork).toBe(false);
  subscribed[0]?.();
  await eventually('it is at work', () => subscriptions.atWork);
  here = false;
  subscriptions.use([DECLARED]);
  await eventually('it is not any more', () => !subscriptions.atWork);
});
