/** What became of deliveries. */
export type DeliveryStatus = 'success' | 'retry' | 'drop' | 'expired' | 'dead_letter' | 'away';

/** How many deliveries of one topic ended so, at which attempt. */
export interface DeliverySeries {
  readonly component: string;
  readonly topic: string;
  readonly status: DeliveryStatus;
  /** 1 to 3, or `4+`. */
  readonly attempt: string;
  count: number;
}

/** Topics that are counted by name; streams may ask for any. */
const MOST_TOPICS = 1_000;
const OTHER = 'other';

/** Counts deliveries. */
export class Tally {
  readonly #series = new Map<string, DeliverySeries>();
  readonly #topics = new Set<string>();

  get series(): Iterable<DeliverySeries> {
    return this.#series.values();
  }

  add(component: string, topic: string, status: DeliveryStatus, attempt: number): void {
    const name = this.#named(component, topic);
    const nth = attempt >= 4 ? '4+' : String(Math.max(1, attempt));
    const key = JSON.stringify([component, name, status, nth]);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { component, topic: name, status, attempt: nth, count: 0 };
      this.#series.set(key, series);
    }
    series.count++;
  }

  #named(component: string, topic: string): string {
    const key = JSON.stringify([component, topic]);
    if (this.#topics.has(key)) return topic;
    if (this.#topics.size === MOST_TOPICS) return OTHER;
    this.#topics.add(key);
    return topic;
  }
}
