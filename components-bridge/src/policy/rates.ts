import { concerns } from './decide.js';
import type { Caller, CompiledLimit, Subject } from './types.js';

/** Buckets of one limit. Whoever comes then shares one more: callers from outside must not make them without end. */
const MOST_BUCKETS = 1_000;
const OTHERS = '*';

/** A limit that has no token for a call. */
export interface Spent {
  /** The limit's name. */
  limit: string;
  /** Milliseconds until there is a token again, if nobody else takes it. */
  waitMs: number;
}

/**
 * Holds up to `burst` tokens, and gains them at the limit's rate. It is kept as one number, the time at which it will be full
 * (the generic cell rate algorithm: I.371, "virtual scheduling"), as `assembly/policy/token-bucket.ts` keeps it for the
 * workers of an Envoy.
 */
class TokenBucket {
  /** Milliseconds that one token takes to come. */
  readonly #interval: number;
  /** Milliseconds that an empty bucket takes to be full. */
  readonly #depth: number;
  #full = 0;

  constructor({ perHour, burst }: CompiledLimit) {
    this.#interval = 3_600_000 / perHour;
    this.#depth = this.#interval * burst;
  }

  /** @returns 0 if there was a token, else the milliseconds until there is one */
  take(now: number): number {
    const at = Math.max(this.#full, now);
    // A rounding error must not cost a token.
    if ((this.#depth - (at - now)) / this.#interval + 0.000_001 < 1)
      return Math.max(1, Math.ceil(at - now - this.#depth + this.#interval));
    this.#full = at + this.#interval;
    return 0;
  }
}

/** The rate limits of a policy, for the doors that this process serves: Envoy's filter keeps those of its own. */
export class RateLimits {
  private readonly limits: { limit: CompiledLimit; buckets: Map<string, TokenBucket> }[];

  /** @param before whose buckets go on, where a limit has kept its name and its numbers */
  constructor(limits: readonly CompiledLimit[] = [], before?: RateLimits) {
    this.limits = limits.map((limit) => {
      const kept = before?.limits.find(({ limit: old }) => keyOf(old) === keyOf(limit));
      return { limit, buckets: kept?.buckets ?? new Map<string, TokenBucket>() };
    });
  }

  /**
   * Takes a token of every limit that is about the call; those before one that has none stay taken.
   *
   * @param now milliseconds of a clock that never goes backwards
   * @returns the limit that has none; undefined if the call may go on
   */
  take(caller: Caller, subject: Subject, now: number): Spent | undefined {
    for (const { limit, buckets } of this.limits) {
      if (!concerns(limit.about, caller, subject)) continue;
      let name = partOf(limit, caller, subject);
      if (!buckets.has(name) && buckets.size >= MOST_BUCKETS) name = OTHERS;
      const bucket = buckets.get(name) ?? new TokenBucket(limit);
      buckets.set(name, bucket);
      const waitMs = bucket.take(now);
      if (waitMs > 0) return { limit: limit.about.name, waitMs };
    }
    return undefined;
  }
}

function keyOf({ about, perHour, burst, per = [] }: CompiledLimit): string {
  return JSON.stringify([about.name, perHour, burst, per]);
}

/** Whose bucket it is: one for each primitive, component or app that the limit counts by itself. */
function partOf({ per = [] }: CompiledLimit, caller: Caller, { primitive, component = '' }: Subject): string {
  return JSON.stringify([
    per.includes('primitive') && primitive,
    per.includes('component') && component,
    per.includes('app') && (caller.spiffe === '' ? caller.app : caller.spiffe),
  ]);
}
