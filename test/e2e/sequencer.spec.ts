import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/sequencer_pb.js';
import { LAYOTTO } from '../support/doors.js';
import type { RawClient } from '../support/grpc-raw.js';
import { Runtime, type TestComponent } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const { WEAK, STRONG } = pb.SequencerOptions_AutoIncrement;

/** Two runtimes on one Redis, with two Envoy threads each. */
describe('sequencers', () => {
  let server: StoreServer;
  let runtimes: Runtime[];
  /** Several connections of each, so that every thread is met. */
  let clients: RawClient[][];

  beforeAll(async () => {
    server = await startStore('redis');
    const metadata = { redisHost: `127.0.0.1:${server.port}` };
    const components: TestComponent[] = [
      { name: 'single', type: 'sequencer.redis', metadata },
      {
        name: 'runs',
        type: 'sequencer.redis',
        metadata: { ...metadata, segmentCacheEnable: 'true', segmentStep: '50' },
      },
      {
        name: 'embedded',
        type: 'sequencer.embedded',
        metadata: { segmentCacheEnable: 'true', segmentStep: '50', biggerThan: '{"orders": 1000}' },
      },
    ];
    runtimes = await Promise.all([1, 2].map(() => Runtime.start({ concurrency: 2, components })));
    clients = await Promise.all(
      runtimes.map((runtime) => Promise.all(Array.from({ length: 6 }, () => runtime.connect()))),
    );
  });

  afterAll(async () => {
    await Promise.all((runtimes ?? []).map((runtime) => runtime.stop()));
    await server?.stop();
  });

  /** An id, or undefined where the call failed because there was no bridge. */
  async function next(client: RawClient, storeName: string, key: string, increment: number = WEAK) {
    const answer = await client.unary(
      `${LAYOTTO}/GetNextId`,
      pb.GetNextIdRequestSchema,
      { storeName, key, options: { increment } },
      pb.GetNextIdResponseSchema,
    );
    if (answer.grpcStatus === 14) return undefined;
    expect([answer.grpcStatus, answer.grpcMessage]).toEqual([0, '']);
    return BigInt(answer.message?.nextId ?? 0);
  }

  async function idsAnsweredInEnvoy(runtime: Runtime): Promise<number> {
    const stats = await runtime.stats(/layotto_sequencer_weak_ids_total;source=envoy/);
    return Object.values(stats).reduce((sum, value) => sum + value, 0);
  }

  /** Calls from every connection of some runtimes at once, each `times` in turn. */
  async function storm(
    of: RawClient[],
    times: number,
    call: (client: RawClient) => Promise<bigint | undefined>,
  ): Promise<bigint[]> {
    const given = await Promise.all(
      of.map(async (client) => {
        const ids: bigint[] = [];
        for (let count = 0; count < times; count++) {
          const id = await call(client);
          if (id !== undefined) ids.push(id);
        }
        return ids;
      }),
    );
    return given.flat();
  }

  test('STRONG ids come in order, whichever runtime is asked', async () => {
    let last = 0n;
    for (let count = 0; count < 60; count++) {
      const client = clients[count % 2]?.[count % 6] as RawClient;
      const id = (await next(client, count % 3 ? 'single' : 'runs', 'strong', STRONG)) ?? 0n;
      expect(id).toBe(last + 1n);
      last = id;
    }
  });

  test('WEAK ids of one connection are answered in Envoy, and mostly grow', async () => {
    const [client] = clients[0] as [RawClient];
    const ids: bigint[] = [];
    for (let count = 0; count < 300; count++) ids.push((await next(client, 'runs', 'one connection')) ?? 0n);
    expect(new Set(ids).size).toBe(ids.length);
    // One that was asked for because the next run was late is greater than those of the run.
    const steps = ids.filter((id, index) => id > (ids[index - 1] ?? 0n));
    expect(steps.length).toBeGreaterThan(280);
    expect(ids.every((id) => id > 0n && id < 1_000n)).toBe(true);
    await eventually('the metric tells', async () => (await idsAnsweredInEnvoy(runtimes[0]!)) >= 250);
  });

  test('no id comes twice, while a bridge is killed and comes back', async () => {
    const all = clients.flat();
    const calls = storm(all, 250, (client) => next(client, 'runs', 'storm'));
    const singles = storm(all.slice(0, 4), 60, (client) => next(client, 'single', 'storm'));
    const [first] = runtimes as [Runtime];
    await first.killBridge();
    await first.restartBridge();
    await first.sessionsOpen();
    const ids = [...(await calls), ...(await singles)];
    // What was refused meanwhile got no id; afterwards there are some again, from the bridge that is new.
    ids.push(...(await storm(all, 60, (client) => next(client, 'runs', 'storm'))));
    expect(ids.length).toBeGreaterThan(1_500);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('embedded: no id comes twice, above biggerThan, while the bridge is killed and comes back', async () => {
    const [runtime] = runtimes as [Runtime];
    const [own] = clients as [RawClient[]];
    const ids: bigint[] = [];
    for (let round = 0; round < 3; round++) {
      const weak = storm(own, 80, (client) => next(client, 'embedded', 'orders'));
      const strong = storm(own.slice(0, 2), 20, (client) => next(client, 'embedded', 'orders', STRONG));
      if (round < 2) {
        await runtime.killBridge();
        await runtime.restartBridge();
        await runtime.sessionsOpen();
      }
      ids.push(...(await weak), ...(await strong));
    }
    expect(ids.length).toBeGreaterThan(500);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => id > 1000n)).toBe(true);
  });

  test('ids that are there are given while the bridge is away', async () => {
    const [runtime] = runtimes as [Runtime];
    const [client] = clients[0] as [RawClient];
    await eventually('a run is there', async () => (await next(client, 'runs', 'away')) !== undefined);
    await runtime.killBridge();
    expect(await next(client, 'runs', 'away')).toBeGreaterThan(0n);
    expect(await next(client, 'runs', 'away', STRONG)).toBeUndefined();
    await runtime.restartBridge();
  });
});
