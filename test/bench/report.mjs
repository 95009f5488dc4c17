import { rssMiB } from './measure.mjs';

/**
 * The Markdown of a run.
 *
 * @param results one entry for every variant, number in flight and round
 * @param children the processes, still running
 */
export function report(results, children) {
  const groups = new Map();
  for (const result of results) {
    const key = `${result.name}\0${result.inflight}`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  const names = [...new Set(results.flatMap(({ cpuPerCall }) => Object.keys(cpuPerCall)))];
  const head = [
    'call',
    'in flight',
    'calls/s',
    'p50 ms',
    'p99 ms',
    ...names.map((name) => `${name} µs`),
    'sum µs',
  ];
  const rows = [...groups.values()].map((runs) => [
    runs[0].name,
    String(runs[0].inflight),
    spread(
      runs.map(({ perSecond }) => perSecond),
      0,
    ),
    spread(
      runs.map(({ p50 }) => p50),
      2,
    ),
    spread(
      runs.map(({ p99 }) => p99),
      2,
    ),
    ...names.map((name) =>
      name in runs[0].cpuPerCall
        ? spread(
            runs.map((run) => run.cpuPerCall[name]),
            0,
          )
        : '',
    ),
    spread(
      runs.map(({ cpuPerCall }) => Object.values(cpuPerCall).reduce((sum, one) => sum + one, 0)),
      0,
    ),
  ]);
  const memory = children.map(({ name, pid }) => `${name} ${rssMiB(pid).toFixed(0)} MiB`).join(', ');
  return [
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
    '',
    `Memory after the run: ${memory}.`,
  ].join('\n');
}

/** Median, and the range in parentheses. */
function spread(values, digits) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return `${median.toFixed(digits)} (${sorted[0].toFixed(digits)}–${sorted.at(-1).toFixed(digits)})`;
}

function line(cells) {
  return `| ${cells.join(' | ')} |`;
}
