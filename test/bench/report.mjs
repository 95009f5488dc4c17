import { SERVERS, isReference } from './cases.mjs';
import { LEAST_ROUNDS, QUIET, spread } from './summary.mjs';
import { MEMORY_TARGETS, judge } from './targets.mjs';

const CALLS = { get: 'GetState', save: 'SaveState' };

/**
 * The Markdown of a run.
 *
 * @param {object} run
 * @param {object} run.about where and how it was made
 * @param {import('./summary.mjs').Row[]} run.rows
 * @param {object} run.memory MiB
 */
export function report({ about, rows, memory }) {
  return [
    conditions(about),
    '### Targets',
    targets(rows),
    memoryTable(memory),
    `Idle: ${inMiB(memory.idle)}. After the run: ${inMiB(memory.after)}.`,
    ...groups(rows).flatMap(([title, members]) => [`### ${title}`, table(members)]),
  ].join('\n\n');
}

function conditions({ date, machine, versions, generator, rounds, seconds, workers, nice, peer, others }) {
  const disturbance = spread(others);
  const quiet = others.filter((share) => share <= QUIET).length;
  return [
    `Measured on ${date}: ${machine}; ${Object.values(versions).join(', ')}; ${workers} Envoy worker${workers === 1 ? '' : 's'};`,
    `load by ${generator}; ${rounds} rounds of ${seconds} s for each case${nice === 0 ? '' : ` at priority ${nice}`}${peer ? '' : '; without daprd'}.`,
    `Other programs took ${percent(disturbance.median)} of the machine meanwhile (median of all slices; at worst`,
    `${percent(disturbance.high)}). It was at most ${percent(QUIET)} in ${quiet} of ${others.length} slices; the rest count only where a case`,
    `has fewer than ${LEAST_ROUNDS} of those.`,
  ].join('\n');
}

function targets(rows) {
  const lines = judge(rows).map(({ title, bound, door, call, results }) => {
    const cell = (inflight) => {
      const result = results.find((one) => one.inflight === inflight);
      if (result === undefined) return '';
      return `${result.met ? 'met' : '**missed**'}: ${figure(result.ratio, 2)}, ${bound} ${result.limit}`;
    };
    return [title, `${DOORS[door]}, ${call}`, cell(1), cell(16), cell(64)];
  });
  if (lines.length === 0) return 'None of the cases that were measured has a target.';
  return markdown(['ratio, 1 KiB', 'door, call', '1 in flight', '16 in flight', '64 in flight'], lines);
}

function memoryTable({ idle, module }) {
  const added = (kind) => module.with[kind] - module.without[kind];
  const row = (what, value, limit, how) => [
    what,
    `${value.toFixed(1)} MiB`,
    `${value <= limit ? 'met' : '**missed**'}: at most ${limit} MiB`,
    how,
  ];
  return markdown(
    ['memory', 'found', 'target', 'how'],
    [
      row('bridge', idle['bridge'], MEMORY_TARGETS.idleBridge, 'resident, idle, one Redis store connected'),
      row(
        'what the filter adds to Envoy',
        added('own'),
        MEMORY_TARGETS.module,
        `its own, 2 workers, after traffic: ${module.with.own.toFixed(1)} MiB with it, ${module.without.own.toFixed(1)} without; ${added('resident').toFixed(1)} resident, with pages of the program that all Envoys of a host share`,
      ),
    ],
  );
}

/** By call and size, references where they belong. */
function groups(rows) {
  const titles = new Map();
  for (const row of rows) {
    const title = `${CALLS[row.call]}, ${size(row.bytes)}`;
    titles.set(title, [...(titles.get(title) ?? []), row]);
  }
  return [...titles];
}

function table(rows) {
  const names = [...new Set(rows.flatMap(({ cpu }) => Object.keys(cpu)))];
  const shown = names.filter((name) => name !== 'Redis').concat(names.includes('Redis') ? ['Redis'] : []);
  return markdown(
    [
      'in flight',
      'server',
      'door',
      'calls/s',
      'p50 ms',
      'p99 ms',
      ...shown.map((name) => `${name} µs`),
      'sum without Redis µs',
      'calls per CPU s',
    ],
    rows.map((row) => [
      String(row.inflight),
      SERVERS[row.server].title,
      doorOf(row),
      figure(row.perSecond, 0),
      figure(row.p50, 2),
      figure(row.p99, 2),
      ...shown.map((name) => row.cpu[name]?.median.toFixed(1) ?? ''),
      figure(row.own, 1),
      row.perCpuSecond.median.toFixed(0),
    ]),
  );
}

/** What doors are called where people read. */
export const DOORS = { 'layotto-grpc': 'Layotto gRPC', 'dapr-grpc': 'Dapr gRPC', 'dapr-http': 'Dapr HTTP' };

/** What a door speaks. */
export function protocolOf(door) {
  return door === 'dapr-http' ? 'HTTP/1.1' : 'HTTP/2';
}

function doorOf({ server, door }) {
  if (door === 'none') return '';
  return isReference(server) ? protocolOf(door) : DOORS[door];
}

export function size(bytes) {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`;
}

/** Median, and the range in parentheses. */
function figure({ median, low, high }, digits) {
  return `${median.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
}

function percent(share) {
  return `${(share * 100).toFixed(0)} %`;
}

function inMiB(values) {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toFixed(0)} MiB`)
    .join(', ');
}

function markdown(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
