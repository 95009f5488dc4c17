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
const OTHERS = '*';

/** One limit and its buckets. */
class Buckets {
  private readonly buckets: Map<string, TokenBucket> = new Map();
  /** The one bucket of a limit that counts everything together. */
  private readonly common: TokenBucket | null;

  constructor(readonly limit: PolicyLimit) {
    const parted = limit.perPrimitive || limit.perComponent || limit.perApp;
    this.common = parted ? null : bucketOf(limit, '');
  }

  of(caller: Caller, subject: Subject, key: ByteWriter): TokenBucket {
    const common = this.common;
    if (common !== null) return common;
    const limit = this.limit;
    key.reset();
    if (limit.perPrimitive) part(key, subject.primitive);
    if (limit.perComponent) part(key, subject.component);
    if (limit.perApp) part(key, viewLen(caller.spiffe) > 0 ? caller.spiffe : caller.app);
    let name = viewToString(key.view());
    if (!this.buckets.has(name) && this.buckets.size >= MOST_BUCKETS) name = OTHERS;
    if (!this.buckets.has(name)) this.buckets.set(name, bucketOf(limit, name));
    return this.buckets.get(name);
  }
}

/** Other numbers are another bucket, which begins full. */
function bucketOf(limit: PolicyLimit, name: string): TokenBucket {
  const settings = limit.perHour.toString() + '/' + limit.burst.toString();
  const key = 'layotto.rate/' + viewToString(limit.rule.name) + '/' + settings + name;
  return new TokenBucket(key, <f64>limit.perHour / SECONDS_PER_HOUR, limit.burst);
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
