import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { IntervalHistogram } from 'node:perf_hooks';

import type { Backends } from '../primitives/backends.js';
import { Code } from '../primitives/errors.js';
import { Exposition } from '../telemetry/exposition.js';
import type { SpanExporter } from '../telemetry/otlp.js';
import type { ComponentRecord } from './component-history.js';
import type { EndedStreams } from './streams.js';

/** How often the event loop is looked at: each time wakes the process. */
const LOOP_STEP_MS = 20;

/** What the bridge knows of itself at one moment. */
export interface BridgeState {
  version: string;
  configVersion: string;
  sessions: number;
  operations: number;
  /** Bytes of requests at work, and of answers that filters have not taken. */
  requestBytes: number;
  answerBytes: number;
  components: readonly ComponentRecord[];
  /** Streams that are open, and those that have ended. */
  streams: number;
  endedStreams: Iterable<EndedStreams>;
  /** Calls of the doors that the bridge serves itself, if it does. */
  doors?: { open: number; ended: Iterable<EndedStreams> };
}

/** Writes the bridge's metrics. Labels are names and types from the configuration, and a few fixed words. */
export class BridgeMetrics {
  /** Made with the first scrape: a bridge that nobody watches is not woken for it. */
  #loop: IntervalHistogram | undefined;

  /** @param spans where traces go, if they do */
  constructor(
    private readonly backends: Backends,
    private readonly spans?: SpanExporter,
  ) {}

  text(state: BridgeState): string {
    const to = new Exposition();
    to.family('layotto_bridge_info', 'gauge', 'Version of the bridge and of its configuration; always 1.');
    const { version, configVersion: config_version } = state;
    to.sample('layotto_bridge_info', 1, { version, config_version });
    const gauge = (name: string, help: string, value: number): void =>
      to.single(`layotto_bridge_${name}`, 'gauge', help, value);
    gauge('sessions', 'Session streams that filters have open.', state.sessions);
    gauge('operations', 'Operations at work.', state.operations);
    gauge('request_bytes', 'Bytes of the requests at work.', state.requestBytes);
    gauge('answer_bytes', 'Bytes of answers that filters have not taken yet.', state.answerBytes);
    gauge('streams', 'Streams that are open.', state.streams);
    writeEnded(
      to,
      'streams',
      'Streams that have ended, by what their callers were told.',
      state.endedStreams,
    );
    if (state.doors !== undefined) {
      gauge('door_calls', 'Calls at work of the doors that the bridge serves itself.', state.doors.open);
      const help = 'Calls of those doors that have ended, by what their callers were told.';
      writeEnded(to, 'door_calls', help, state.doors.ended);
    }
    writeComponents(to, state.components);
    this.#writeBackends(to);
    if (this.spans !== undefined) writeSpans(to, this.spans);
    this.#writeLoop(to);
    writeProcess(to);
    return to.text;
  }

  stop(): void {
    this.#loop?.disable();
  }

  #writeBackends(to: Exposition): void {
    const all = [...this.backends.series];
    const duration = 'layotto_bridge_backend_duration_seconds';
    to.family(duration, 'histogram', 'How long a component took to answer, failures included.');
    for (const { component, type, operation, durations } of all) {
      if (durations.count > 0) durations.write(to, duration, { component, type, operation });
    }
    const errors = 'layotto_bridge_backend_errors_total';
    to.family(errors, 'counter', 'Questions to a component that failed, or that it was not ready for.');
    for (const { component, type, operation, failures } of all) {
      for (const [code, count] of failures)
        to.sample(errors, count, { component, type, operation, code: Code[code] });
    }
  }

  #writeLoop(to: Exposition): void {
    const name = 'layotto_bridge_event_loop_delay_seconds';
    to.family(name, 'gauge', 'How late the event loop was since the last scrape.');
    if (this.#loop === undefined) {
      this.#loop = monitorEventLoopDelay({ resolution: LOOP_STEP_MS });
      this.#loop.enable();
    }
    const { count } = this.#loop;
    // What is measured is the time between two looks; the step between them is no delay.
    const late = (nanoseconds: number): number =>
      count === 0 ? 0 : Math.max(0, nanoseconds / 1e6 - LOOP_STEP_MS) / 1_000;
    to.sample(name, late(this.#loop.percentile(50)), { quantile: '0.5' });
    to.sample(name, late(this.#loop.percentile(99)), { quantile: '0.99' });
    to.sample(name, late(this.#loop.max), { quantile: '1' });
    this.#loop.reset();
  }
}

function writeEnded(to: Exposition, what: string, help: string, ended: Iterable<EndedStreams>): void {
  const name = `layotto_bridge_${what}_total`;
  to.family(name, 'counter', help);
  for (const { method, code, count } of ended)
    to.sample(name, count, { method, code: code === 0 ? 'OK' : Code[code] });
}

function writeComponents(to: Exposition, components: readonly ComponentRecord[]): void {
  const ready = 'layotto_bridge_component_ready';
  to.family(ready, 'gauge', '1 if calls can use the component, else 0.');
  for (const { name, type, status } of components) {
    to.sample(ready, status === 'ready' ? 1 : 0, { component: name, type });
  }
  const reconnects = 'layotto_bridge_component_reconnects_total';
  to.family(reconnects, 'counter', 'How often the component was ready again after it was lost.');
  for (const record of components) {
    to.sample(reconnects, record.reconnects, { component: record.name, type: record.type });
  }
}

function writeSpans(to: Exposition, spans: SpanExporter): void {
  const name = 'layotto_bridge_spans_total';
  to.family(name, 'counter', 'Spans that the collector has taken, and those that it never got.');
  to.sample(name, spans.exported, { outcome: 'exported' });
  to.sample(name, spans.dropped, { outcome: 'dropped' });
}

function writeProcess(to: Exposition): void {
  const { user, system } = process.cpuUsage();
  to.single('process_cpu_seconds_total', 'counter', 'CPU time of the bridge.', (user + system) / 1e6);
  const { rss } = process.memoryUsage();
  to.single('process_resident_memory_bytes', 'gauge', 'Resident memory of the bridge.', rss);
  const started = performance.timeOrigin / 1_000;
  to.single('process_start_time_seconds', 'gauge', 'When the bridge started, since 1970.', started);
}
