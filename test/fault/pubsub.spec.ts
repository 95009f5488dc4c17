import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import {
  BulkPublishEventRequestSchema,
  BulkPublishEventResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import { Child } from '../support/child.js';
import { freePort } from '../support/ports.js';
import { Runtime } from '../support/runtime.js';
import { eventually, sleep } from '../support/wait.js';

const EVENTS = 20_000;
const BATCH = 100;
const app = fileURLToPath(new URL('numbering-app.mjs', import.meta.url));

/** Publishes numbers from 0 on, in batches, until so many are acknowledged. */
class Numbers {
  readonly acknowledged = new Set<number>();
  /** Batches of which nobody knows whether they were published. */
  unknown = 0;
  #next = 0;

  constructor(private readonly runtime: Runtime) {}

  async publish(wanted: number): Promise<void> {
    let client = await this.runtime.connect();
    while (this.acknowledged.size < wanted) {
      const numbers = Array.from({ length: BATCH }, () => this.#next++);
      const entries = numbers.map((n) => ({
        entryId: String(n),
        event: Buffer.from(String(n)),
        contentType: 'application/json',
      }));
      const request = { pubsubName: 'pubsub', topic: 'numbers', entries };
      const path = '/dapr.proto.runtime.v1.Dapr/BulkPublishEvent';
      try {
        const answer = await client.unary(
          path,
          BulkPublishEventRequestSchema,
          request,
          BulkPublishEventResponseSchema,
        );
        if (answer.message === undefined) throw new Error(answer.grpcMessage);
        const failed = new Set(answer.message.failedEntries.map(({ entryId }) => Number(entryId)));
        for (const n of numbers) if (!failed.has(n)) this.acknowledged.add(n);
      } catch {
        this.unknown++;
        await sleep(20);
        client = await eventually('there is a connection', () => this.runtime.connect());
      }
    }
  }
}

describe('at least once', () => {
  let runtime: Runtime;
  let process_: Child;
  let port: number;
  let file: string;

  const startApp = (): Child => new Child('app', process.execPath, [app, String(port), file, 'numbers']);

  beforeAll(async () => {
    port = await freePort();
    runtime = await Runtime.start({
      appPort: port,
      components: [{ name: 'pubsub', type: 'pubsub.embedded', metadata: { redeliverInterval: '200ms' } }],
    });
    file = join(runtime.config.dataDir, 'numbers');
    process_ = startApp();
  });

  afterAll(async () => {
    process_?.signal('SIGKILL');
    await runtime?.stop();
  });

  const received = async (): Promise<number[]> =>
    (await readFile(file, 'utf8')).split('\n').slice(0, -1).map(Number);

  test(`app, bridge and Envoy are killed while ${EVENTS} events are published, and every one arrives`, async () => {
    const numbers = new Numbers(runtime);
    const published = numbers.publish(EVENTS);
    const kills: [name: string, kill: () => Promise<void>][] = [
      [
        'app',
        async () => {
          process_.signal('SIGKILL');
          await process_.exited;
          await sleep(300);
          process_ = startApp();
        },
      ],
      [
        'bridge',
        async () => {
          await runtime.killBridge();
          await runtime.restartBridge();
        },
      ],
      ['Envoy', () => runtime.restartEnvoy()],
    ];
    for (const [index, [name, kill]] of kills.entries()) {
      // Each with events in hand and on their way.
      await eventually(
        `it is time for the ${name}`,
        async () => numbers.acknowledged.size >= ((index + 1) * EVENTS) / 5 && (await received()).length > 0,
        { timeoutMs: 30_000 },
      );
      await kill();
    }
    await published;
    let all: number[] = [];
    await eventually(
      'every event has arrived',
      async () => {
        all = await received();
        const seen = new Set(all);
        return [...numbers.acknowledged].every((n) => seen.has(n));
      },
      { timeoutMs: 60_000, everyMs: 250 },
    );
    const duplicates = all.length - new Set(all).size;
    const { acknowledged, unknown } = numbers;
    console.log(
      `${acknowledged.size} events acknowledged, all of them arrived; ${duplicates} twice or more often; ` +
        `${unknown} batches of ${BATCH} whose publisher got no answer`,
    );
    expect(duplicates).toBeLessThan(EVENTS / 10);
  }, 120_000);
});
