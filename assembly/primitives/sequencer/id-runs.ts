// Runs of ids that the bridge has given to this filter, to be handed out here.
//
// A run is this filter's alone: the backend has counted past it, so no other
// filter, runtime or call can be given one of its ids. What is left of a run
// when it is given up is never used: a gap.

import { RoomState } from '../../dialects/background';
import { ByteWriter } from '../../wire/bytes';
import { View, viewEquals, viewHash, viewLen } from '../../wire/view';

/** Keys at most, in sets of a few places each: whoever comes later takes the place that was used longest ago. */
const SETS: u32 = 256;
const WAYS: i32 = 4;

/** Longest key that is kept; ids of longer ones are asked for one by one. */
const LONGEST_KEY: i32 = 512;

/** What is left of the ids of one key. */
export class IdRun {
  /** The next id and the last one; none are left if the first is greater. */
  private next: i64 = 1;
  private last: i64 = 0;
  /** So many are few: it is time to ask for more. */
  private few: i64 = 0;
  /** The run after this one, if it is there already. */
  private laterNext: i64 = 1;
  private laterLast: i64 = 0;
  /** Somebody is asking for more. */
  asking: bool = false;
  usedAt: u64 = 0;

  constructor(
    readonly component: i32,
    readonly key: ByteWriter,
  ) {}

  /** The next id; 0 if none is left. */
  take(): i64 {
    if (this.next > this.last) {
      this.next = this.laterNext;
      this.last = this.laterLast;
      this.few = (this.last - this.next + 1) / 4;
      this.laterNext = 1;
      this.laterLast = 0;
    }
    if (this.next > this.last) return 0;
    const id = this.next;
    // The last id that there can be has none after it.
    if (id == this.last) this.last = this.next - 1;
    else this.next++;
    return id;
  }

  /** Few ids are left, and nobody asks for more. */
  get wants(): bool {
    return !this.asking && this.laterNext > this.laterLast && this.last - this.next < this.few;
  }

  /** Takes in a run. */
  fill(from: i64, to: i64): void {
    this.asking = false;
    this.laterNext = from;
    this.laterLast = to;
  }

  is(component: i32, key: View): bool {
    return this.component == component && viewEquals(this.key.view(), key);
  }
}

/** The runs of one root context. */
export class IdRuns extends RoomState {
  private places: Array<IdRun | null> = new Array<IdRun | null>(0);
  private clock: u64 = 0;

  /** The run of a key, with nothing in it if it is new; null for a key that is too long. */
  of(component: i32, key: View): IdRun | null {
    if (viewLen(key) > LONGEST_KEY) return null;
    if (this.places.length == 0) this.places = new Array<IdRun | null>(<i32>SETS * WAYS);
    const places = this.places;
    const first = <i32>((viewHash(key) ^ (<u32>component)) % SETS) * WAYS;
    let oldest = first;
    let oldestAt: u64 = u64.MAX_VALUE;
    for (let i = first; i < first + WAYS; i++) {
      const run = places[i];
      if (run !== null && run.is(component, key)) {
        run.usedAt = ++this.clock;
        return run;
      }
      const usedAt: u64 = run === null ? 0 : run.usedAt;
      if (usedAt < oldestAt) {
        oldestAt = usedAt;
        oldest = i;
      }
    }
    const old = places[oldest];
    // Who still asks for it fills a run that nobody finds.
    if (old !== null) old.key.free();
    const copy = new ByteWriter(viewLen(key) + 1);
    copy.raw(key);
    const run = new IdRun(component, copy);
    run.usedAt = ++this.clock;
    places[oldest] = run;
    return run;
  }
}
