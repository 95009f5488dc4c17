// What the policy has refused: by its rules, and by its limits.

import { Counter } from '../host/metrics';
import { ByteWriter } from '../wire/bytes';
import { View } from '../wire/view';
import { writeLabel } from './call-metrics';

/** Counts by name; the tick hands them to the host. */
export class Denials {
  private readonly counts: Array<i64> = [];
  private readonly counters: Array<Counter | null> = [];
  private readonly touched: Array<i32> = [];

  /**
   * @param metric the metric's name and its label's, up to the label's value
   * @param names the label's values
   */
  constructor(
    private readonly metric: string,
    private readonly names: Array<View>,
  ) {
    for (let i = 0; i < names.length; i++) {
      this.counts.push(0);
      this.counters.push(null);
    }
  }

  /** @param at index of a name; below 0: the last */
  count(at: i32): void {
    if (at < 0) at = this.names.length - 1;
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
    name.text(this.metric);
    writeLabel(name, this.names[at]);
    const counter = new Counter(name.view());
    name.free();
    this.counters[at] = counter;
    return counter;
  }
}
