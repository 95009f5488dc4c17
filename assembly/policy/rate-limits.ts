// How many calls there may be in a second: one bucket of tokens for each limit,
// or for each primitive, component or app that it counts by itself.

import { PolicyLimit } from '../config/policy';
import { monotonicUs } from '../host/clock';
import { ByteWriter } from '../wire/bytes';
import { View, viewLen, viewToString } from '../wire/view';
import { Caller, concerns, Subject } from './rules';
import { TokenBucket } from './token-bucket';

/** Buckets of one limit. Whoever comes then shares one more: callers from outside must not make them without end. */
const MOST_BUCKETS: i32 = 1000;
const SECONDS_PER_HOUR: f64 = 3600;
const SLASH: u8 = 0x2f;

/** One limit and its buckets. */
class Buckets {
  private readonly buckets: Map<string, TokenBucket> = new Map();
  private readonly name: string;
  /** The one bucket of a limit that counts everything together. */
  private readonly common: TokenBucket | null = null;

  constructor(readonly limit: PolicyLimit) {
    // Other numbers are another bucket, which begins full.
    this.name =
      'layotto.rate/' +
      viewToString(limit.rule.name) +
      '/' +
      limit.perHour.toString() +
      '/' +
      limit.burst.toString();
    if (!limit.perPrimitive && !limit.perComponent && !limit.perApp) this.common = this.make('');
  }

  of(caller: Caller, subject: Subject, key: ByteWriter): TokenBucket {
    const limit = this.limit;
    const common = this.common;
    if (common !== null) return common;
    key.reset();
    if (limit.perPrimitive) part(key, subject.primitive);
    if (limit.perComponent) part(key, subject.component);
    if (limit.perApp) part(key, viewLen(caller.spiffe) > 0 ? caller.spiffe : caller.app);
    const text = viewToString(key.view());
    if (this.buckets.has(text)) return this.buckets.get(text);
    if (this.buckets.size < MOST_BUCKETS) return this.make(text);
    return this.buckets.has('*') ? this.buckets.get('*') : this.make('*');
  }

  private make(text: string): TokenBucket {
    const bucket = new TokenBucket(
      this.name + text,
      <f64>this.limit.perHour / SECONDS_PER_HOUR,
      this.limit.burst,
    );
    this.buckets.set(text, bucket);
    return bucket;
  }
}

function part(key: ByteWriter, text: View): void {
  key.u8(SLASH);
  key.raw(text);
}

/** The rate limits of a policy. */
export class RateLimits {
  private readonly all: Array<Buckets> = [];
  private readonly key: ByteWriter = new ByteWriter();
  /** After a refusal: milliseconds until it is worth trying again. */
  waitMs: i64 = 0;

  constructor(limits: Array<PolicyLimit>) {
    for (let i = 0; i < limits.length; i++) this.all.push(new Buckets(limits[i]));
  }

  /**
   * Takes a token of every limit that is about the call; those before one that has none stay taken.
   *
   * @returns the index of the limit that has none, or -1
   */
  take(caller: Caller, subject: Subject): i32 {
    const now = monotonicUs();
    for (let i = 0; i < this.all.length; i++) {
      const buckets = this.all[i];
      if (!concerns(buckets.limit.rule, caller, subject)) continue;
      const bucket = buckets.of(caller, subject, this.key);
      if (bucket.take(now)) continue;
      this.waitMs = bucket.waitMs;
      return i;
    }
    return -1;
  }
}
