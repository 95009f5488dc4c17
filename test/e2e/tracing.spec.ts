import { randomBytes } from 'node:crypto';

import { envoyBinary } from '../../tools/get.mjs';
import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO } from '../support/doors.js';
import { http1 } from '../support/http1.js';
import { OtlpCollector } from '../support/otlp-collector.js';
import type { CollectedSpan } from '../support/otlp-collector.js';
import { getStateBody } from '../support/requests.js';
import { redisComponent, Runtime } from '../support/runtime.js';
import type { RuntimeOptions } from '../support/runtime.js';
import { startStore } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const CALLER = 'b7ad6b7169203331';

/** Envoy sends its spans every five seconds; for tests that is long. */
const OFTEN = { 'tracing.opentelemetry.flush_interval_ms': 200 };

/** A trace of its own, as a caller has begun it. */
function begun(sampled: boolean): { traceId: string; headers: Record<string, string> } {
  const traceId = randomBytes(16).toString('hex');
  return { traceId, headers: { traceparent: `00-${traceId}-${CALLER}-0${sampled ? 1 : 0}` } };
}

function runtimeOptions(collector: OtlpCollector, port: number, sampling: number): RuntimeOptions {
  return {
    appId: 'shop',
    components: [redisComponent(port)],
    tracing: { otlp: collector.endpoint, sampling },
    bridgeArgs: ['--log-level', 'debug'],
    bootstrap: (rendered) => ({
      ...rendered,
      layered_runtime: { layers: [{ name: 'test', static_layer: OFTEN }] },
    }),
  };
}

describe('a runtime that is traced', () => {
  let collector: OtlpCollector;
  let store: Awaited<ReturnType<typeof startStore>>;
  let runtime: Runtime;
  /** Whether this Envoy can name its span, so that the bridge's stands below it and not beside it. */
  let below: boolean;

  beforeAll(async () => {
    const { version } = await envoyBinary();
    below = Number(version.split('.')[1]) >= 38;
    [collector, store] = await Promise.all([OtlpCollector.start(), startStore('redis')]);
    runtime = await Runtime.start(runtimeOptions(collector, store.port, 1));
  }, 60_000);

  afterAll(async () => {
    await runtime?.stop();
    await store?.stop();
    await collector?.stop();
  });

  const get = (path: string, headers: Record<string, string> = {}) =>
    http1(runtime.target, 'GET', `/v1.0/state/statestore/${path}`, { headers });

  function expectPair([envoy, bridge]: CollectedSpan[]): void {
    expect(envoy).toMatchObject({ name: 'layotto', kind: 'SPAN_KIND_SERVER', service: 'shop' });
    expect(bridge).toMatchObject({
      name: 'state.get statestore',
      kind: 'SPAN_KIND_CLIENT',
      service: 'shop',
      attributes: {
        'layotto.component': 'statestore',
        'layotto.component.type': 'state.redis',
        'rpc.method': 'layotto.bridge.v1.State/GetState',
        'db.system.name': 'redis',
        'db.operation.name': 'get',
        'server.address': '127.0.0.1',
        'server.port': String(store.port),
      },
    });
    expect(bridge?.scope).toMatch(/^layotto-bridge \d/);
    // The clocks of two processes agree to a millisecond or so; on this machine they are the same.
    const slack = 20_000_000n;
    expect(bridge?.start).toBeGreaterThanOrEqual((envoy?.start ?? 0n) - slack);
    expect(bridge?.end).toBeLessThanOrEqual((envoy?.end ?? 0n) + slack);
    expect(bridge?.end).toBeGreaterThanOrEqual(bridge?.start ?? 0n);
  }

  test("a caller's trace goes on in Envoy and in the bridge, through every door", async () => {
    const client = await runtime.connect();
    for (const [path, body] of [
      [`${LAYOTTO}/GetState`, getStateBody('k')],
      [`${DAPR}/GetState`, getStateBody('k')],
    ] as const) {
      const { traceId, headers } = begun(true);
      await client.send({ path, body: [body], headers });
      await expectContinued(traceId);
    }
    const { traceId, headers } = begun(true);
    await get('k', headers);
    await expectContinued(traceId);
  });

  async function expectContinued(traceId: string): Promise<void> {
    const spans = await collector.trace(traceId, 2);
    expect(spans).toHaveLength(2);
    expectPair(spans);
    const [envoy, bridge] = spans;
    expect(envoy?.parentId).toBe(CALLER);
    expect(bridge?.parentId).toBe(below ? envoy?.id : CALLER);
  }

  test('a call without a trace begins one', async () => {
    const before = new Set(collector.spans.map((span) => span.id));
    await get('without');
    const bridge = await eventually('the bridge’s span', () =>
      collector.spans.find((span) => !before.has(span.id) && span.name === 'state.get statestore'),
    );
    const spans = await collector.trace(bridge.traceId, 2);
    expectPair(spans);
    expect(spans[0]?.parentId).toBe('');
    expect(spans[1]?.parentId).toBe(below ? spans[0]?.id : '');
  });

  test('a caller that does not record its trace is not recorded here', async () => {
    const quiet = begun(false);
    await get('k', quiet.headers);
    const loud = begun(true);
    await get('k', loud.headers);
    await collector.trace(loud.traceId, 2);
    expect(collector.spans.filter(({ traceId }) => traceId === quiet.traceId)).toEqual([]);
  });

  test('many keys of one call are one span', async () => {
    const { traceId, headers } = begun(true);
    const body = JSON.stringify({ keys: ['a', 'b', 'c'] });
    await http1(runtime.target, 'POST', '/v1.0/state/statestore/bulk', { headers, body });
    const [, bridge] = await collector.trace(traceId, 2);
    expect(bridge?.attributes).toMatchObject({
      'rpc.method': 'layotto.bridge.v1.State/GetBulkState',
      'db.operation.batch.size': '3',
    });
  });

  test('a failure is an error in its span, and is logged with its trace', async () => {
    await new HttpStateDoor(runtime.target).save('statestore', [{ key: 'list', value: '1' }]);
    const { traceId, headers } = begun(true);
    const answer = await http1(runtime.target, 'DELETE', '/v1.0/state/statestore/list', {
      headers: { ...headers, 'if-match': '777' },
    });
    expect(answer.status).toBe(409);
    const [envoy, bridge] = await collector.trace(traceId, 2);
    expect(envoy?.attributes).toMatchObject({ 'http.status_code': '409' });
    expect(bridge).toMatchObject({
      name: 'state.delete statestore',
      status: 'STATUS_CODE_ERROR',
      attributes: { 'error.type': 'ABORTED' },
    });
    const line = await eventually('the log tells of it', () =>
      runtime.bridgeProcess.log.split('\n').find((text) => text.includes(traceId)),
    );
    expect(JSON.parse(line)).toMatchObject({
      msg: 'call failed',
      trace_id: traceId,
      method: 'layotto.bridge.v1.State/DeleteState',
      code: 'ABORTED',
    });
  });

  test('what the bridge has recorded is sent before it ends', async () => {
    const { traceId, headers } = begun(true);
    await get('last', headers);
    await runtime.bridgeProcess.stop();
    const spans = await collector.trace(traceId, 2);
    expect(spans.map(({ name }) => name).sort()).toEqual(['layotto', 'state.get statestore']);
    await runtime.restartBridge();
    await runtime.sessionsOpen();
  });
});

test('a collector that goes away fails no call', async () => {
  const [collector, store] = await Promise.all([OtlpCollector.start(), startStore('redis')]);
  const runtime = await Runtime.start(runtimeOptions(collector, store.port, 1));
  try {
    await collector.stop();
    for (let i = 0; i < 20; i++) {
      const { headers } = begun(true);
      const { status } = await http1(runtime.target, 'GET', '/v1.0/state/statestore/k', { headers });
      expect(status).toBe(204);
    }
    await eventually('the log tells of it', () => runtime.bridgeProcess.log.includes('spans are not taken'));
  } finally {
    await runtime.stop();
    await store.stop();
    await collector.stop();
  }
}, 60_000);

test('with a sampling of 0, only what callers record is recorded', async () => {
  const [collector, store] = await Promise.all([OtlpCollector.start(), startStore('valkey')]);
  const runtime = await Runtime.start(runtimeOptions(collector, store.port, 0));
  try {
    const door = new GrpcStateDoor('Dapr gRPC', await runtime.connect(), DAPR);
    for (let i = 0; i < 20; i++) await door.get('statestore', `k${i}`);
    const { traceId, headers } = begun(true);
    await http1(runtime.target, 'GET', '/v1.0/state/statestore/k', { headers });
    const spans = await collector.trace(traceId, 2);
    expect(spans.map(({ status }) => status)).not.toContain('STATUS_CODE_ERROR');
    expect(collector.spans.filter((span) => span.traceId !== traceId)).toEqual([]);
  } finally {
    await runtime.stop();
    await store.stop();
    await collector.stop();
  }
}, 60_000);
