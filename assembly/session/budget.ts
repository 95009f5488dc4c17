// What one root context may hold at a time. Envoy queues what is sent on a
// stream without bound, so the filter counts it.

/** Calls that are waited for may take so much for each operation there may be, and so much in any case. */
const WAITING_BYTES: i64 = 8 * 1024;
const LEAST_WAITING_BYTES: i64 = 1024 * 1024;

/** Bytes and operations in use against their limits. */
export class Budget {
  /** Bytes of requests, of sent operations not yet answered, and of results not yet delivered. */
  bytes: i64 = 0;
  /** Operations the bridge has not answered, including those whose caller is gone. */
  operations: i32 = 0;
  /** What calls whose bodies are waited for take beside them. */
  private waiting: i64 = 0;
  /** How often there was no room. */
  refusedBytes: i64 = 0;
  refusedOperations: i64 = 0;

  constructor(
    public readonly maxBytes: i64,
    public readonly maxOperations: i32,
  ) {}

  /** Takes bytes; false, and nothing is taken, when they do not fit. */
  take(size: i32): bool {
    if (this.bytes + size > this.maxBytes) {
      this.refusedBytes++;
      return false;
    }
    this.bytes += size;
    return true;
  }

  /**
   * Takes what a call takes whose body is waited for. It is counted apart, so that a message may be as long as all the
   * bytes: a quarter of them, or what that many calls as there may be operations need, if that is more.
   */
  takeWaiting(size: i32): bool {
    const most = max(LEAST_WAITING_BYTES, max(this.maxBytes / 4, WAITING_BYTES * this.maxOperations));
    if (this.waiting + size > most) {
      this.refusedBytes++;
      return false;
    }
    this.waiting += size;
    return true;
  }

  /** Gives back what `takeWaiting` took. */
  giveWaiting(size: i32): void {
    this.waiting -= size;
  }

  /** Takes one operation; false when there are too many. */
  takeOperation(): bool {
    if (this.operations >= this.maxOperations) {
      this.refusedOperations++;
      return false;
    }
    this.operations++;
    return true;
  }

  /** Gives bytes back. */
  give(size: i32): void {
    this.bytes -= size;
  }
}
