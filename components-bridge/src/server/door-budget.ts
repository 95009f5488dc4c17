/** Calls that are waited for may take so much for each operation there may be, and so much in any case. */
const WAITING_BYTES = 8 * 1024;
const LEAST_WAITING_BYTES = 1024 * 1024;

/** What the calls of a door may hold at a time, all of them together. It counts as the filter's budget does. */
export class DoorBudget {
  #bytes = 0;
  #operations = 0;
  #waiting = 0;
  #streams = 0;

  constructor(private readonly limits: { operations: number; streams: number; bytes: number }) {}

  /** Bytes of requests, and of answers that callers have not taken. */
  get bytes(): number {
    return this.#bytes;
  }

  get operations(): number {
    return this.#operations;
  }

  /** Takes bytes; false, and nothing is taken, when they do not fit. */
  take(size: number): boolean {
    if (this.#bytes + size > this.limits.bytes) return false;
    this.#bytes += size;
    return true;
  }

  give(size: number): void {
    this.#bytes -= size;
  }

  /** Takes what a call takes by being there, apart from the bytes of its messages. */
  takeWaiting(size: number): boolean {
    const { bytes, operations } = this.limits;
    if (this.#waiting + size > Math.max(LEAST_WAITING_BYTES, bytes / 4, WAITING_BYTES * operations))
      return false;
    this.#waiting += size;
    return true;
  }

  giveWaiting(size: number): void {
    this.#waiting -= size;
  }

  takeOperation(): boolean {
    if (this.#operations >= this.limits.operations) return false;
    this.#operations++;
    return true;
  }

  giveOperation(): void {
    this.#operations--;
  }

  takeStream(): boolean {
    if (this.#streams >= this.limits.streams) return false;
    this.#streams++;
    return true;
  }

  giveStream(): void {
    this.#streams--;
  }
}
