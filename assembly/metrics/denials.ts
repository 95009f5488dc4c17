// What the policy's rules have denied.

import { Policy } from '../config/policy';
import { Counter } from '../host/metrics';
import { ByteWriter } from '../wire/bytes';
import { writeLabel } from './call-metrics';

/** Counts by rule; the tick hands them to the host. */
export class Denials {
  /** By a rule's index; the last one is for the policy's default. */
  private readonly counts: Array<i64> = [];
  private readonly counters: Array<Counter | null> = [];
  private readonly touched: Array<i32> = [];

  constructor(private readonly policy: Policy) {
    for (let i = 0; i <= policy.rules.length; i++) {
      this.counts.push(0);
      this.counters.push(null);
    }
  }

  /** @param rule index of a rule; below 0: the default */
  count(rule: i32): void {
    const at = rule < 0 ? this.policy.rules.length : rule;
    if (this.counts[at] == 0) this.touched.push(at);
    this.counts[at] = this.counts[at] + 1;
  }

  /** Hands over what was counted since. */
  flush(): void {
    for (let i = 0; i < this.touched.length; i++) {
      const at = this.touched[i];
      this.counterOf(at).add(this.counts[at]);
      this.counts[at] = 0;
    }
    this.touched.length = 0;
  }

  private counterOf(at: i32): Counter {
    const known = this.counters[at];
    if (known !== null) return known;
    const name = new ByteWriter();
    name.text('layotto_policy_denials_total;rule=');
    if (at < this.policy.rules.length) writeLabel(name, this.policy.rules[at].name);
    else name.text('default');
    const counter = new Counter(name.view());
    name.free();
    this.counters[at] = counter;
    return counter;
  }
}
