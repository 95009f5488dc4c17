import { randomFillSync } from 'node:crypto';
import { Agent, request } from 'node:http';
import type { Logger } from 'pino';

import type { TraceContext } from './traceparent.js';

/** A finished piece of work in a trace. */
export interface Span {
  trace: TraceContext;
  name: string;
  /** When it began and ended, in milliseconds of `performance.now()`. */
  from: number;
  to: number;
  attributes: Readonly<Record<string, string | number>>;
  /** What went wrong, in a word; undefined if nothing did. */
  error?: string;
  /** By which others know it, see `newSpanId`; by default one that nobody knows. */
  spanId?: string;
  /** Default: it calls something else. */
  kind?: SpanKind;
}

/** OTLP's numbers for what a span is. */
export enum SpanKind {
  CLIENT = 3,
  CONSUMER = 5,
}

export interface SpanExporterOptions {
  /** Base address of the collector, such as `http://127.0.0.1:4318`; spans go to `/v1/traces` below it. */
  endpoint: string;
  /** The `service.name` of every span. */
  service: string;
  version: string;
  log: Logger;
}

/** Spans that wait, at most; newer ones are dropped. */
const QUEUE = 4_096;
const BATCH = 512;
/** How long a span waits for others to go with. */
const GATHER_MS = 500;
/** Pause after a failed try, doubled each time. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
const TIMEOUT_MS = 5_000;

/** OTLP's number for a status that is an error. */
const ERROR = 2;

/**
 * Sends spans to an OpenTelemetry collector as OTLP over HTTP, in JSON.
 *
 * Calls never wait for it: spans go into a queue, one request at a time empties it, and what does not fit is dropped
 * and counted. A collector that cannot be reached is tried again with growing pauses.
 */
export class SpanExporter {
  /** Spans that the collector has taken, and those that never got there. */
  exported = 0;
  dropped = 0;
  readonly #queue: Span[] = [];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: URL;
  readonly #clock = new Clock();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #pause = 0;
  /** Takes no more spans; and, after that, keeps none to try again. */
  #closed = false;
  #over = false;

  constructor(private readonly options: SpanExporterOptions) {
    this.#url = new URL(`${options.endpoint.replace(/\/+$/, '')}/v1/traces`);
  }

  /** Takes a span, or drops it. Returns at once. */
  add(span: Span): void {
    if (this.#closed || this.#queue.length >= QUEUE) {
      this.dropped++;
      return;
    }
    this.#queue.push(span);
    this.#schedule(GATHER_MS);
  }

  /** Sends what waits, for `graceMs` at most; what is left is dropped. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, graceMs)));
    await Promise.race([limit, this.#empty()]);
    clearTimeout(timer);
    this.#over = true;
    this.dropped += this.#queue.splice(0).length;
    this.#agent.destroy();
  }

  /** Sends everything that waits, as long as the collector takes it. */
  async #empty(): Promise<void> {
    await this.#sending;
    while (this.#queue.length > 0) {
      const before = this.#queue.length;
      await this.#send();
      if (this.#queue.length === before) return;
    }
  }

  #schedule(ms: number): void {
    if (this.#timer !== undefined || this.#sending !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#send().finally(() => {
        this.#sending = undefined;
        if (this.#queue.length > 0)
          this.#schedule(this.#pause || (this.#queue.length < BATCH ? GATHER_MS : 0));
      });
    }, ms);
    this.#timer.unref();
  }

  /** Sends one batch; puts it back if the collector cannot be reached. Never throws. */
  async #send(): Promise<void> {
    const spans = this.#queue.splice(0, BATCH);
    if (spans.length === 0) return;
    this.#clock.look();
    const outcome = await this.#post(JSON.stringify(this.#message(spans)));
    if (outcome === 'taken') {
      if (this.#pause > 0) this.options.log.info('spans are taken again');
      this.#pause = 0;
      this.exported += spans.length;
      return;
    }
    if (this.#pause === 0) {
      this.options.log.warn({ collector: this.#url.host, reason: outcome.reason }, 'spans are not taken');
    }
    this.#pause = Math.min(this.#pause * 2 || FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    if (outcome.again && !this.#over) this.#queue.unshift(...spans);
    else this.dropped += spans.length;
  }

  #post(body: string): Promise<'taken' | { reason: string; again: boolean }> {
    return new Promise((resolve) => {
      const call = request(this.#url, {
        method: 'POST',
        agent: this.#agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        timeout: TIMEOUT_MS,
      });
      call.on('response', (response) => {
        const { statusCode = 0 } = response;
        response.resume();
        response.on('error', () => undefined);
        if (statusCode >= 200 && statusCode < 300) resolve('taken');
        // Those by which a collector says that it may take them later.
        else resolve({ reason: `status ${statusCode}`, again: [429, 502, 503, 504].includes(statusCode) });
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      call.on('error', (error) => resolve({ reason: error.message, again: true }));
      call.end(body);
    });
  }

  #message(spans: readonly Span[]): unknown {
    const { service, version } = this.options;
    const resource = { attributes: attributesOf({ 'service.name': service }) };
    const scope = { name: 'layotto-bridge', version };
    const written = spans.map((span) => this.#span(span));
    return { resourceSpans: [{ resource, scopeSpans: [{ scope, spans: written }] }] };
  }

  #span({
    trace,
    name,
    from,
    to,
    attributes,
    error,
    spanId = newSpanId(),
    kind = SpanKind.CLIENT,
  }: Span): unknown {
    return {
      traceId: trace.traceId,
      spanId,
      ...(trace.parentId === undefined ? {} : { parentSpanId: trace.parentId }),
      name,
      kind,
      startTimeUnixNano: this.#clock.unixNanos(from),
      endTimeUnixNano: this.#clock.unixNanos(to),
      attributes: attributesOf(attributes),
      status: error === undefined ? {} : { code: ERROR, message: error },
    };
  }
}

function attributesOf(attributes: Readonly<Record<string, string | number>>): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    // OTLP's JSON writes whole numbers as text.
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }));
}

/** 16 hexadecimal digits. */
export function newSpanId(): string {
  const bytes = randomFillSync(Buffer.allocUnsafe(8));
  // All zeros would be no id, and all ones stands for an unknown one.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

/** Turns times of `performance.now()` into times of day. */
class Clock {
  #origin = performance.timeOrigin;

  /** Follows the system's clock where it was set, or ran on differently: to the millisecond, it is not finer. */
  look(): void {
    const origin = Date.now() - performance.now();
    if (Math.abs(origin - this.#origin) > 5) this.#origin = origin;
  }

  /** Nanoseconds since 1970, exact to the microsecond. */
  unixNanos(ms: number): string {
    return `${Math.round((this.#origin + ms) * 1_000)}000`;
  }
}
