import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';

import { eventually } from '../../../test/support/wait.js';
import { SpanExporter } from './otlp.js';
import type { Span } from './otlp.js';

interface Received {
  resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[];
}

describe('SpanExporter', () => {
  let collector: Server;
  let status: number | undefined;
  let received: { url: string; type: string; body: Received }[];
  let logged: { msg: string }[];
  let exporter: SpanExporter;

  beforeEach(async () => {
    status = 200;
    received = [];
    logged = [];
    collector = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Received;
        received.push({ url: request.url ?? '', type: request.headers['content-type'] ?? '', body });
        // Without a status it stays silent.
        if (status !== undefined) response.writeHead(status).end();
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    exporter = new SpanExporter({
      endpoint: `http://127.0.0.1:${port}/base/`,
      service: 'shop',
      version: '1.2.3',
      log: pino({}, { write: (line) => void logged.push(JSON.parse(line) as never) }),
    });
  });

  afterEach(async () => {
    await exporter.close(100);
    collector.closeAllConnections();
    await new Promise((resolve) => collector.close(resolve));
  });

  const spans = (): Record<string, unknown>[] =>
    received.flatMap(({ body }) =>
      body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
    );

  function span(more: Partial<Span> = {}): Span {
    const now = performance.now();
    const trace = {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      parentId: 'b7ad6b7169203331',
      sampled: true,
    };
    return { trace, name: 'state.get s', from: now - 2, to: now, attributes: {}, ...more };
  }

  it('sends spans as OTLP, together', async () => {
    const before = Date.now() - 3;
    exporter.add(span({ attributes: { 'server.address': 'r', 'server.port': 6379 } }));
    exporter.add(span({ error: 'UNAVAILABLE', trace: { ...span().trace, parentId: undefined } }));
    await eventually('both were taken', () => exporter.exported === 2);
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({ url: '/base/v1/traces', type: 'application/json' });
    expect(received[0]?.body).toMatchObject({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
          scopeSpans: [{ scope: { name: 'layotto-bridge', version: '1.2.3' } }],
        },
      ],
    });
    const [first, second] = spans();
    expect(first).toMatchObject({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      parentSpanId: 'b7ad6b7169203331',
      name: 'state.get s',
      kind: 3,
      attributes: [
        { key: 'server.address', value: { stringValue: 'r' } },
        { key: 'server.port', value: { intValue: '6379' } },
      ],
      status: {},
    });
    const [start, end] = [
      BigInt(first?.['startTimeUnixNano'] as string),
      BigInt(first?.['endTimeUnixNano'] as string),
    ];
    expect(end - start).toBe(2_000_000n);
    expect(Number(start / 1_000_000n)).toBeGreaterThanOrEqual(before - 50);
    expect(Number(end / 1_000_000n)).toBeLessThanOrEqual(Date.now() + 50);
    expect(second).toMatchObject({ status: { code: 2, message: 'UNAVAILABLE' } });
    expect(second).not.toHaveProperty('parentSpanId');
    const ids = spans().map((sent) => sent['spanId']);
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  });

  it('tries again while the collector cannot take them, and says so once', async () => {
    status = 503;
    exporter.add(span());
    await eventually('it has tried', () => received.length === 1);
    await eventually('it has said so', () => logged.length === 1);
    status = 200;
    await eventually('they were taken', () => exporter.exported === 1);
    expect(exporter.dropped).toBe(0);
    expect(logged.map(({ msg }) => msg)).toEqual(['spans are not taken', 'spans are taken again']);
  });

  it('drops what the collector refuses', async () => {
    status = 400;
    exporter.add(span());
    await eventually('it was dropped', () => exporter.dropped === 1);
    expect(exporter.exported).toBe(0);
  });

  it('keeps a bounded number, and counts what it dropped', async () => {
    status = undefined;
    for (let i = 0; i < 6_000; i++) exporter.add(span());
    expect(exporter.dropped).toBe(6_000 - 4_096);
    await exporter.close(50);
    await eventually('all are given up', () => exporter.dropped === 6_000);
    expect(exporter.exported).toBe(0);
  });

  it('sends what waits when it is closed', async () => {
    for (let i = 0; i < 1_500; i++) exporter.add(span());
    await exporter.close(10_000);
    expect(exporter.exported).toBe(1_500);
    expect(spans()).toHaveLength(1_500);
    exporter.add(span());
    expect(exporter.dropped).toBe(1);
  });

  it('does not wait for a collector that is not there', async () => {
    collector.closeAllConnections();
    await new Promise((resolve) => collector.close(resolve));
    exporter.add(span());
    const begun = performance.now();
    await exporter.close(10_000);
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(exporter.dropped).toBe(1);
  });
});
