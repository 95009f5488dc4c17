import { randomBytes } from 'node:crypto';

import { http1 } from '../support/http1.js';
import { InvokedApp } from '../support/invoked-app.js';
import { OtlpCollector } from '../support/otlp-collector.js';
import { Runtime } from '../support/runtime.js';
import type { RuntimeOptions } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

/** Envoy sends its spans every five seconds; for tests that is long. */
const OFTEN = { 'tracing.opentelemetry.flush_interval_ms': 200 };
const CALLER = 'b7ad6b7169203331';

test("one trace shows an invocation from the app to the callee's app, through both Envoys", async () => {
  const collector = await OtlpCollector.start();
  const app = await InvokedApp.start('orders');
  const traced = (appId: string): RuntimeOptions => ({
    appId,
    bridge: 'none',
    waitForComponents: false,
    tracing: { otlp: collector.endpoint, sampling: 1 },
    bootstrap: (rendered) => ({
      ...rendered,
      layered_runtime: { layers: [{ name: 'test', static_layer: OFTEN }] },
    }),
  });
  const callee = await Runtime.start({ ...traced('orders'), appPort: app.port, inbound: true });
  const runtime = await Runtime.start({
    ...traced('shop'),
    callees: { orders: { to: [{ host: '127.0.0.1', port: callee.config.listen.inbound?.port ?? 0 }] } },
  });
  try {
    const traceId = randomBytes(16).toString('hex');
    const { status } = await http1(runtime.target, 'GET', '/v1.0/invoke/orders/method/x', {
      headers: { traceparent: `00-${traceId}-${CALLER}-01` },
    });
    expect(status).toBe(200);
    await eventually('both spans are there', () => {
      const spans = collector.spans.filter((span) => span.traceId === traceId);
      const own = spans.find(({ service }) => service === 'shop');
      const other = spans.find(({ service }) => service === 'orders');
      expect(own).toMatchObject({ parentId: CALLER, kind: 'SPAN_KIND_SERVER' });
      expect(other).toMatchObject({ kind: 'SPAN_KIND_SERVER' });
      // The callee's span stands below the caller's, and the app gets the callee's.
      expect(other?.parentId).toBe(own?.id);
      expect(app.last.headers['traceparent']).toBe(`00-${traceId}-${other?.id}-01`);
      return true;
    });
  } finally {
    await Promise.all([runtime.stop(), callee.stop(), collector.stop(), app.kill()]);
  }
}, 60_000);
