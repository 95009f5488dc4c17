import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { PolicyConfig, PolicyLimit } from '../../components-bridge/src/policy/types.js';
import { TcpProxy } from '../conformance/tcp-proxy.js';
import { DAPR, GrpcStateDoor, LAYOTTO } from '../support/doors.js';
import { http1 } from '../support/http1.js';
import { CommandLab } from '../support/layotto.js';
import { load } from '../support/load.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { redisComponent, Runtime } from '../support/runtime.js';
import { startStore } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const PER_HOUR = 3_600;
const EXHAUSTED = 8;

function limit(name: string, more: Partial<PolicyLimit>): PolicyLimit {
  return { name, apps: [], primitives: [], operations: [], components: [], per: [], ...more };
}

function limits(...all: PolicyLimit[]): PolicyConfig {
  return { default: 'allow', trustDomain: 'cluster.local', rules: [], limits: all };
}

describe('a rate', () => {
  const RATE = 500;
  const BURST = 100;
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({
      components: [
        { name: 'statestore', type: 'state.embedded' },
        { name: 'slow', type: 'state.embedded' },
      ],
      concurrency: 2,
      metrics: true,
      policy: limits(
        limit('reads', {
          components: ['statestore'],
          operations: ['GetState'],
          perHour: RATE * PER_HOUR,
          burst: BURST,
        }),
        limit('writes', { components: ['slow'], operations: ['SaveState'], perHour: 60, burst: 1 }),
      ),
    });
  });

  afterAll(() => runtime?.stop());

  test('is kept by two workers together, within 5 %', async () => {
    const { seconds, statuses, calls } = await load({
      target: runtime.target,
      path: `${LAYOTTO}/GetState`,
      body: getStateBody('x'),
      inflight: 16,
      connections: 8,
      seconds: 4,
    });
    const admitted = statuses[0] ?? 0;
    const refused = statuses[EXHAUSTED] ?? 0;
    // Everything was answered, by the store or by the limit, and there was more to do than it allows.
    expect(admitted + refused).toBe(calls);
    expect(refused).toBeGreaterThan(admitted);
    const allowed = RATE * seconds + BURST;
    expect(admitted).toBeGreaterThan(0.95 * allowed);
    expect(admitted).toBeLessThan(1.05 * allowed);
    await eventually('each refusal is counted', async () => (await refusals('reads')) === refused);
  }, 30_000);

  test('is no matter to other calls', async () => {
    const door = new GrpcStateDoor('Layotto', await runtime.connect(), LAYOTTO);
    for (let i = 0; i < 50; i++)
      expect((await door.save('statestore', [{ key: 'k', value: '1' }])).code).toBe(0);
  });

  test('tells who is refused when to come again, on every worker', async () => {
    const writes: number[] = [];
    for (let i = 0; i < 6; i++) {
      // A new connection may be another worker's.
      const door = new GrpcStateDoor('Dapr', await runtime.connect(), DAPR);
      const { code, message } = await door.save('slow', [{ key: 'k', value: '1' }]);
      writes.push(code);
      if (code !== 0)
        expect(message).toMatch(
          /^too many calls: the limit "writes" of the policy is met; try again in \d+ ms$/,
        );
    }
    expect(writes).toEqual([0, 8, 8, 8, 8, 8]);
    const answer = await http1(runtime.target, 'POST', '/v1.0/state/slow', {
      headers: { 'content-type': 'application/json' },
      body: '[{"key": "k", "value": 1}]',
    });
    expect(answer.status).toBe(429);
    expect(JSON.parse(answer.body)).toMatchObject({ errorCode: 'ERR_TOO_BUSY' });
    const seconds = Number(answer.headers['retry-after']);
    expect(seconds).toBeGreaterThan(30);
    expect(seconds).toBeLessThanOrEqual(60);
    const client = await runtime.connect();
    const raw = await client.start({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody('k', '1', 'slow')] })
      .answer;
    expect(raw.grpcStatus).toBe(EXHAUSTED);
    expect(Number(raw.headers['retry-after'])).toBeGreaterThan(30);
    await eventually('each refusal is counted', async () => (await refusals('writes')) === 7);
  });

  async function refusals(name: string): Promise<number> {
    const page = await http1({ port: runtime.config.envoy.metricsPort }, 'GET', '/metrics');
    const sample = new RegExp(`^layotto_rate_limit_refusals_total\\{limit="${name}"\\} (\\d+)$`, 'm');
    return Number(sample.exec(page.body)?.[1] ?? 0);
  }
});

describe('a concurrency', () => {
  test('refuses the third call of a slow component, by name, and lets it in when one has ended', async () => {
    const redis = await startStore('redis');
    const proxy = await TcpProxy.start(redis.port);
    const runtime = await Runtime.start({
      components: [redisComponent(proxy.port, { name: 'slow' }), { name: 'other', type: 'state.embedded' }],
      concurrency: 2,
      policy: limits(limit('two-at-once', { components: ['slow'], concurrency: 2 })),
    });
    try {
      const door = new GrpcStateDoor('Layotto', await runtime.connect(), LAYOTTO);
      proxy.hold();
      const first = [door.get('slow', 'a'), door.get('slow', 'b')];
      const third = await door.get('slow', 'c');
      expect(third).toMatchObject({
        code: EXHAUSTED,
        message:
          'fail to get c from state store slow: component "slow" has 2 calls at work: the limit "two-at-once" of the policy is met',
      });
      // Through another door, on another connection, and it hurts nobody else.
      expect((await http1(runtime.target, 'GET', '/v1.0/state/slow/c')).status).toBe(429);
      expect((await door.get('other', 'c')).code).toBe(0);
      proxy.release();
      expect((await Promise.all(first)).map(({ code }) => code)).toEqual([0, 0]);
      expect((await door.get('slow', 'c')).code).toBe(0);
    } finally {
      await runtime.stop();
      await proxy.stop();
      await redis.stop();
    }
  }, 60_000);
});

describe('an edit', () => {
  let lab: CommandLab;

  beforeEach(async () => (lab = await CommandLab.open()));
  afterEach(() => lab.close());

  test('of the limits takes effect under load, without a restart', async () => {
    const edit = (policy?: object): void =>
      lab.edit([{ name: 'statestore', type: 'state.embedded' }], { policy });
    edit();
    const run = lab.layotto(['run', '-c', 'layotto.yaml', '--data-dir', lab.dataDir]);
    await lab.ready(run);
    const bridge = lab.process('main.js');
    const status = async () => (await http1({ port: lab.port }, 'GET', '/v1.0/state/statestore/k')).status;
    expect(await status()).toBe(204);
    const loading = load({
      target: { port: lab.port },
      path: `${LAYOTTO}/GetState`,
      body: getStateBody('x'),
      inflight: 4,
      connections: 2,
      pauseMs: 2,
      seconds: 12,
    });
    edit({ limits: [{ name: 'few', rate: '10/h', burst: 1 }] });
    await eventually('it is said', () =>
      run.log.includes('layotto: policy: now 0 rules, 1 limit, allow by default\n'),
    );
    await eventually('it holds', async () => (await status()) === 429);
    edit();
    await eventually('it is said', () =>
      run.log.includes('layotto: policy: now none, everything is allowed\n'),
    );
    await eventually('it does not hold any more', async () => (await status()) === 204);
    const { calls, statuses } = await loading;
    const { 0: admitted = 0, [EXHAUSTED]: refused = 0, ...others } = statuses;
    expect(others).toEqual({});
    expect(admitted + refused).toBe(calls);
    expect(Math.min(admitted, refused)).toBeGreaterThan(100);
    expect(lab.process('main.js')).toBe(bridge);
    expect(readFileSync(join(lab.dataDir, 'bridge.log'), 'utf8')).not.toContain('different configurations');
  }, 90_000);
});
