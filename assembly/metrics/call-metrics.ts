// What is counted of every call. Counts are kept here and handed to the host
// from the tick: a host call for each would be a good part of what a call costs.

import { Labels } from '../config/labels';
import { codeName } from '../dialects/codes';
import { Route, UNKNOWN } from '../dialects/router';
import { Counter, Histogram } from '../host/metrics';
import { ByteWriter } from '../wire/bytes';
import { View, viewLen, viewPtr } from '../wire/view';

/** A call that is about no component. */
export const NO_COMPONENT: i32 = -2;
/** A call about a component that is not configured. */
export const UNKNOWN_COMPONENT: i32 = -1;

/** An HTTP status that has no meaning of its own. */
export const UNUSUAL_STATUS: i32 = 1000;

/** HTTP statuses and gRPC codes share one number: a gRPC code is below, a status is not. */
const FIRST_STATUS: i32 = 100;
const CODE_BITS: i32 = 10;

const SEMICOLON: u8 = 0x3b;
const UNDERSCORE: u8 = 0x5f;

/** Durations that are kept until the next tick; beyond that they are handed over at once. */
const KEPT_DURATIONS: i32 = 32;
const NO_KEY: u32 = 0xffffffff;

/** How long calls took that are about one thing. */
class Durations {
  private readonly kept: StaticArray<u64> = new StaticArray<u64>(KEPT_DURATIONS);
  private count: i32 = 0;

  constructor(private readonly histogram: Histogram) {}

  record(microseconds: u64): void {
    if (this.count == KEPT_DURATIONS) this.flush();
    unchecked((this.kept[this.count++] = microseconds));
  }

  flush(): void {
    for (let i = 0; i < this.count; i++) this.histogram.record(this.kept[i]);
    this.count = 0;
  }
}

class CallCounter {
  private counter: Counter | null = null;
  private count: i64 = 0;

  constructor(
    private readonly name: ByteWriter,
    private readonly durations: Durations,
  ) {}

  /** Counts one; true if there was nothing to hand over before. */
  increment(microseconds: u64): bool {
    this.durations.record(microseconds);
    return this.count++ == 0;
  }

  flush(): void {
    let counter = this.counter;
    if (counter === null) {
      counter = new Counter(this.name.view());
      this.counter = counter;
      this.name.free();
    }
    counter.add(this.count);
    this.count = 0;
    this.durations.flush();
  }
}

/**
 * Calls and how long they took, by what was called. Labels stand in a metric's name as `;label=value`; Envoy's
 * `stats_tags` make tags of them. Their values come from the configuration and from fixed lists, so that nobody
 * outside can make more of them.
 */
export class CallMetrics {
  private counters: Map<u32, CallCounter> = new Map<u32, CallCounter>();
  private durations: Map<u32, Durations> = new Map<u32, Durations>();
  /** Those with something to hand over. */
  private touched: Array<CallCounter> = [];
  /** A call is often like the one before. */
  private last: CallCounter | null = null;
  private lastKey: u32 = NO_KEY;

  constructor(private readonly components: Labels) {}

  /**
   * Counts one call.
   *
   * @param component its index, NO_COMPONENT or UNKNOWN_COMPONENT
   * @param code what the caller got: a google.rpc.Code, or an HTTP status
   * @param microseconds from the request's headers to the answer
   */
  called(route: Route, component: i32, code: i32, microseconds: i64): void {
    const subject = <u32>(route.index * (this.components.mostLabels() + 2) + component + 2);
    const key = (subject << CODE_BITS) | ((<u32>code) & ((1 << CODE_BITS) - 1));
    let counter = this.last;
    if (counter === null || key != this.lastKey) {
      counter = this.counterFor(key, subject, route, component, code);
      this.last = counter;
      this.lastKey = key;
    }
    if (counter.increment(microseconds > 0 ? <u64>microseconds : 0)) this.touched.push(counter);
  }

  /** Hands over what was counted since. */
  flush(): void {
    for (let i = 0; i < this.touched.length; i++) this.touched[i].flush();
    this.touched.length = 0;
  }

  private counterFor(key: u32, subject: u32, route: Route, component: i32, code: i32): CallCounter {
    if (this.counters.has(key)) return this.counters.get(key);
    const name = this.name('layotto_operations_total', route, component);
    name.text(';code=');
    if (code < FIRST_STATUS) name.text(codeName(code));
    else if (code == UNUSUAL_STATUS) name.text('other');
    else name.decimal(code);
    const counter = new CallCounter(name, this.durationsOf(subject, route, component));
    this.counters.set(key, counter);
    return counter;
  }

  private durationsOf(subject: u32, route: Route, component: i32): Durations {
    if (this.durations.has(subject)) return this.durations.get(subject);
    const name = this.name('layotto_operation_duration_us', route, component);
    const durations = new Durations(new Histogram(name.view()));
    name.free();
    this.durations.set(subject, durations);
    return durations;
  }

  private name(metric: string, route: Route, component: i32): ByteWriter {
    const w = new ByteWriter();
    w.text(metric);
    w.text(';primitive=');
    w.text(route.primitive);
    w.text(';operation=');
    w.text(route.operation);
    w.text(';component=');
    if (component == UNKNOWN_COMPONENT) w.text(UNKNOWN);
    else if (component >= 0) writeLabel(w, this.components.labelAt(component));
    else w.text('none');
    w.text(';door=');
    w.text(route.door);
    return w;
  }
}

/** A label's value must not hold what ends it. */
export function writeLabel(w: ByteWriter, value: View): void {
  for (let i = 0; i < viewLen(value); i++) {
    const c = load<u8>(viewPtr(value) + i);
    w.u8(c == SEMICOLON ? UNDERSCORE : c);
  }
}
