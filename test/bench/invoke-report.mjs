/** HTTP invoke takes at most so many times the CPU of both Envoys, and at most so many microseconds more. */
export const MOST_CPU = 1.1;
export const MOST_MORE_US = 50;

/**
 * @typedef {object} Figure one slice of a case, one way
 * @property {number} cpu microseconds of both Envoys per call
 * @property {number} p50 microseconds
 *
 * @typedef {object} InvokeResult
 * @property {string} title
 * @property {number} inflight
 * @property {boolean} judged it has a target
 * @property {Figure[]} with through the runtime, slice by slice
 * @property {Figure[]} reading through a filter that only reads the heads
 * @property {Figure[]} empty through a filter that does nothing
 * @property {Figure[]} without through the same two Envoys without the runtime
 *
 * @param {InvokeResult} result
 * @returns what slices that took turns say, in the middle of all: a ratio of CPU and a difference of time
 */
export function verdict({ inflight, judged, with: own, without }) {
  const ratio = ratioOf(own, without);
  const more = median(own.map(({ p50 }, slice) => p50 - without[slice].p50));
  const met = ratio <= MOST_CPU && (inflight > 1 || more <= MOST_MORE_US);
  return { ratio, more, met: !judged || met };
}

/**
 * What test/bench/invoke.mjs found, as Markdown.
 *
 * @param {object} run
 * @param {string} run.date
 * @param {string} run.machine
 * @param {number} run.others share of the machine that other programs took, median of all slices
 * @param {{rounds: number, seconds: number, workers: number}} run.settings
 * @param {InvokeResult[]} run.results
 */
export function invokeReport({ date, machine, others, settings: { rounds, seconds, workers }, results }) {
  const head = [
    'call',
    'in flight',
    'CPU µs: with, reading, empty, without',
    'ratio: with',
    'reading',
    'empty',
    'p50 µs: with, reading, empty, without',
    'more µs',
    `target: ≤ ${MOST_CPU.toFixed(2)} ×, ≤ ${MOST_MORE_US} µs at 1 in flight`,
  ];
  const rows = results.map((result) => {
    const { ratio, more, met } = verdict(result);
    const all = (pick) =>
      [result.with, result.reading, result.empty, result.without]
        .map((slices) => median(slices.map(pick)).toFixed(0))
        .join(', ');
    return [
      result.title,
      result.inflight,
      all(({ cpu }) => cpu),
      ratio.toFixed(2),
      ratioOf(result.reading, result.without).toFixed(2),
      ratioOf(result.empty, result.without).toFixed(2),
      all(({ p50 }) => p50),
      more.toFixed(0),
      result.judged ? (met ? 'met' : '**missed**') : '',
    ];
  });
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return [
    `${date}, ${machine}; ${workers} Envoy worker${workers === 1 ? '' : 's'} each, ${rounds} rounds of ${seconds} s each way, in turns.`,
    `Other programs took ${(others * 100).toFixed(0)} % of the machine meanwhile (median).`,
    '',
    ...lines,
  ].join('\n');
}

/** How many times the CPU of another way one takes. */
function ratioOf(way, other) {
  return median(way.map(({ cpu }, slice) => cpu / other[slice].cpu));
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
