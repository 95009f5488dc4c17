import { CALLEE_CLUSTER } from './names.js';
import type { EnvoyObject } from './names.js';

/** Labels of the filter's metrics, in the order in which they stand in a metric's name, each as `;label=value`. */
const LABELS = [
  'primitive',
  'operation',
  'component',
  'door',
  'code',
  'link',
  'limit',
  'result',
  'source',
  'rule',
] as const;

/**
 * Who is called, of Envoy's own statistics of the clusters of callees. Their names also say which of its addresses they
 * have and what is spoken to them, and may have dots in them, at which Envoy would end them. Mirrors are not called.
 */
const CALLEE = {
  tag_name: 'callee',
  regex: [
    String.raw`^cluster\.(${CALLEE_CLUSTER}([^|]+?)(?:\|(?:[0-9]+|http|~[0-9]+))*\.)`,
    String.raw`(?:(?:canary|external|internal|retry)\.)?(?:upstream|outlier)_`,
  ].join(''),
};

const CALLEE_STAT = new RegExp(CALLEE.regex);

/** Reads the name of a statistic of a callee's cluster; undefined for any other. */
export function calleeStat(name: string): { callee: string; stat: string } | undefined {
  const [, cluster, callee] = CALLEE_STAT.exec(name) ?? [];
  if (cluster === undefined || callee === undefined) return undefined;
  return { callee, stat: name.slice('cluster.'.length + cluster.length) };
}

/** Buckets of the filter's durations, in microseconds: from an answer out of Envoy's memory to the longest deadline. */
const DURATION_BUCKETS = [
  50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 20_000, 50_000, 100_000,
  250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 15_000_000, 60_000_000,
] as const;

/**
 * How Envoy shows the filter's metrics: what stands behind a name becomes Prometheus labels, and durations get
 * buckets of their own. Its own metrics of calls to others get a label with who is called. It belongs to Envoy's
 * bootstrap; without it the labels stay part of the names.
 */
export function statsConfig(): EnvoyObject {
  return {
    stats_tags: [
      ...LABELS.map((label) => ({
        tag_name: label,
        regex: `^wasmcustom\\.layotto_.*?(;${label}=([^;]*))`,
      })),
      CALLEE,
    ],
    histogram_bucket_settings: [
      { match: { prefix: 'wasmcustom.layotto_operation_duration_us' }, buckets: DURATION_BUCKETS },
    ],
  };
}
