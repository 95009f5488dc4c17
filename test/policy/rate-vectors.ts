import type { CompiledLimit, LimitScope } from '../../components-bridge/src/policy/types.js';

/** So many calls of an operation, one right after the other, and how many pass. */
export interface RateStep {
  /** Milliseconds that have gone by before. */
  afterMs?: number;
  times: number;
  passes: number;
  /** `GetState` unless said. */
  operation?: 'GetState' | 'SaveState';
  /** `statestore` unless said. */
  component?: 'statestore' | 'other';
  /** What the last call, which is refused, is told: the limit and the milliseconds to wait. */
  told?: [limit: string, waitMs: number];
}

/** Limits, and what comes of calls under them. */
export interface RateVector {
  about: string;
  limits: CompiledLimit[];
  steps: RateStep[];
}

const SECOND = 3_600;
const MINUTE = 60;

function limit(
  name: string,
  perHour: number,
  burst: number,
  {
    per,
    ...about
  }: { per?: LimitScope[]; operations?: string[]; components?: string[]; apps?: string[] } = {},
): CompiledLimit {
  return { about: { name, ...about }, perHour, burst, ...(per === undefined ? {} : { per }) };
}

/** What the buckets of Envoy's workers and those of the bridge's own doors are held to. The app is `shop`. */
export const RATE_VECTORS: readonly RateVector[] = [
  {
    about: 'a burst passes, then as many as the rate lets come',
    limits: [limit('all', 10 * SECOND, 4)],
    steps: [
      { times: 10, passes: 4, told: ['all', 100] },
      { afterMs: 100, times: 5, passes: 1 },
      { afterMs: 50, times: 5, passes: 0, told: ['all', 50] },
      { afterMs: 50, times: 5, passes: 1 },
      { afterMs: 60_000, times: 10, passes: 4 },
    ],
  },
  {
    about: 'a slow one says when to come again',
    limits: [limit('few', MINUTE, 1)],
    steps: [
      { times: 2, passes: 1, told: ['few', 60_000] },
      { afterMs: 1_000, times: 1, passes: 0, told: ['few', 59_000] },
      { afterMs: 59_000, times: 2, passes: 1 },
    ],
  },
  {
    about: 'a fast one gives no more than there is',
    limits: [limit('fast', 20_000 * SECOND, 500)],
    steps: [
      { times: 700, passes: 500 },
      { afterMs: 10, times: 300, passes: 200 },
    ],
  },
  {
    about: 'only calls that a limit is about take of it',
    limits: [limit('reads', MINUTE, 2, { operations: ['GetState'], components: ['oth*'] })],
    steps: [
      { times: 5, passes: 5 },
      { times: 1, passes: 1, operation: 'SaveState', component: 'other' },
      { times: 5, passes: 2, component: 'other' },
      { times: 5, passes: 5 },
    ],
  },
  {
    about: 'another app is another matter',
    limits: [limit('others', MINUTE, 1, { apps: ['billing', 'spiffe://*'] })],
    steps: [{ times: 5, passes: 5 }],
  },
  {
    about: 'each component can be counted by itself',
    limits: [limit('each', MINUTE, 2, { per: ['component'] })],
    steps: [
      { times: 5, passes: 2 },
      { times: 5, passes: 2, component: 'other' },
      { times: 5, passes: 0 },
    ],
  },
  {
    about: 'what a limit took before another refused stays taken',
    limits: [limit('all', MINUTE, 3), limit('reads', MINUTE, 1, { operations: ['GetState'] })],
    steps: [
      { times: 2, passes: 1, told: ['reads', 60_000] },
      { times: 2, passes: 1, operation: 'SaveState', told: ['all', 60_000] },
    ],
  },
];
