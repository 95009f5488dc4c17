import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { IntervalHistogram } from 'node:perf_hooks';

import type { Backends } from '../primitives/backends.js';
import { Code } from '../primitives/errors.js';
import type { DeliverySeries } from '../primitives/pubsub/tally.js';
import { Exposition } from '../telemetry/exposition.js';
import type { Labels } from '../telemetry/exposition.js';
import type { Histogram } from '../telemetry/histogram.js';
import type { SpanExporter } from '../telemetry/otlp.js';
import type { Lag } from './app-events.js';
import type { ComponentRecord } from './component-history.js';
import type { RunSeries } from './schedules.js';
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
  /** What rules of the policy denied here. */
  denials: ReadonlyMap<string, number>;
  /** What rate limits refused of those doors' calls. */
  rateRefusals: ReadonlyMap<string, number>;
  /** Events that were delivered to the app, and those that wait. */
  deliveries: Iterable<DeliverySeries>;
  /** How long publishing took, by component. */
  publishing: ReadonlyMap<string, Histogram>;
  lags: readonly Lag[];
  /** Functions that were due. */
  runs: Iterable<RunSeries>;
}

/** What is told of one bridge, and the labels by which it differs from others of the process. */
export interface MetricsSource {
  labels: Labels;
  state: BridgeState;
  backends: Backends;
  /** Where traces go, if they do. */
  spans?: SpanExporter | undefined;
}

type Sources = readonly MetricsSource[];

/** Gauges with a number each. */
const GAUGES: readonly [name: string, help: string, value: (state: BridgeState) => number][] = [
  ['sessions', 'Session streams that filters have open.', ({ sessions }) => sessions],
  ['operations', 'Operations at work.', ({ operations }) => operations],
  ['request_bytes', 'Bytes of the requests at work.', ({ requestBytes }) => requestBytes],
  ['answer_bytes', 'Bytes of answers that filters have not taken yet.', ({ answerBytes }) => answerBytes],
  ['streams', 'Streams that are open.', ({ streams }) => streams],
];

/** Writes metrics of bridges. Labels are names and types from the configuration, and a few fixed words. */
export class BridgeMetrics {
  /** Made with the first scrape: a bridge that nobody watches is not woken for it. */
  #loop: IntervalHistogram | undefined;

  /** @param sources the bridges of this process */
  text(sources: Sources): string {
    const to = new Exposition();
    to.family('layotto_bridge_info', 'gauge', 'Version of the bridge and of its configuration; always 1.');
    for (const { labels, state } of sources) {
      const { version, configVersion: config_version } = state;
      to.sample('layotto_bridge_info', 1, { ...labels, version, config_version });
    }
    for (const [name, help, value] of GAUGES) {
      to.family(`layotto_bridge_${name}`, 'gauge', help);
      for (const { labels, state } of sources) to.sample(`layotto_bridge_${name}`, value(state), labels);
    }
    writeStreams(to, sources);
    writeDoors(to, sources);
    writeDenials(to, sources);
    writeComponents(to, sources);
    writeBackends(to, sources);
    writeEvents(to, sources);
    writeSchedules(to, sources);
    writeSpans(to, sources);
    this.#writeLoop(to);
    writeProcess(to);
    return to.text;
  }

  stop(): void {
    this.#loop?.disable();
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

function writeStreams(to: Exposition, sources: Sources): void {
  const name = 'layotto_bridge_streams_total';
  to.family(name, 'counter', 'Streams that have ended, by what their callers were told.');
  for (const { labels, state } of sources) writeEnded(to, name, labels, state.endedStreams);
}

function writeDoors(to: Exposition, sources: Sources): void {
  const serving = sources.flatMap(({ labels, state: { doors } }) =>
    doors === undefined ? [] : [{ labels, doors }],
  );
  if (serving.length === 0) return;
  const calls = 'layotto_bridge_door_calls';
  to.family(calls, 'gauge', 'Calls at work of the doors that the bridge serves itself.');
  for (const { labels, doors } of serving) to.sample(calls, doors.open, labels);
  to.family(
    `${calls}_total`,
    'counter',
    'Calls of those doors that have ended, by what their callers were told.',
  );
  for (const { labels, doors } of serving) writeEnded(to, `${calls}_total`, labels, doors.ended);
}

function writeEnded(to: Exposition, name: string, labels: Labels, ended: Iterable<EndedStreams>): void {
  for (const { method, code, count } of ended)
    to.sample(name, count, { ...labels, method, code: code === 0 ? 'OK' : Code[code] });
}

function writeDenials(to: Exposition, sources: Sources): void {
  const name = 'layotto_bridge_policy_denials_total';
  to.family(
    name,
    'counter',
    'Streams and secrets that the policy denied, by rule; calls are denied in Envoy.',
  );
  for (const { labels, state } of sources)
    for (const [rule, count] of state.denials) to.sample(name, count, { ...labels, rule });
  const refusals = 'layotto_bridge_rate_limit_refusals_total';
  to.family(
    refusals,
    'counter',
    "Calls of the bridge's own doors that a rate limit refused; others are refused in Envoy.",
  );
  for (const { labels, state } of sources)
    for (const [limit, count] of state.rateRefusals) to.sample(refusals, count, { ...labels, limit });
}

function writeComponents(to: Exposition, sources: Sources): void {
  const each = (name: string, value: (record: ComponentRecord) => number): void => {
    for (const { labels, state } of sources) {
      for (const record of state.components)
        to.sample(name, value(record), { ...labels, component: record.name, type: record.type });
    }
  };
  const ready = 'layotto_bridge_component_ready';
  to.family(ready, 'gauge', '1 if calls can use the component, else 0.');
  each(ready, ({ status }) => (status === 'ready' ? 1 : 0));
  const reconnects = 'layotto_bridge_component_reconnects_total';
  to.family(reconnects, 'counter', 'How often the component was ready again after it was lost.');
  each(reconnects, (record) => record.reconnects);
}

function writeBackends(to: Exposition, sources: Sources): void {
  const duration = 'layotto_bridge_backend_duration_seconds';
  to.family(duration, 'histogram', 'How long a component took to answer, failures included.');
  for (const { labels, backends } of sources) {
    for (const { component, type, operation, durations } of backends.series) {
      if (durations.count > 0) durations.write(to, duration, { ...labels, component, type, operation });
    }
  }
  const errors = 'layotto_bridge_backend_errors_total';
  to.family(errors, 'counter', 'Questions to a component that failed, or that it was not ready for.');
  for (const { labels, backends } of sources) {
    for (const { component, type, operation, failures } of backends.series) {
      for (const [code, count] of failures)
        to.sample(errors, count, { ...labels, component, type, operation, code: Code[code] });
    }
  }
}

function writeEvents(to: Exposition, sources: Sources): void {
  const publishing = 'layotto_bridge_pubsub_publish_seconds';
  to.family(
    publishing,
    'histogram',
    'How long publishing took, from the arrival of the call until the broker had answered.',
  );
  for (const { labels, state } of sources) {
    for (const [component, durations] of state.publishing)
      durations.write(to, publishing, { ...labels, component });
  }
  const deliveries = 'layotto_bridge_pubsub_deliveries_total';
  to.family(
    deliveries,
    'counter',
    'Events that were delivered, by what became of them and at which attempt.',
  );
  for (const { labels, state } of sources) {
    for (const { component, topic, status, attempt, count } of state.deliveries)
      to.sample(deliveries, count, { ...labels, component, topic, status, attempt });
  }
  const lag = 'layotto_bridge_pubsub_lag';
  to.family(lag, 'gauge', 'Events that wait for a subscription, where its broker can say.');
  for (const { labels, state } of sources) {
    for (const { component, topic, lag: waiting } of state.lags)
      to.sample(lag, waiting, { ...labels, component, topic });
  }
}

function writeSchedules(to: Exposition, sources: Sources): void {
  const runs = 'layotto_bridge_schedule_runs_total';
  to.family(runs, 'counter', 'Runs of functions that were due, by what became of them.');
  for (const { labels, state } of sources) {
    for (const { schedule, function: called, outcome, count } of state.runs)
      to.sample(runs, count, { ...labels, schedule, function: called, outcome });
  }
}

function writeSpans(to: Exposition, sources: Sources): void {
  const traced = sources.filter(({ spans }) => spans !== undefined);
  if (traced.length === 0) return;
  const name = 'layotto_bridge_spans_total';
  to.family(name, 'counter', 'Spans that the collector has taken, and those that it never got.');
  for (const { labels, spans } of traced) {
    to.sample(name, spans?.exported ?? 0, { ...labels, outcome: 'exported' });
    to.sample(name, spans?.dropped ?? 0, { ...labels, outcome: 'dropped' });
  }
}

function writeProcess(to: Exposition): void {
  const { user, system } = process.cpuUsage();
  to.single('process_cpu_seconds_total', 'counter', 'CPU time of the bridge.', (user + system) / 1e6);
  const { rss } = process.memoryUsage();
  to.single('process_resident_memory_bytes', 'gauge', 'Resident memory of the bridge.', rss);
  const started = performance.timeOrigin / 1_000;
  to.single('process_start_time_seconds', 'gauge', 'When the bridge started, since 1970.', started);
}
