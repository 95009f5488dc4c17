import { setTimeout as sleep } from 'node:timers/promises';

import { CALLEE_CLUSTER, FILTERS } from '../../envoy/names.js';
import { calleeStat } from '../../envoy/stats.js';
import { controlSocket } from './data-files.js';
import { findInstallation } from './installation.js';
import type { Values } from './options.js';
import { Running, RUNNING_OPTIONS } from './running.js';
import type { ProcessFacts } from './running.js';
import { askSocket } from './socket-http.js';
import { aligned } from './table.js';

/** What `layotto status` understands. */
export const STATUS_OPTIONS = [...RUNNING_OPTIONS, { name: 'json', help: 'print everything as JSON' }];

/** Between the two looks at the counters; the filter tells them twice a second. */
const RATE_MS = 1_000;
/** How the names of statistics of calls that the filter saw begin. */
const OPERATIONS = 'wasmcustom.layotto_operations_total';

interface Health {
  version: string;
  configVersion: string;
  sessions: number;
  operations: number;
  components: {
    name: string;
    type: string;
    status: string;
    reason?: string;
    since?: string;
    reconnects?: number;
  }[];
}

/** Calls of one kind, since Envoy started and now. */
interface Traffic {
  door: string;
  operation: string;
  component: string;
  calls: number;
  failed: number;
  perSecond: number;
}

/** Calls to another app, since Envoy started and now. */
type CalleeTraffic = Pick<Traffic, 'calls' | 'failed' | 'perSecond'> & { callee: string };

/** Everything that `layotto status` knows. Absent parts could not be asked. */
export interface Status {
  dataDir: string;
  app: string;
  processes: Partial<Record<'run' | 'envoy' | 'bridge', ProcessFacts>>;
  versions: { layotto: string; envoy?: string; module?: string; bridge?: string };
  /** Hash of the configuration that the filter and the bridge run with. */
  configuration: { filter?: string; bridge?: string };
  /** Threads of Envoy with both links to the bridge, of how many. */
  sessions: { ready: number; threads: number };
  inFlight: { operations: number; bytes: number };
  /** How often a module trapped and was started again, of all slots and threads, since Envoy started. */
  traps: number;
  components: Health['components'];
  /** Calls that the filter saw. */
  traffic: Traffic[];
  /** Calls that went to other apps. */
  callees: CalleeTraffic[];
}

/**
 * `layotto status`: how a running runtime does.
 *
 * @returns 0 if everything is as it should be, else 1
 * @throws UserError if nothing runs in the data folder
 */
export async function status(values: Values): Promise<number> {
  const found = await statusOf(Running.find(values));
  console.log(values['json'] === true ? JSON.stringify(found, null, 2) : table(found));
  return isWell(found) ? 0 : 1;
}

export async function statusOf(running: Running): Promise<Status> {
  const before = await counters(running);
  await sleep(RATE_MS);
  const [after, healthText, info, filters, links, slots] = await Promise.all([
    counters(running),
    running.bridge('/health'),
    running.envoy('/server_info'),
    running.envoy('/config_dump?resource=ecds_filters'),
    running.envoy(
      '/stats?format=json&filter=wasmcustom%5C.layotto_(session_links%3B|operations_in_flight|bytes_held)',
    ),
    askSocket(controlSocket(running.dataDir), '/modules'),
  ]);
  const health = healthText === undefined ? undefined : (JSON.parse(healthText) as Health);
  const plugin = pluginOf(filters);
  const gauges = statsOf(links);
  const threads = running.config.envoy.concurrency + 1;
  const gauge = (name: string): number => gauges.get(`wasmcustom.layotto_${name}`) ?? 0;
  const processes = running.processes();
  return {
    dataDir: running.dataDir,
    app: running.config.app.id,
    processes: {
      ...(processes.run && { run: processes.run }),
      ...(processes.envoy && { envoy: processes.envoy }),
      ...(processes.bridge && { bridge: processes.bridge }),
    },
    versions: {
      layotto: findInstallation().version,
      ...(info !== undefined && { envoy: /\/(\d+\.\d+\.\d+)/.exec(info)?.[1] ?? 'unknown' }),
      ...(plugin?.version !== undefined && { module: plugin.version }),
      ...(health !== undefined && { bridge: health.version }),
    },
    configuration: {
      ...(plugin?.configVersion !== undefined && { filter: plugin.configVersion }),
      ...(health !== undefined && { bridge: health.configVersion }),
    },
    sessions: {
      ready: Math.min(gauge('session_links;link=small'), gauge('session_links;link=large')),
      threads,
    },
    inFlight: { operations: gauge('operations_in_flight'), bytes: gauge('bytes_held') },
    traps: slots?.status === 200 ? sumOfTraps(slots.body) : 0,
    components: health?.components ?? [],
    traffic: trafficOf(before, after),
    callees: calleesOf(before, after),
  };
}

/** Whether nothing needs a look. */
function isWell({ sessions, configuration, components, processes }: Status): boolean {
  return (
    processes.envoy !== undefined &&
    processes.bridge !== undefined &&
    sessions.ready >= sessions.threads &&
    configuration.filter === configuration.bridge &&
    components.every((component) => component.status === 'ready')
  );
}

async function counters(running: Running): Promise<Map<string, number>> {
  const wanted = `${OPERATIONS}|${CALLEE_CLUSTER}.*upstream_rq_...$`;
  return statsOf(await running.envoy(`/stats?format=json&filter=${encodeURIComponent(wanted)}`));
}

function statsOf(text: string | undefined): Map<string, number> {
  if (text === undefined) return new Map();
  const { stats } = JSON.parse(text) as { stats: { name?: string; value?: unknown }[] };
  const found = new Map<string, number>();
  for (const { name, value } of stats)
    if (name !== undefined && typeof value === 'number') found.set(name, value);
  return found;
}

function trafficOf(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Traffic[] {
  const rows = new Map<string, Traffic>();
  for (const [name, calls] of after) {
    if (!name.startsWith(OPERATIONS)) continue;
    const labels = Object.fromEntries(name.split(';').map((part) => part.split('=') as [string, string]));
    const { door = '', operation = '', component = '', code = '' } = labels;
    const id = [door, operation, component].join(' ');
    const row = rows.get(id) ?? { door, operation, component, calls: 0, failed: 0, perSecond: 0 };
    count(row, calls, before.get(name), code);
    rows.set(id, row);
  }
  return [...rows.values()].sort((a, b) => b.calls - a.calls);
}

function calleesOf(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): CalleeTraffic[] {
  const rows = new Map<string, CalleeTraffic>();
  for (const [name, calls] of after) {
    const { callee = '', stat = '' } = calleeStat(name) ?? {};
    const [, code] = /^upstream_rq_(\d{3})$/.exec(stat) ?? [];
    if (code === undefined) continue;
    const row = rows.get(callee) ?? { callee, calls: 0, failed: 0, perSecond: 0 };
    count(row, calls, before.get(name), code);
    rows.set(callee, row);
  }
  return [...rows.values()].sort((a, b) => b.calls - a.calls);
}

/** @param code what the calls got, in words of gRPC or HTTP */
function count(
  row: Pick<Traffic, 'calls' | 'failed' | 'perSecond'>,
  calls: number,
  before: number | undefined,
  code: string,
): void {
  row.calls += calls;
  if (code !== 'OK' && !/^[23]\d\d$/.test(code)) row.failed += calls;
  row.perSecond += (calls - (before ?? 0)) / (RATE_MS / 1_000);
}

function sumOfTraps(slots: string): number {
  return (JSON.parse(slots) as { traps: number }[]).reduce((sum, { traps }) => sum + traps, 0);
}

/** The plugin configuration that Envoy has in use. */
function pluginOf(dump: string | undefined): { version?: string; configVersion?: string } | undefined {
  if (dump === undefined) return undefined;
  let found: { version?: string; configVersion?: string } | undefined;
  const { configs = [] } = JSON.parse(dump) as { configs?: { ecds_filter?: { name?: string } }[] };
  // The modules of other slots may be configured alike.
  const own = configs.filter(({ ecds_filter }) => ecds_filter?.name === FILTERS.runtime);
  JSON.parse(JSON.stringify(own), (key, value: unknown) => {
    if (
      key === 'value' &&
      typeof value === 'string' &&
      value.startsWith('{') &&
      value.includes('configVersion')
    )
      found = JSON.parse(value) as typeof found;
    return value;
  });
  return found;
}

function table(found: Status): string {
  const { processes, versions, configuration, sessions, inFlight } = found;
  const process = (facts: ProcessFacts | undefined): string =>
    facts === undefined ? 'not running' : `pid ${facts.pid}, ${Math.round(facts.rssBytes / 1_048_576)} MiB`;
  const same =
    configuration.filter === configuration.bridge
      ? 'the same in both'
      : 'different: one is still to take it over';
  const rows: [string, string][] = [
    ['app', found.app],
    ['data', found.dataDir],
    ['Envoy', `${versions.envoy ?? 'no answer'} (${process(processes.envoy)})`],
    ['module', versions.module ?? 'no answer'],
    ['bridge', `${versions.bridge ?? 'no answer'} (${process(processes.bridge)})`],
    [
      'configuration',
      `${configuration.filter ?? '?'} in Envoy, ${configuration.bridge ?? '?'} in the bridge: ${same}`,
    ],
    ['sessions', `${sessions.ready} of ${sessions.threads} threads are connected to the bridge`],
    ['in flight', `${inFlight.operations} operations, ${inFlight.bytes} bytes`],
    ...(found.traps === 0
      ? []
      : [['traps', `${found.traps} since Envoy started; see layotto module list`] as [string, string]]),
  ];
  const lines = [aligned(rows)];
  lines.push(
    '',
    'components',
    aligned(
      found.components.map(({ name, type, status, since, reason }) => [
        `  ${name}`,
        type,
        reason === undefined ? status : `${status}: ${reason}`,
        since === undefined ? '' : `since ${since}`,
      ]),
    ),
  );
  const numbers = ({ calls, failed, perSecond }: CalleeTraffic | Traffic): string[] => [
    String(calls),
    String(failed),
    perSecond.toFixed(1),
  ];
  lines.push(
    '',
    'calls',
    aligned([
      ['  door', 'operation', 'component', 'calls', 'failed', 'per second'],
      ...found.traffic.map((row) => [`  ${row.door}`, row.operation, row.component, ...numbers(row)]),
    ]),
  );
  if (found.callees.length > 0)
    lines.push(
      '',
      'calls to other apps',
      aligned([
        ['  app', 'calls', 'failed', 'per second'],
        ...found.callees.map((row) => [`  ${row.callee}`, ...numbers(row)]),
      ]),
    );
  return lines.join('\n');
}
