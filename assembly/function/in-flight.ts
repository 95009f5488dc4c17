// How many calls of a function are under way, in all threads of an Envoy.

import { bytes, Bytes, bytesLength, bytesPtr } from '../host/bytes';
import { release } from '../host/memory';
import { getShared, setShared } from '../host/shared-data';
import { Status } from '../host/status';

const TRIES: i32 = 32;
const STATE_BYTES: i32 = 16;

/** The call was let in and not counted, because other threads were always faster. */
export const UNCOUNTED: i64 = -2;
export const REFUSED: i64 = -1;

/**
 * Counts calls that all threads share. They are counted by spans of time, each longer than a call may take: a call
 * whose virtual machine died is never taken off the count, and is forgotten with the span after its own.
 */
export class InFlight {
  private readonly key: ArrayBuffer;
  private readonly state: ArrayBuffer = new ArrayBuffer(STATE_BYTES);

  /**
   * @param key under which the threads share it
   * @param most calls at the same time
   * @param spanMs longer than a call may take
   */
  constructor(
    key: string,
    private readonly most: i32,
    private readonly spanMs: i64,
  ) {
    this.key = String.UTF8.encode(key);
  }

  /** Lets a call in. @param nowMs monotonic milliseconds @returns what to hand to `leave`; REFUSED if there are too many */
  enter(nowMs: i64): i64 {
    const span = nowMs / this.spanMs;
    for (let tries = 0; tries < TRIES; tries++) {
      const version = this.read(span);
      const at = changetype<usize>(this.state);
      const current = load<u32>(at, 8);
      if (current + load<u32>(at, 12) >= <u32>this.most) return REFUSED;
      store<u32>(at, current + 1, 8);
      if (this.write(version)) return span;
    }
    return UNCOUNTED;
  }

  /** A call is over. @param span what `enter` gave @param nowMs monotonic milliseconds */
  leave(span: i64, nowMs: i64): void {
    if (span < 0) return;
    const now = nowMs / this.spanMs;
    for (let tries = 0; tries < TRIES; tries++) {
      const version = this.read(now);
      const at = changetype<usize>(this.state) + (now == span ? 8 : 12);
      // One from before the span before was forgotten already.
      if (now - span > 1 || load<u32>(at) == 0) return;
      store<u32>(at, load<u32>(at) - 1);
      if (this.write(version)) return;
    }
  }

  /** Reads the counts as they are in a span: its own, and those of the span before. @returns the version */
  private read(span: i64): u32 {
    const at = changetype<usize>(this.state);
    const shared = getShared(this.sharedKey);
    const known = bytesLength(shared.value) == STATE_BYTES;
    const from = known ? load<i64>(bytesPtr(shared.value)) : i64.MIN_VALUE;
    store<u64>(at, 0, 8);
    if (from == span) store<u64>(at, load<u64>(bytesPtr(shared.value), 8), 8);
    else if (from == span - 1) store<u32>(at, load<u32>(bytesPtr(shared.value), 8), 12);
    store<i64>(at, span);
    release(shared.value);
    return shared.version;
  }

  private write(version: u32): bool {
    const value = bytes(changetype<usize>(this.state), STATE_BYTES);
    return setShared(this.sharedKey, value, version) != Status.CasMismatch;
  }

  private get sharedKey(): Bytes {
    return bytes(changetype<usize>(this.key), this.key.byteLength);
  }
}
