// What one root context may hold at a time. Envoy queues what is sent on a
// stream without bound, so the filter counts it.

/** Bytes and operations in use against their limits. */
export class Budget {
  /** Bytes of requests, of sent operations not yet answered, and of results not yet delivered. */
  bytes: i64 = 0;
  /** Operations the bridge has not answered, including those whose caller is gone. */
  operations: i32 = 0;
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
