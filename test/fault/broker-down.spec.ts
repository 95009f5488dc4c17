import { http1 } from '../support/http1.js';
import { startNats } from '../support/nats-server.js';
import type { NatsServer } from '../support/nats-server.js';
import { freePorts } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

/** What a refusal may take; of several tries one has to, because the machine may be busy with something else. */
const AT_ONCE_MS = 100;
const TRIES = 5;

async function publish({ target }: Runtime, broker: string): Promise<{ status: number; text: string }> {
  const { status, body } = await http1(target, 'POST', `/v1.0/publish/${broker}/orders`, { body: 'x' });
  return { status, text: body };
}

/** A refusal at once, with the broker's name and the reason. */
async function expectRefused(runtime: Runtime, broker: string, reason: RegExp): Promise<void> {
  let fastest = Infinity;
  for (let time = 0; time < TRIES; time++) {
    const started = performance.now();
    const { status, text } = await publish(runtime, broker);
    fastest = Math.min(fastest, performance.now() - started);
    expect(status).toBe(503);
    expect(text).toMatch(reason);
  }
  expect(fastest).toBeLessThan(AT_ONCE_MS);
}

test('brokers that are down hurt nobody else, and are served when they are there', async () => {
  const [port = 0, kafkaPort = 0] = await freePorts(2);
  const runtime = await Runtime.start({
    components: [
      { name: 'here', type: 'pubsub.embedded' },
      { name: 'nats', type: 'pubsub.jetstream', metadata: { natsURL: `nats://127.0.0.1:${port}` } },
      { name: 'kafka', type: 'pubsub.kafka', metadata: { brokers: `127.0.0.1:${kafkaPort}` } },
    ],
    waitForComponents: false,
  });
  let nats: NatsServer | undefined;
  try {
    await eventually(
      'the other broker is served',
      async () => (await publish(runtime, 'here')).status === 204,
    );
    const noKafka = new RegExp(`kafka is not ready: 127\\.0\\.0\\.1:${kafkaPort}: .*ECONNREFUSED`);
    await expectRefused(runtime, 'nats', new RegExp(`nats is not ready: 127\\.0\\.0\\.1:${port}: .+`));
    await eventually('Kafka was tried', async () => noKafka.test((await publish(runtime, 'kafka')).text));
    await expectRefused(runtime, 'kafka', noKafka);
    nats = await startNats({ port });
    await eventually('NATS is served', async () => (await publish(runtime, 'nats')).status === 204);
    await nats.kill();
    await eventually('the loss is noticed', async () => (await publish(runtime, 'nats')).status !== 204);
    await expectRefused(
      runtime,
      'nats',
      new RegExp(`nats is not ready: 127\\.0\\.0\\.1:${port}: the connection was lost`),
    );
    expect((await publish(runtime, 'here')).status).toBe(204);
    await nats.restart();
    await eventually('NATS is served again', async () => (await publish(runtime, 'nats')).status === 204);
  } finally {
    await runtime.stop();
    await nats?.stop();
  }
}, 60_000);
