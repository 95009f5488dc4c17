const TITLES = { whole: 'through the runtime', alone: 'broker alone' };

/**
 * What test/bench/pubsub.mjs found, as Markdown: each figure the median over the rounds.
 *
 * @param {{date: string, machine: string, settings: {rounds: number, seconds: number}, results: object[]}} run
 */
export function pubsubReport({ date, machine, settings: { rounds, seconds }, results }) {
  const rows = [...new Set(results.map(({ id }) => id))].map((id) =>
    rowOf(results.filter((one) => one.id === id)),
  );
  const head = ['broker', 'what', 'in flight', 'events/s', 'p50 ms', 'p99 ms', 'CPU µs per event'];
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return [
    `${date}, ${machine}; ${rounds} rounds of ${seconds} s, events of 1 KiB; the time from before an event is published until the app has it.`,
    '',
    ...lines,
  ].join('\n');
}

function rowOf(rounds) {
  const [{ broker, what, inflight }] = rounds;
  const of = (pick) => median(rounds.map(pick));
  const parts = Object.keys(rounds[0].cpuPerCall).map((name) => [name, of((one) => one.cpuPerCall[name])]);
  const used = parts.filter(([, cpu]) => cpu >= 0.5);
  const sum = used.reduce((total, [, cpu]) => total + cpu, 0);
  const cpu = `${sum.toFixed(0)} (${used.map(([name, one]) => `${name} ${one.toFixed(0)}`).join(', ')})`;
  const times = [of(({ p50 }) => p50).toFixed(2), of(({ p99 }) => p99).toFixed(2)];
  return [broker, TITLES[what], inflight, of(({ perSecond }) => perSecond).toFixed(0), ...times, cpu];
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
