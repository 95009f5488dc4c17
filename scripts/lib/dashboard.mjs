// The Grafana dashboard of the runtime, as a list of panels. `scripts/render-dashboard.mjs` writes it.
import {
  LegendDisplayMode,
  LegendPlacement,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

const SOURCE = { type: 'prometheus', uid: '${datasource}' };
const HEIGHT = 8;
/** Which series the dashboard's choices leave; each metric of the filter is narrowed by these. */
const JOB = 'instance=~"$instance"';
const CALL = `${JOB}, primitive=~"$primitive", component=~"$component"`;
/** The same for what is published, delivered and invoked. */
const BROKER = `${JOB}, component=~"$component"`;
const PUBLISH = `${BROKER}, primitive="pubsub", operation=~"PublishEvent|BulkPublishEvent|PublishDelayMessage"`;
const INVOKE = `${BROKER}, primitive="invoke"`;
/** Envoy's own metrics of calls to other apps. Those of its other clusters have no such label. */
const CALLEE = `${JOB}, callee!="", callee=~"$component"`;

const rate = (metric, labels) => `rate(${metric}{${labels}}[$__rate_interval])`;
const quantile = (q, by, metric, labels) =>
  `histogram_quantile(${q}, sum by (${[...by, 'le'].join(', ')}) (${rate(`${metric}_bucket`, labels)}))`;
/** What failed because of the runtime or what is behind it, not because of what the caller asked for. */
const FAULTS = 'code=~"5..|429|UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|UNKNOWN|DATA_LOSS"';

/**
 * Rows of panels: `[title, unit, what it tells, {legend: expression}]`. Units are Grafana's names.
 */
export const ROWS = [
  [
    'Calls',
    [
      [
        'Calls by operation',
        'reqps',
        'Calls that the filter answered, through every door.',
        {
          '{{primitive}} {{operation}}': `sum by (primitive, operation) (${rate('layotto_operations_total', CALL)})`,
        },
      ],
      [
        'Calls that failed',
        'reqps',
        'Failures of the runtime or of what stands behind it. What callers asked wrongly is not counted here.',
        {
          '{{primitive}} {{component}} {{code}}': `sum by (primitive, component, code) (${rate('layotto_operations_total', `${CALL}, ${FAULTS}`)})`,
        },
      ],
      [
        'Share of calls that failed',
        'percentunit',
        'The same by all calls. An availability objective is one minus this.',
        {
          '{{component}}': `sum by (component) (${rate('layotto_operations_total', `${CALL}, ${FAULTS}`)}) / sum by (component) (${rate('layotto_operations_total', CALL)})`,
        },
      ],
      [
        'Time to answer',
        'µs',
        'From the head of the request to its answer, in Envoy.',
        {
          'p50 {{operation}}': quantile(0.5, ['operation'], 'layotto_operation_duration_us', CALL),
          'p99 {{operation}}': quantile(0.99, ['operation'], 'layotto_operation_duration_us', CALL),
        },
      ],
      [
        'Calls by door',
        'reqps',
        'Which API the apps use.',
        { '{{door}}': `sum by (door) (${rate('layotto_operations_total', CALL)})` },
      ],
      [
        'Plain calls',
        'reqps',
        'Calls of the app to others by way of this Envoy, by callee and code.',
        {
          '{{component}} {{code}}': `sum by (component, code) (${rate('layotto_operations_total', `${CALL}, door="outbound"`)})`,
        },
      ],
      [
        'Answered in Envoy',
        'reqps',
        'Reads that needed no bridge, reads that did, and configuration given because the bridge could not answer.',
        {
          'near cache {{result}}': `sum by (result) (${rate('layotto_near_cache_reads_total', JOB)})`,
          'configuration {{result}}': `sum by (result) (${rate('layotto_live_reads_total', JOB)})`,
          'ids from {{source}}': `sum by (source) (${rate('layotto_sequencer_weak_ids_total', JOB)})`,
        },
      ],
    ],
  ],
  [
    'Events and invocations',
    [
      [
        'Published',
        'reqps',
        'Calls that publish, by broker and what became of them; one may have many events.',
        {
          '{{component}} {{code}}': `sum by (component, code) (${rate('layotto_operations_total', PUBLISH)})`,
        },
      ],
      [
        'Time of publishing',
        's',
        'From the arrival of a call until the broker had its event, or had refused it.',
        {
          '{{component}} p50': quantile(0.5, ['component'], 'layotto_bridge_pubsub_publish_seconds', BROKER),
          '{{component}} p99': quantile(0.99, ['component'], 'layotto_bridge_pubsub_publish_seconds', BROKER),
        },
      ],
      [
        'Deliveries',
        'reqps',
        'Events that the app was told of, by topic and what became of them.',
        {
          '{{component}} {{topic}} {{status}}': `sum by (component, topic, status) (${rate('layotto_bridge_pubsub_deliveries_total', BROKER)})`,
        },
      ],
      [
        'Deliveries again',
        'reqps',
        'Those that were not the first attempt, by topic and attempt.',
        {
          '{{component}} {{topic}} {{attempt}}': `sum by (component, topic, attempt) (${rate('layotto_bridge_pubsub_deliveries_total', `${BROKER}, attempt!="1"`)})`,
        },
      ],
      [
        'Events that wait',
        'short',
        'By subscription, where the broker can say. What grows for long is not taken fast enough.',
        {
          '{{component}} {{topic}}': `sum by (component, topic) (layotto_bridge_pubsub_lag{${BROKER}})`,
        },
      ],
      [
        'Invocations in the filter',
        'reqps',
        'Calls of other apps that the filter saw, by callee and what their callers got.',
        {
          '{{component}} {{code}}': `sum by (component, code) (${rate('layotto_operations_total', INVOKE)})`,
        },
      ],
      [
        'Calls to other apps',
        'reqps',
        'All calls that went to a callee of the configuration, by its name and the HTTP status of its answer.',
        {
          '{{callee}} {{envoy_response_code}}': `sum by (callee, envoy_response_code) (${rate('envoy_cluster_upstream_rq', CALLEE)})`,
        },
      ],
      [
        'Time of calls to other apps',
        'ms',
        'From the end of the request to the end of the answer, repeats included.',
        {
          'p50 {{callee}}': quantile(0.5, ['callee'], 'envoy_cluster_upstream_rq_time', CALLEE),
          'p99 {{callee}}': quantile(0.99, ['callee'], 'envoy_cluster_upstream_rq_time', CALLEE),
        },
      ],
    ],
  ],
  [
    'Limits',
    [
      [
        'Refused by a limit',
        'reqps',
        'Calls refused because a limit of the configuration was met.',
        { '{{limit}}': `sum by (limit) (${rate('layotto_limit_refusals_total', JOB)})` },
      ],
      [
        'Refused by the policy',
        'reqps',
        'Calls that a rule denies, and calls that a rate limit refuses, by its name.',
        {
          'rule {{rule}}': `sum by (rule) (${rate('layotto_policy_denials_total', JOB)})`,
          'limit {{limit}}': `sum by (limit) (${rate('layotto_rate_limit_refusals_total', JOB)})`,
        },
      ],
      [
        'Denied by the bridge',
        'reqps',
        'Streams, and secrets whose names Envoy does not read, that a rule denies.',
        {
          'rule {{rule}}': `sum by (rule) (${rate('layotto_bridge_policy_denials_total', JOB)})`,
        },
      ],
      [
        'Operations in flight',
        'short',
        'Operations that the bridge has not answered yet. They may be limits.operations for each Envoy thread.',
        { '{{instance}}': `sum by (instance) (layotto_operations_in_flight{${JOB}})` },
      ],
      [
        'Streams open',
        'short',
        'Streams that pass Envoy.',
        { '{{instance}}': `sum by (instance) (layotto_streams_open{${JOB}})` },
      ],
      [
        'Bytes held in Envoy',
        'bytes',
        'Requests and answers that count against limits.bytes, and answers that are kept.',
        {
          held: `sum(layotto_bytes_held{${JOB}})`,
          'near cache': `sum(layotto_near_cache_bytes{${JOB}})`,
          configuration: `sum(layotto_live_bytes{${JOB}})`,
        },
      ],
    ],
  ],
  [
    'Backends',
    [
      [
        'Components that are ready',
        'short',
        '1 is ready. A component that is not answers UNAVAILABLE at once.',
        { '{{component}}': `min by (component) (layotto_bridge_component_ready{${JOB}})` },
      ],
      [
        'Reconnects',
        'short',
        'Connections to backends that were lost and made again, in the last minutes.',
        {
          '{{component}}': `sum by (component) (increase(layotto_bridge_component_reconnects_total{${JOB}}[$__rate_interval]))`,
        },
      ],
      [
        'Time of backends, p99',
        's',
        'What the bridge waited for.',
        {
          '{{component}} {{operation}}': quantile(
            0.99,
            ['component', 'operation'],
            'layotto_bridge_backend_duration_seconds',
            JOB,
          ),
        },
      ],
      [
        'Failures of backends',
        'reqps',
        'By what the component answered.',
        {
          '{{component}} {{code}}': `sum by (component, code) (${rate('layotto_bridge_backend_errors_total', JOB)})`,
        },
      ],
    ],
  ],
  [
    'Envoy and bridge',
    [
      [
        'Links to the bridge',
        'short',
        'One of each kind for every Envoy thread, and one for the main thread.',
        { '{{link}}': `sum by (link) (layotto_session_links{${JOB}})` },
      ],
      [
        'Links lost',
        'short',
        'Sessions that ended. A few with each new bridge are normal.',
        {
          '{{instance}}': `sum by (instance) (increase(layotto_session_links_lost_total{${JOB}}[$__rate_interval]))`,
        },
      ],
      [
        'Traps of the module',
        'short',
        'Virtual machines that Envoy made anew because the module had trapped. Each is a bug.',
        {
          '{{instance}}': `sum by (instance) (increase(envoy_wasm_layotto_runtime_vm_reload_success{${JOB}}[$__rate_interval]))`,
        },
      ],
      [
        'Event loop of the bridge',
        's',
        'How late its turns came. Above some 20 ms the bridge is the bottleneck.',
        { '{{quantile}}': `max by (quantile) (layotto_bridge_event_loop_delay_seconds{${JOB}})` },
      ],
      [
        'Memory of the bridge',
        'bytes',
        'Resident set.',
        { '{{instance}}': `process_resident_memory_bytes{${JOB}}` },
      ],
      [
        'CPU of the bridge',
        'percentunit',
        'Of one core.',
        { '{{instance}}': rate('process_cpu_seconds_total', JOB) },
      ],
      [
        'Bridges by version',
        'short',
        'More than one while a new version is rolled out.',
        { '{{version}}': `count by (version) (layotto_bridge_info{${JOB}})` },
      ],
    ],
  ],
  [
    'Apps of a node',
    [
      [
        'Apps that are served',
        'short',
        'Of a bridge for all apps of a node: 1 is served by what its files say.',
        { '{{app}}': `min by (app) (layotto_bridge_app_up{${JOB}})` },
      ],
      [
        'Refused to an app',
        'reqps',
        'Because of its part of the bridge, or because it is not who it says it is.',
        {
          '{{app}} {{limit}}': `sum by (app, limit) (${rate('layotto_bridge_app_refusals_total', JOB)})`,
        },
      ],
      [
        'Held by an app',
        'bytes',
        'Bytes that count against what it may have in hand.',
        { '{{app}}': `sum by (app) (layotto_bridge_app_bytes{${JOB}})` },
      ],
    ],
  ],
];

/** Panels of how things are, not of how they went. */
const STATES = ['Components that are ready', 'Bridges by version', 'Apps that are served'];

/** Every PromQL expression of the dashboard. */
export function expressions() {
  return ROWS.flatMap(([, panels]) => panels.flatMap(([, , , queries]) => Object.values(queries)));
}

/** The dashboard in Grafana's JSON model. */
export function dashboard() {
  const builder = new DashboardBuilder('Layotto on Envoy')
    .uid('layotto')
    .description('Calls, limits, backends and processes of the application runtime in Envoy.')
    .tags(['layotto', 'envoy'])
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .readonly()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('instance', 'layotto_session_links', 'Instance'))
    .withVariable(choice('primitive', 'layotto_operations_total', 'Primitive'))
    .withVariable(choice('component', 'layotto_operations_total', 'Component'));
  for (const [title, panels] of ROWS) {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(drawn(panel));
  }
  return builder.build();
}

function choice(name, metric, label) {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(SOURCE)
    .query(`label_values(${metric}, ${name})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.*');
}

function drawn([title, unit, description, queries]) {
  const isState = STATES.includes(title);
  const panel = new (isState ? StatBuilder : TimeseriesBuilder)()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .unit(unit)
    .min(0)
    .span(8)
    .height(HEIGHT);
  if (!isState) {
    panel
      .legend(
        new VizLegendOptionsBuilder()
          .showLegend(true)
          .displayMode(LegendDisplayMode.List)
          .placement(LegendPlacement.Bottom),
      )
      .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  }
  for (const [legend, expression] of Object.entries(queries))
    panel.withTarget(new DataqueryBuilder().expr(expression).legendFormat(legend).datasource(SOURCE));
  return panel;
}
