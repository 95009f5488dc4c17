import { create, toBinary } from '@bufbuild/protobuf';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { GetStateRequestSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO } from '../support/doors.js';
import { Kind } from '../support/frames.js';
import { http1 } from '../support/http1.js';
import { EMBEDDED, redisComponent, Runtime } from '../support/runtime.js';
import { SessionClient } from '../support/session-client.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const REDIS = 'component="statestore",type="state.redis"';

describe("the bridge's metrics", () => {
  let store: StoreServer;
  let runtime: Runtime;

  beforeAll(async () => {
    store = await startStore('redis');
    const components = [redisComponent(store.port), { ...EMBEDDED, name: 'drafts' }];
    runtime = await Runtime.start({ components, metrics: true });
  }, 60_000);

  afterAll(async () => {
    await runtime?.stop();
    await store?.stop();
  });

  async function scrape(): Promise<string> {
    const { status, body } = await http1(
      { port: runtime.config.envoy.metricsPort },
      'GET',
      '/metrics/bridge',
    );
    if (status !== 200) throw new Error(`${status} ${body}`);
    return body;
  }

  /** The value of a sample; undefined if there is none. */
  function valueOf(text: string, sample: string): number | undefined {
    const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length + 1));
  }

  const duration = (operation: string, labels = REDIS): string =>
    `layotto_bridge_backend_duration_seconds_count{${labels},operation="${operation}"}`;
  const errors = (operation: string, code: string, labels = REDIS): string =>
    `layotto_bridge_backend_errors_total{${labels},operation="${operation}",code="${code}"}`;

  interface Health {
    version: string;
    configVersion: string;
    sessions: number;
    components: { name: string; type: string; status: string; reason?: string; since: string }[];
  }

  async function health(): Promise<Health> {
    const socketPath = join(runtime.config.dataDir, 'bridge-admin.sock');
    const { status, headers, body } = await http1({ socketPath }, 'GET', '/health');
    expect([status, headers['content-type']]).toEqual([200, 'application/json']);
    return JSON.parse(body) as Health;
  }

  test("are served beside Envoy's, and are what Prometheus reads", async () => {
    const text = await scrape();
    const sample = /^[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? -?[0-9.e+-]+$/;
    const families = [...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map(([, name]) => name);
    expect(new Set(families).size).toBe(families.length);
    for (const line of text
      .trimEnd()
      .split('\n')
      .filter((one) => !one.startsWith('#'))) {
      expect(line).toMatch(sample);
      const name = line.replace(/[{ ].*$/, '').replace(/_(bucket|sum|count)$/, '');
      expect(families.some((family) => family === name || family === line.replace(/[{ ].*$/, ''))).toBe(true);
    }
    const envoys = await http1({ port: runtime.config.envoy.metricsPort }, 'GET', '/metrics');
    expect(envoys.body).toContain('envoy_http_downstream_rq_total{');
  });

  test('count and time what components were asked, by operation', async () => {
    const before = await scrape();
    const client = await runtime.connect();
    const doors = [
      new GrpcStateDoor('Layotto gRPC', client, LAYOTTO),
      new GrpcStateDoor('Dapr gRPC', client, DAPR),
      new HttpStateDoor(runtime.target),
    ];
    for (const door of doors) {
      for (const name of ['statestore', 'drafts']) {
        await door.save(name, [
          { key: 'a', value: '1' },
          { key: 'b', value: '2' },
        ]);
        await door.get(name, 'a');
        await door.bulkGet(name, ['a', 'b', 'c']);
        await door.transaction(name, [{ key: 'a', value: '3' }]);
        await door.delete(name, 'b');
        expect((await door.delete(name, 'a', '777')).code).not.toBe(0);
      }
    }
    const after = await scrape();
    for (const labels of [REDIS, 'component="drafts",type="state.embedded"']) {
      const more = (sample: string): number => (valueOf(after, sample) ?? 0) - (valueOf(before, sample) ?? 0);
      expect({
        get: more(duration('get', labels)),
        set: more(duration('set', labels)),
        transact: more(duration('transact', labels)),
        delete: more(duration('delete', labels)),
        refused: more(errors('delete', 'ABORTED', labels)),
      }).toEqual({ get: 12, set: 6, transact: 3, delete: 6, refused: 3 });
    }
    const bucket = (le: string): number | undefined =>
      valueOf(after, `layotto_bridge_backend_duration_seconds_bucket{${REDIS},operation="get",le="${le}"}`);
    expect(bucket('+Inf')).toBe(valueOf(after, duration('get')));
    expect(bucket('0.00005')).toBeLessThan(bucket('+Inf') ?? 0);
  });

  test('say how the process is', async () => {
    await scrape();
    const text = await scrape();
    const rss = await runtime.bridgeProcess.rssKiB();
    const seen = valueOf(text, 'process_resident_memory_bytes') ?? 0;
    expect(seen / 1024 / rss).toBeGreaterThan(0.5);
    expect(seen / 1024 / rss).toBeLessThan(2);
    expect(valueOf(text, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(valueOf(text, 'process_start_time_seconds')).toBeGreaterThan(Date.now() / 1000 - 3_600);
    for (const quantile of ['0.5', '0.99', '1']) {
      const delay = valueOf(text, `layotto_bridge_event_loop_delay_seconds{quantile="${quantile}"}`);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThan(30);
    }
    expect(valueOf(text, 'layotto_bridge_sessions')).toBe(runtime.expectedSessions);
  });

  test('show what is at work, and what came of it', async () => {
    await store.process.freeze();
    const door = new HttpStateDoor(runtime.target);
    const value = JSON.stringify('x'.repeat(1_000));
    const saved = door.save('statestore', [{ key: 'slow', value }]);
    try {
      await eventually('the operation is seen', async () => {
        const text = await scrape();
        return (
          valueOf(text, 'layotto_bridge_operations') === 1 &&
          (valueOf(text, 'layotto_bridge_request_bytes') ?? 0) > 1_000
        );
      });
    } finally {
      store.process.signal('SIGCONT');
    }
    // Redis may have been silent for too long; the connection is made again then.
    await saved;
    const text = await scrape();
    expect(valueOf(text, 'layotto_bridge_operations')).toBe(0);
    expect(valueOf(text, 'layotto_bridge_request_bytes')).toBe(0);
  });

  test('count every component that is not configured as one', async () => {
    const client = SessionClient.open(runtime.sessionSocket);
    for (const [id, storeName] of ['nope', 'neither', 'x'.repeat(500)].entries()) {
      const request = create(GetStateRequestSchema, { storeName, key: 'k' });
      client.request(id + 1, 'layotto.bridge.v1.State/GetState', toBinary(GetStateRequestSchema, request));
      await client.frame(Kind.FAILURE, id + 1);
    }
    client.close();
    const text = await scrape();
    const unknown = 'component="unknown",type="unknown"';
    expect(valueOf(text, errors('get', 'INVALID_ARGUMENT', unknown))).toBe(3);
    expect(text).not.toMatch(/nope|neither|xxx/);
  });

  test('show a store that is lost, why, and that it came back', async () => {
    const ready = `layotto_bridge_component_ready{${REDIS}}`;
    const reconnects = `layotto_bridge_component_reconnects_total{${REDIS}}`;
    const of = async (): Promise<Health['components'][number] | undefined> =>
      (await health()).components.find(({ name }) => name === 'statestore');
    await eventually('it is ready', async () => valueOf(await scrape(), ready) === 1);
    const before = await of();
    const count = valueOf(await scrape(), reconnects) ?? 0;
    expect(before).toMatchObject({ type: 'state.redis', status: 'ready' });
    await store.stop();
    await eventually('its loss is seen', async () => valueOf(await scrape(), ready) === 0);
    const lost = await of();
    expect(lost).toMatchObject({
      status: 'down',
      reason: expect.stringContaining(String(store.port)) as string,
    });
    expect(Date.parse(lost?.since ?? '')).toBeGreaterThanOrEqual(Date.parse(before?.since ?? ''));
    const { code } = await new HttpStateDoor(runtime.target).get('statestore', 'k');
    expect(code).toBe(503);
    const text = await scrape();
    expect(valueOf(text, errors('get', 'UNAVAILABLE'))).toBeGreaterThanOrEqual(1);
    expect(valueOf(text, 'layotto_bridge_component_ready{component="drafts",type="state.embedded"}')).toBe(1);

    store = await startStore('redis', [], store.port);
    await eventually('it is back', async () => valueOf(await scrape(), ready) === 1);
    expect(valueOf(await scrape(), reconnects)).toBe(count + 1);
    expect(await of()).toMatchObject({ status: 'ready' });
    expect(await of()).not.toHaveProperty('reason');
  });

  test('are for their owner only, and not where the bridge is not', async () => {
    const { mode } = await stat(join(runtime.config.dataDir, 'bridge-admin.sock'));
    expect(mode & 0o777).toBe(0o600);
    const { sessions, version, configVersion } = await health();
    expect(sessions).toBe(runtime.expectedSessions);
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    expect(await scrape()).toContain(`{version="${version}",config_version="${configVersion}"} 1`);
    await runtime.killBridge();
    await expect(scrape()).rejects.toThrow('503');
    await runtime.restartBridge();
    await eventually('the next bridge serves them', scrape);
  });
});
