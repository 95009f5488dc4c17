/**
 * @typedef {object} Spread
 * @property {number} median
 * @property {number} low
 * @property {number} high
 *
 * @typedef {object} Row what all rounds of a case say
 * @property {string} id
 * @property {string} server
 * @property {string} door
 * @property {'get' | 'save'} call
 * @property {number} bytes
 * @property {number} inflight
 * @property {Spread} perSecond
 * @property {Spread} p50 milliseconds
 * @property {Spread} p99
 * @property {Record<string, Spread>} cpu microseconds per call, by process
 * @property {Spread} own the same of all its processes but Redis
 * @property {Spread} perCpuSecond calls for a second of its own CPU time
 * @property {Spread} others share of the machine that other programs took
 * @property {object[]} rounds what was measured in all rounds, with `own` and `perCpuSecond`
 */

/** Share of the machine that other programs may take in a round that counts. */
export const QUIET = 0.1;
/** So many rounds count in any case, the quietest. */
export const LEAST_ROUNDS = 3;

/**
 * Leaves out rounds that other programs disturbed, as far as enough remain. What was measured in them has no part in
 * the choice.
 *
 * @template T
 * @param {T[]} rounds
 * @param {(round: T) => number} disturbance
 */
function quiet(rounds, disturbance) {
  const sorted = [...rounds].sort((a, b) => disturbance(a) - disturbance(b));
  return sorted.filter((round, index) => index < LEAST_ROUNDS || disturbance(round) <= QUIET);
}

/** @returns {Row[]} in the order in which the cases first came */
export function summarize(results) {
  const groups = new Map();
  for (const result of results) {
    const own = ownCpu(result.cpuPerCall);
    const round = { ...result, own, perCpuSecond: 1e6 / own };
    groups.set(result.id, [...(groups.get(result.id) ?? []), round]);
  }
  return [...groups.values()].map((rounds) => {
    const { id, server, door, call, bytes, inflight, cpuPerCall } = rounds[0];
    const row = { id, server, door, call, bytes, inflight, rounds };
    const counted = quiet(rounds, ({ others }) => others);
    for (const key of ['perSecond', 'p50', 'p99', 'own', 'perCpuSecond', 'others'])
      row[key] = spread(counted.map((round) => round[key]));
    row.cpu = Object.fromEntries(
      Object.keys(cpuPerCall).map((name) => [name, spread(counted.map((round) => round.cpuPerCall[name]))]),
    );
    return row;
  });
}

/** Microseconds per call of everything but Redis, which both sides use. */
function ownCpu(cpuPerCall) {
  return Object.entries(cpuPerCall).reduce((sum, [name, cost]) => (name === 'Redis' ? sum : sum + cost), 0);
}

/**
 * One figure of a case over the same of another, round by round: what disturbs a round disturbs both.
 *
 * @param {Row} row
 * @param {Row} other
 * @param {(round: object) => number} figure
 * @returns {Spread}
 */
export function ratio(row, other, figure) {
  const byRound = new Map(other.rounds.map((round) => [round.round, round]));
  const pairs = row.rounds
    .filter(({ round }) => byRound.has(round))
    .map((round) => [round, byRound.get(round.round)]);
  const counted = quiet(pairs, ([one, two]) => Math.max(one.others, two.others));
  return spread(counted.map(([one, two]) => figure(one) / figure(two)));
}

/** @param {number[]} values @returns {Spread} */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, low: sorted[0], high: sorted.at(-1) };
}
