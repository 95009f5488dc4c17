// A token bucket that all workers of an Envoy share.

import { bytes, Bytes, bytesLength, bytesPtr } from '../host/bytes';
import { release } from '../host/memory';
import { getShared, setShared } from '../host/shared-data';
import { Status } from '../host/status';

/** A worker takes as many tokens at a time as come in this part of a second. */
const LEASES_PER_SECOND: f64 = 200;
/** How often a worker tries again when another was faster, before it refuses. */
const TRIES: i32 = 32;
const STATE_BYTES: i32 = 8;

/**
 * Holds up to `burst` tokens, and gains `rate` in a second. It is kept as one number, the time at which it will be full
 * (the generic cell rate algorithm: I.371, "virtual scheduling"), so one compare-and-set takes tokens.
 *
 * A fast bucket is not asked for each token: a worker takes the tokens of 5 ms at once and hands them out by itself.
 * They have left the bucket, so no more than `burst` and `rate` allow are ever given, by all workers together.
 */
export class TokenBucket {
  /** Microseconds that one token takes to come. */
  private readonly interval: f64;
  /** Microseconds that an empty bucket takes to be full. */
  private readonly depth: f64;
  private readonly lease: i32;
  private readonly key: ArrayBuffer;
  private readonly state: ArrayBuffer = new ArrayBuffer(STATE_BYTES);
  private held: i32 = 0;
  /** After a refusal: milliseconds until there is a token again, if nobody else takes it. */
  waitMs: i64 = 0;

  /**
   * @param key under which the workers share it: one for each bucket, and for each rate, so that a changed one is new
   * @param rate tokens in a second, above 0
   * @param burst most tokens at once, at least 1
   */
  constructor(key: string, rate: f64, burst: i32) {
    this.key = String.UTF8.encode(key);
    this.interval = 1_000_000 / rate;
    this.depth = this.interval * <f64>burst;
    // A small burst must not be in one worker's hands.
    const most = burst / 8;
    const lease = <i32>(rate / LEASES_PER_SECOND);
    this.lease = max(1, min(lease, most));
  }

  /** Takes a token. @param nowUs microseconds of the process' clock @returns false if there is none */
  take(nowUs: i64): bool {
    if (this.held == 0) this.held = this.fetch(<f64>nowUs);
    if (this.held == 0) return false;
    this.held--;
    return true;
  }

  /** Takes tokens out of the shared bucket, as many as a lease has or as there are. */
  private fetch(now: f64): i32 {
    const key = this.sharedKey;
    for (let tries = 0; tries < TRIES; tries++) {
      const shared = getShared(key);
      const full = bytesLength(shared.value) == STATE_BYTES ? load<f64>(bytesPtr(shared.value)) : 0;
      release(shared.value);
      // What lies further ahead than an empty bucket's is from another clock or other settings.
      const at = full > now + this.depth ? now + this.depth : max(full, now);
      // A rounding error must not cost a token.
      const there = <i32>((this.depth - (at - now)) / this.interval + 0.000_001);
      if (there < 1) {
        this.waitMs = <i64>Math.ceil((at - now - this.depth + this.interval) / 1_000);
        return 0;
      }
      const taken = min(there, this.lease);
      store<f64>(changetype<usize>(this.state), at + <f64>taken * this.interval);
      const value = bytes(changetype<usize>(this.state), STATE_BYTES);
      if (setShared(key, value, shared.version) != Status.CasMismatch) return taken;
    }
    this.waitMs = 1;
    return 0;
  }

  private get sharedKey(): Bytes {
    return bytes(changetype<usize>(this.key), this.key.byteLength);
  }
}
