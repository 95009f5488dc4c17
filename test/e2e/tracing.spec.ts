import { randomBytes } from 'node:crypto';

import { Collector } from '../support/collector.js';
import type { PrintedSpan } from '../support/collector.js';
import { LAYOTTO } from '../support/doors.js';
import { http1 } from '../support/http1.js';
import { getStateBody } from '../support/requests.js';
import { redisComponent, Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

describe('with a collector, one trace shows Envoy and the backend call', () => {
  let server: StoreServer;
  let collector: Collector;
  let runtime: Runtime;

  beforeAll(async () => {
    [server, collector] = await Promise.all([startStore('redis'), Collector.start()]);
    runtime = await Runtime.start({
      components: [redisComponent(server.port)],
      tracing: { otlp: collector.endpoint, sampling: 1 },
    });
  });
  afterAll(async () => {
    await runtime?.stop();
    await collector?.stop();
    await server?.stop();
  });

  /** The spans of a trace: Envoy's, and the bridge's of the backend call. */
  async function traced(traceId: string): Promise<{ envoy: PrintedSpan; bridge: PrintedSpan }> {
    let envoy: PrintedSpan | undefined;
    let bridge: PrintedSpan | undefined;
    await eventually('both spans are there', () => {
      const spans = collector.spans().filter((span) => span.traceId === traceId);
      bridge = spans.find(({ name }) => name === 'state.get statestore');
      envoy = spans.find((span) => span !== bridge);
      return Promise.resolve(envoy !== undefined && bridge !== undefined);
    });
    if (envoy === undefined || bridge === undefined) throw new Error('a span is missing');
    return { envoy, bridge };
  }

  test.each(['gRPC', 'HTTP'])('in the trace of a caller over %s', async (door) => {
    const traceId = randomBytes(16).toString('hex');
    const caller = randomBytes(8).toString('hex');
    const headers = { traceparent: `00-${traceId}-${caller}-01` };
    if (door === 'HTTP') await http1(runtime.target, 'GET', '/v1.0/state/statestore/k', { headers });
    else
      await (
        await runtime.connect()
      ).send({ path: `${LAYOTTO}/GetState`, body: [getStateBody('k')], headers });
    const { envoy, bridge } = await traced(traceId);
    expect(envoy.parentId).toBe(caller);
    // Envoy's own span is the parent of what was done for it.
    expect(bridge.parentId).toBe(envoy.spanId);
  });

  test('not in that of a caller who does not record', async () => {
    const traceId = randomBytes(16).toString('hex');
    const recorded = randomBytes(16).toString('hex');
    const get = (id: string, flags: string): Promise<unknown> =>
      http1(runtime.target, 'GET', '/v1.0/state/statestore/k', {
        headers: { traceparent: `00-${id}-${randomBytes(8).toString('hex')}-${flags}` },
      });
    await get(traceId, '00');
    await get(recorded, '01');
    await traced(recorded);
    expect(collector.log).not.toContain(traceId);
  });

  test('a collector that goes away fails no call', async () => {
    await collector.stop();
    for (let i = 0; i < 20; i++) {
      const { status } = await http1(runtime.target, 'GET', '/v1.0/state/statestore/k', {
        headers: {
          traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`,
        },
      });
      expect(status).toBe(204);
    }
  });
});
