import { otlpCollector } from '../../tools/get.mjs';
import { Child } from './child.js';
import { freePort } from './ports.js';
import { http1 } from './http1.js';
import { eventually } from './wait.js';

/** A span as the collector printed it. */
export interface PrintedSpan {
  traceId: string;
  spanId: string;
  parentId: string;
  name: string;
}

/** A real OpenTelemetry collector that prints what it is sent. */
export class Collector {
  private constructor(
    private readonly child: Child,
    /** Base address for OTLP over HTTP. */
    readonly endpoint: string,
  ) {}

  static async start(): Promise<Collector> {
    const { path } = await otlpCollector({ log: () => undefined });
    const [http, grpc] = [await freePort(), await freePort()];
    const child = new Child('rotel', path, [
      'start',
      '--exporter',
      'blackhole',
      '--debug-log',
      'traces',
      '--debug-log-verbosity',
      'detailed',
      '--otlp-http-endpoint',
      `127.0.0.1:${http}`,
      '--otlp-grpc-endpoint',
      `127.0.0.1:${grpc}`,
    ]);
    const collector = new Collector(child, `http://127.0.0.1:${http}`);
    try {
      await eventually('the collector listens', async () => {
        if (child.exitCode !== undefined) throw new Error(child.tail());
        await http1({ port: http }, 'GET', '/');
        return true;
      });
    } catch (error) {
      await collector.stop();
      throw error;
    }
    return collector;
  }

  /** Everything it has printed. */
  get log(): string {
    return this.child.log;
  }

  /** The spans that it has printed so far. */
  spans(): PrintedSpan[] {
    const field = (block: string, name: string): string =>
      new RegExp(`^\\s*${name}\\s*:\\s*(\\S.*)?$`, 'im').exec(block)?.[1]?.trim() ?? '';
    return this.log
      .split(/^\s*Span #\d+/m)
      .slice(1)
      .map((block) => ({
        traceId: field(block, 'Trace ID'),
        spanId: field(block, 'ID'),
        parentId: field(block, 'Parent ID'),
        name: field(block, 'Name'),
      }));
  }

  async stop(): Promise<void> {
    this.child.signal('SIGKILL');
    await this.child.exited;
  }
}
