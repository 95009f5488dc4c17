import { SERVERS, isReference, referenceDoor } from './cases.mjs';
import { ratio } from './summary.mjs';

const cpu = (name) => (round) => round.cpuPerCall[name];
const perCpuSecond = (round) => round.perCpuSecond;
const p50 = (round) => round.p50;
const RATIO_BYTES = 1024;

/**
 * What a call may cost. All are ratios of two figures of the same run, because no figure of its own would hold on
 * another machine.
 *
 * @typedef {object} Target
 * @property {string} title
 * @property {string} server whose cases are judged
 * @property {string} than what they are compared with
 * @property {(round: object) => number} figure
 * @property {'at most' | 'at least'} bound
 * @property {Record<number, number>} limits by number in flight
 */

/** @type {Target[]} */
export const TARGETS = [
  ...Object.entries(SERVERS)
    .filter(([, { ofEmpty }]) => ofEmpty !== undefined)
    .map(([server, { title, ofEmpty }]) => ({
      title: `${title}: Envoy's CPU per call / an empty \`direct_response\` of the same Envoy`,
      server,
      than: 'empty',
      figure: cpu('Envoy'),
      bound: 'at most',
      limits: { 1: ofEmpty, 16: ofEmpty, 64: ofEmpty },
    })),
  {
    title: "the bridge's CPU per call / a bare ioredis GET loop",
    server: 'layotto',
    than: 'ioredis',
    figure: (round) => round.cpuPerCall['bridge'] ?? round.cpuPerCall['ioredis loop'],
    bound: 'at most',
    limits: { 1: 3.2, 16: 3.2, 64: 3.2 },
  },
  {
    title: "calls per CPU second / daprd's",
    server: 'layotto',
    than: 'daprd',
    figure: perCpuSecond,
    bound: 'at least',
    limits: { 16: 1.25, 64: 1.6 },
  },
  {
    title: "calls per CPU second / daprd's in a mesh",
    server: 'layotto',
    than: 'daprd-proxied',
    figure: perCpuSecond,
    bound: 'at least',
    limits: { 16: 1.25, 64: 1.6 },
  },
  {
    title: "p50 / daprd's",
    server: 'layotto',
    than: 'daprd',
    figure: p50,
    bound: 'at most',
    limits: { 1: 1.15 },
  },
  {
    title: "p50 / daprd's in a mesh",
    server: 'layotto',
    than: 'daprd-proxied',
    figure: p50,
    bound: 'at most',
    limits: { 1: 0.9 },
  },
  {
    title: "p50 / daprd's in a mesh, where the bridge's connection passes the sidecar too",
    server: 'layotto-proxied',
    than: 'daprd-proxied',
    figure: p50,
    bound: 'at most',
    limits: { 1: 0.9 },
  },
];

/** MiB. */
export const MEMORY_TARGETS = { idleBridge: 55, module: 19 };

/**
 * @param {import('./summary.mjs').Row[]} rows
 * @returns {{ title: string, bound: string, door: string, call: string,
 *   results: { inflight: number, limit: number, ratio: import('./summary.mjs').Spread, met: boolean }[] }[]}
 *   one for every target, door and call of which both sides were measured
 */
export function judge(rows) {
  return TARGETS.flatMap((target) => {
    const judged = rows.filter(({ server, bytes }) => server === target.server && bytes === RATIO_BYTES);
    const kinds = new Map(judged.map((row) => [`${row.door} ${row.call}`, row]));
    return [...kinds.values()]
      .map(({ door, call }) => ({
        title: target.title,
        bound: target.bound,
        door,
        call,
        results: judged
          .filter((row) => row.door === door && row.call === call)
          .map((row) => compare(row, rows, target))
          .filter((result) => result !== undefined),
      }))
      .filter(({ results }) => results.length > 0);
  });
}

function compare(row, rows, { than, figure, bound, limits }) {
  const limit = limits[row.inflight];
  const other = rows.find(
    (one) =>
      one.server === than &&
      one.bytes === row.bytes &&
      one.inflight === row.inflight &&
      (isReference(than) || one.call === row.call) &&
      (one.door === 'none' || one.door === referenceDoor(row.door)),
  );
  if (limit === undefined || other === undefined) return undefined;
  const measured = ratio(row, other, figure);
  const met = bound === 'at most' ? measured.median <= limit : measured.median >= limit;
  return { inflight: row.inflight, limit, ratio: measured, met };
}
