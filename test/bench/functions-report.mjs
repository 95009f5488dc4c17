const TITLES = {
  empty: "Envoy's own answer (`direct_response`) on the same listener",
  'at-once': 'a function that answers at once',
  stock: 'a function that makes one state call (Redis)',
  relay: 'a function that calls another one, which answers at once',
};

/** Microseconds of Envoy's CPU for a hop, milliseconds from a push to the first answer, MiB for each function. */
export const TARGETS = { hop: 40, push: 500, memory: 4 };

/**
 * What test/bench/functions.mjs found, as Markdown: each figure the median over the rounds.
 *
 * @param {object} run `cpu`, `pushes` and `memory` may be empty
 */
export function functionsReport({ date, machine, settings, cpu, pushes, memory }) {
  const { rounds, seconds, workers } = settings;
  const about = `${date}, ${machine}; ${workers} Envoy worker${workers === 1 ? '' : 's'}, ${rounds} rounds of ${seconds} s.`;
  const others = cpu.length === 0 ? [] : [median(cpu.map((one) => one.others)) * 100];
  const beside = others.map((share) => `Other programs took ${share.toFixed(0)} % of the machine meanwhile.`);
  return [about, ...beside, '', ...cpuTable(cpu), ...targets({ cpu, pushes, memory })].join('\n');
}

function cpuTable(cpu) {
  if (cpu.length === 0) return [];
  const ids = [...new Set(cpu.map(({ what, inflight }) => `${what} ${inflight}`))];
  const rows = ids.map((id) => {
    const own = cpu.filter(({ what, inflight }) => `${what} ${inflight}` === id);
    const { what, inflight } = own[0];
    const of = (pick) => median(own.map(pick));
    return [
      TITLES[what],
      inflight,
      of(({ perSecond }) => perSecond).toFixed(0),
      of(({ p50 }) => p50).toFixed(2),
      of(({ p99 }) => p99).toFixed(2),
      of(({ cpuPerCall }) => cpuPerCall.Envoy).toFixed(0),
      of(({ cpuPerCall }) => cpuPerCall.bridge).toFixed(0),
    ];
  });
  const head = ['', 'in flight', 'calls/s', 'p50 ms', 'p99 ms', 'Envoy µs', 'bridge µs'];
  return [...table([head, ...rows]), ''];
}

function targets({ cpu, pushes, memory }) {
  const rows = [];
  const judged = (what, value, unit, limit, digits = 0) =>
    rows.push([
      what,
      `${value.toFixed(digits)} ${unit}`,
      `${value <= limit ? 'met' : '**missed**'}: at most ${limit} ${unit}`,
    ]);
  const envoy = (what, inflight) =>
    median(
      cpu.filter((one) => one.what === what && one.inflight === inflight).map((one) => one.cpuPerCall.Envoy),
    );
  const inflights = [...new Set(cpu.map(({ inflight }) => inflight))];
  for (const inflight of inflights) {
    const at = `${inflight} in flight`;
    const empty = envoy('empty', inflight);
    const more = (what) => envoy(what, inflight) - empty;
    judged(`Envoy's CPU for a function beyond Envoy's own answer, ${at}`, more('at-once'), 'µs', TARGETS.hop);
    judged(`the same for one that makes a state call, ${at}`, more('stock'), 'µs', TARGETS.hop);
    const hop = envoy('relay', inflight) - envoy('at-once', inflight);
    judged(`the whole of a call from function to function, ${at}`, hop, 'µs', TARGETS.hop);
  }
  if (pushes.length > 0) {
    const first = median(pushes.map((one) => one.first));
    judged('from the start of `layotto function push` to the first answer', first, 'ms', TARGETS.push);
  }
  if (memory !== undefined) {
    const at = `${memory.workers} workers`;
    judged(`memory of one more function, idle, ${at}`, memory.idle, 'MiB', TARGETS.memory, 1);
    judged(`the same after calls`, memory.busy, 'MiB', TARGETS.memory, 1);
  }
  return rows.length === 0 ? [] : table([['', 'found', 'target'], ...rows]);
}

function table([head, ...rows]) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
