import { randomBytes } from 'node:crypto';

import { HttpApp } from '../support/http-app.js';
import { OtlpCollector } from '../support/otlp-collector.js';
import { Publisher } from '../support/publisher.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

/** Envoy sends its spans every five seconds; for tests that is long. */
const OFTEN = { 'tracing.opentelemetry.flush_interval_ms': 200 };

test('a delivery stands in the trace of its publisher, and the app goes on with it', async () => {
  const collector = await OtlpCollector.start();
  const app = await HttpApp.open();
  app.subscriptions = [
    { pubsubname: 'pubsub', topic: 'orders', route: '/orders' },
    {
      ...{ pubsubname: 'pubsub', topic: 'many', route: '/many' },
      bulkSubscribe: { enabled: true, maxMessagesCount: 2, maxAwaitDurationMs: 5_000 },
    },
  ];
  await app.start();
  const runtime = await Runtime.start({
    appPort: app.port,
    appId: 'shop',
    components: [{ name: 'pubsub', type: 'pubsub.embedded' }],
    tracing: { otlp: collector.endpoint, sampling: 1 },
    bootstrap: (rendered) => ({
      ...rendered,
      layered_runtime: { layers: [{ name: 'test', static_layer: OFTEN }] },
    }),
  });
  try {
    const publisher = await Publisher.of(runtime);
    const traceId = randomBytes(16).toString('hex');
    await publisher.publish('orders', 1, { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
    await eventually('it is told', () => app.told('/orders').length === 1);
    // Envoy and bridge for the publisher, bridge and Envoy for the app.
    const spans = await collector.trace(traceId, 4);
    const process = spans.find(({ name }) => name === 'process orders');
    expect(process).toMatchObject({
      kind: 'SPAN_KIND_CONSUMER',
      service: 'shop',
      attributes: {
        'messaging.destination.name': 'orders',
        'layotto.component': 'pubsub',
        'layotto.delivery.attempt': '1',
        'layotto.delivery.status': 'success',
      },
    });
    expect(spans.map(({ id }) => id)).toContain(process?.parentId);
    const delivered = spans.find(({ parentId }) => parentId === process?.id);
    expect(delivered).toMatchObject({ name: 'deliver', service: 'shop' });
    expect(app.told('/orders')[0]?.headers['traceparent']).toBe(`00-${traceId}-${delivered?.id}-01`);

    // Two events in one call: each has a span in its own trace, and the call stands in the first's.
    app.answer = ({ json }) => {
      const statuses = ['SUCCESS', 'DROP'];
      const entries = json['entries'] as { entryId: string }[];
      return { body: { statuses: entries.map(({ entryId }, n) => ({ entryId, status: statuses[n] })) } };
    };
    const traceIds = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
    for (const id of traceIds)
      await publisher.publish('many', 1, { traceparent: `00-${id}-b7ad6b7169203331-01` });
    await eventually('both are told', () => app.told('/many').length === 1);
    const [first = [], second = []] = [
      await collector.trace(traceIds[0] ?? '', 4),
      await collector.trace(traceIds[1] ?? '', 3),
    ];
    const [of, ofSecond] = [first, second].map((all) => all.find(({ name }) => name === 'process many'));
    expect(of?.attributes).toMatchObject({ 'layotto.delivery.status': 'success' });
    expect(ofSecond?.attributes).toMatchObject({ 'layotto.delivery.status': 'drop' });
    expect(first.find(({ name }) => name === 'deliver')?.parentId).toBe(of?.id);
    expect(second.map(({ name }) => name)).not.toContain('deliver');
  } finally {
    await runtime.stop();
    await app.stop();
    await collector.stop();
  }
}, 60_000);
