// Time and randomness, through WASI.

import { Random } from 'as-wasi/assembly';

// as-wasi's Performance.now() reads the clock's resolution, not the clock, so
// the call is declared here.
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "clock_time_get")
declare function clock_time_get(clock: u32, precision: u64, time: usize): u16;

const CLOCK_MONOTONIC: u32 = 1;
const time: usize = memory.data(8);

/** Milliseconds of a clock that never goes backwards; only differences mean anything. */
export function monotonicMs(): i64 {
  if (clock_time_get(CLOCK_MONOTONIC, 0, time) != 0) return 0;
  return <i64>(load<u64>(time) / 1000000);
}

/** Microseconds of the same clock. */
export function monotonicUs(): i64 {
  if (clock_time_get(CLOCK_MONOTONIC, 0, time) != 0) return 0;
  return <i64>(load<u64>(time) / 1000);
}

/** A random 64-bit number. */
export function randomU64(): u64 {
  const buffer = new ArrayBuffer(8);
  Random.randomFill(buffer);
  return load<u64>(changetype<usize>(buffer));
}
