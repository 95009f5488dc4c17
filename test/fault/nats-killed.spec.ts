import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { startNats } from '../support/nats-server.js';
import type { NatsServer } from '../support/nats-server.js';
import { BrokerClient, outgoing } from '../conformance/pubsub-client.js';
import { eventually, sleep } from '../support/wait.js';

const EVENTS = 5_000;
/** Published together. */
const BATCH = 20;
/** The server is killed when so many were acknowledged. */
const KILLED_AT = 2_000;

let nats: NatsServer;
let client: BrokerClient;

beforeAll(async () => {
  nats = await startNats();
  client = await BrokerClient.open('pubsub.jetstream', { natsURL: nats.url, ackWait: '2s' });
});

afterAll(async () => {
  await client.close();
  await nats.stop();
});

/** Numbered events, some at a time; what was not acknowledged is not counted and not repeated. */
async function publishAll(acknowledged: Set<string>, failures: string[]): Promise<void> {
  for (let first = 0; first < EVENTS; first += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, index) => String(first + index));
    const messages = numbers.map((text) => outgoing(text));
    const failed = (error: BrokerError) => numbers.map(() => error);
    const outcomes = await client.broker.publish('numbers', messages).catch(failed);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome instanceof BrokerError) failures.push(outcome.kind);
      else acknowledged.add(numbers[index] ?? '');
    }
    // While the server is away calls fail at once: an app would pause.
    if (outcomes.some((outcome) => outcome instanceof BrokerError)) await sleep(5);
  }
}

test('every event that was acknowledged arrives although NATS is killed and restarted', async () => {
  const taker = await client.subscribe('numbers', { concurrency: 50 });
  const acknowledged = new Set<string>();
  const failures: string[] = [];
  const publishing = publishAll(acknowledged, failures);
  await eventually('the server is to be killed', () => acknowledged.size >= KILLED_AT, { everyMs: 1 });
  await nats.kill();
  await nats.restart();
  await publishing;

  await eventually(
    'everything acknowledged has arrived',
    () => {
      const arrived = new Set(taker.texts);
      const missing = [...acknowledged].filter((number) => !arrived.has(number));
      if (missing.length > 0) throw new Error(`${missing.length} missing, such as ${missing[0]}`);
      return true;
    },
    { timeoutMs: 60_000, everyMs: 200 },
  );
  // The server was killed in the middle: some failed, some were published after its return.
  expect(failures.length).toBeGreaterThan(0);
  expect(new Set(failures)).toEqual(new Set(['unavailable']));
  expect(acknowledged.has(String(EVENTS - 1))).toBe(true);
  expect(client.reports.at(-1)).toBe('ready');
  await eventually('nothing is left', async () => (await taker.subscription.lag?.()) === 0, {
    timeoutMs: 30_000,
  });
  const duplicates = taker.messages.length - new Set(taker.texts).size;
  console.log(
    `${acknowledged.size} acknowledged, ${taker.messages.length} delivered, ${duplicates} of them again`,
  );
  await taker.close();
});
