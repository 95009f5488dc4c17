import { otlpCollector } from '../../tools/get.mjs';
import { Child } from './child.js';
import { http1 } from './http1.js';
import { freePort } from './ports.js';
import { eventually } from './wait.js';

/** A span as a collector has understood it. */
export interface CollectedSpan {
  traceId: string;
  /** Empty if it has none. */
  parentId: string;
  id: string;
  name: string;
  kind: string;
  /** Nanoseconds since 1970. */
  start: bigint;
  end: bigint;
  /** Empty if none was set. */
  status: string;
  attributes: Record<string, string>;
  service: string;
  scope: string;
}

/** A real OpenTelemetry collector that keeps nothing but what it prints: rotel. */
export class OtlpCollector {
  private constructor(
    private readonly child: Child,
    /** Base address of OTLP over HTTP. */
    readonly endpoint: string,
  ) {}

  static async start(): Promise<OtlpCollector> {
    const { path } = await otlpCollector({ log: () => undefined });
    const [http, grpc] = [await freePort(), await freePort()];
    const child = new Child('collector', path, [
      ...['start', '--exporter', 'blackhole', '--debug-log', 'traces', '--debug-log-verbosity', 'detailed'],
      ...['--otlp-http-endpoint', `127.0.0.1:${http}`, '--otlp-grpc-endpoint', `127.0.0.1:${grpc}`],
    ]);
    const collector = new OtlpCollector(child, `http://127.0.0.1:${http}`);
    try {
      await eventually('the collector answers', async () => {
        if (child.exitCode !== undefined) throw new Error(child.tail());
        return (await http1({ port: http }, 'GET', '/')).status > 0;
      });
    } catch (error) {
      await collector.stop();
      throw error;
    }
    return collector;
  }

  /** Everything it has printed, the newest 64 KiB: some seventy spans. */
  get log(): string {
    return this.child.log;
  }

  /** The spans it has got, in no particular order. */
  get spans(): CollectedSpan[] {
    return this.log
      .split(/^ResourceSpans #/m)
      .slice(1)
      .flatMap(spansOf);
  }

  /** Waits until a trace has as many spans, and returns them, by their start. */
  async trace(traceId: string, count: number): Promise<CollectedSpan[]> {
    const found = await eventually(
      `${count} spans of the trace ${traceId}`,
      () => {
        const spans = this.spans.filter((span) => span.traceId === traceId);
        return spans.length >= count && spans;
      },
      { timeoutMs: 20_000 },
    );
    return found.sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  async stop(): Promise<void> {
    this.child.signal('SIGKILL');
    await this.child.exited;
  }
}

function spansOf(resource: string): CollectedSpan[] {
  const [head = '', ...blocks] = resource.split(/^Span #\d+$/m);
  const service = /-> service\.name: Str\((.*)\)/.exec(head)?.[1] ?? '';
  const scope = /^InstrumentationScope (.*)$/m.exec(head)?.[1]?.trim() ?? '';
  return blocks.map((block) => {
    const field = (name: string): string =>
      new RegExp(`^\\s*${name} *: ?(.*)$`, 'm').exec(block)?.[1]?.trim() ?? '';
    const attributes = [...block.matchAll(/^ +-> ([^:]+): \w+\((.*)\)$/gm)];
    return {
      traceId: field('Trace ID'),
      parentId: field('Parent ID'),
      id: field('ID'),
      name: field('Name'),
      kind: field('Kind'),
      start: BigInt(field('Start time') || 0),
      end: BigInt(field('End time') || 0),
      status: field('Status code'),
      attributes: Object.fromEntries(attributes.map(([, key = '', value = '']) => [key, value])),
      service,
      scope,
    };
  });
}
