import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { startNats } from '../support/nats-server.js';
import type { NatsServer } from '../support/nats-server.js';
import { Inbox, openBroker } from '../support/opened-broker.js';
import type { OpenedBroker } from '../support/opened-broker.js';
import { eventually, sleep } from '../support/wait.js';

const EVENTS = 5_000;
/** Published together. */
const BATCH = 20;
/** The server is killed when so many were acknowledged. */
const KILLED_AT = 2_000;

let nats: NatsServer;
let opened: OpenedBroker;

beforeAll(async () => {
  nats = await startNats();
  opened = await openBroker('pubsub.jetstream', { natsURL: nats.url, ackWait: '2s' });
});

afterAll(async () => {
  await opened.close();
  await nats.stop();
});

/** Numbered events, some at a time; what was not acknowledged is not counted and not repeated. */
async function publishAll(acknowledged: Set<string>, failures: string[]): Promise<void> {
  for (let first = 0; first < EVENTS; first += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, index) => String(first + index));
    const messages = numbers.map((text) => ({
      data: Buffer.from(text),
      contentType: 'text/plain',
      metadata: {},
    }));
    const failed = (error: BrokerError) => numbers.map(() => error);
    const outcomes = await opened.broker.publish('numbers', messages).catch(failed);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome instanceof BrokerError) failures.push(outcome.kind);
      else acknowledged.add(numbers[index] ?? '');
    }
    // While the server is away calls fail at once: an app would pause.
    if (outcomes.some((outcome) => outcome instanceof BrokerError)) await sleep(5);
  }
}

test('every event that was acknowledged arrives although NATS is killed and restarted', async () => {
  const inbox = new Inbox();
  const { receive } = inbox;
  const subscription = await opened.broker.subscribe({
    topic: 'numbers',
    metadata: {},
    concurrency: 50,
    receive,
  });
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
      const arrived = new Set(inbox.texts);
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
  expect(opened.reports.at(-1)).toBe('ready');
  await eventually('nothing is left', async () => (await subscription.lag?.()) === 0, { timeoutMs: 30_000 });
  const duplicates = inbox.messages.length - new Set(inbox.texts).size;
  console.log(
    `${acknowledged.size} acknowledged, ${inbox.messages.length} delivered, ${duplicates} of them again`,
  );
  await subscription.close();
});
