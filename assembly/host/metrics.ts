// Metrics of the host (proxy-wasm ABI v0.2.1): they appear in Envoy's own
// statistics, below the prefix `wasmcustom.`. A metric of one name is one metric
// for all threads.

import { proxy_define_metric, proxy_increment_metric, proxy_record_metric } from './abi';
import { Bytes, bytesLength, bytesPtr } from './bytes';
import { OUT } from './memory';
import { Status } from './status';

enum MetricType {
  Counter = 0,
  Gauge = 1,
  Histogram = 2,
}

/** No metric: adding to it does nothing. */
const NONE: u32 = 0xffffffff;

function define(type: MetricType, name: Bytes): u32 {
  store<u32>(OUT, 0);
  const status = proxy_define_metric(<i32>type, bytesPtr(name), bytesLength(name), OUT);
  return status == Status.Ok ? load<u32>(OUT) : NONE;
}

/** A number that grows. */
export class Counter {
  private readonly id: u32;

  constructor(name: Bytes) {
    this.id = define(MetricType.Counter, name);
  }

  add(count: i64): void {
    if (this.id != NONE && count != 0) proxy_increment_metric(this.id, count);
  }
}

/** A number that goes up and down. Threads add their own share to it, so that it is the sum of all. */
export class Gauge {
  private readonly id: u32;
  private share: i64 = 0;

  constructor(name: Bytes) {
    this.id = define(MetricType.Gauge, name);
  }

  /** Sets this thread's share. */
  set(value: i64): void {
    if (this.id != NONE && value != this.share) proxy_increment_metric(this.id, value - this.share);
    this.share = value;
  }
}

/** A distribution of whole numbers. */
export class Histogram {
  private readonly id: u32;

  constructor(name: Bytes) {
    this.id = define(MetricType.Histogram, name);
  }

  record(value: u64): void {
    if (this.id != NONE) proxy_record_metric(this.id, value);
  }
}
