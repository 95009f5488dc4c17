// Memory that crosses the boundary between host and module.

import { Bytes, bytes, bytesPtr } from './bytes';

/**
 * Free bytes in front of every buffer the host allocates. A header can be
 * written there, so that what came in goes out again without being copied.
 */
export const HEADROOM: usize = 192;

/**
 * The host calls this for everything it returns by reference. Such buffers are
 * the receiver's; `release` gives them back at once, which keeps the VM's peak
 * low (a VM's memory never shrinks).
 *
 * @param size bytes wanted
 */
export function proxy_on_memory_allocate(size: usize): usize {
  return heap.alloc(size + HEADROOM) + HEADROOM;
}

/** Gives back bytes that a host call returned. Nothing happens for "no bytes". */
export function release(b: Bytes): void {
  if (b == 0) return;
  const ptr = bytesPtr(b);
  if (ptr != 0) heap.free(ptr - HEADROOM);
}

/** A buffer like those the host allocates: headroom in front, given back with `release`. */
export function allocate(size: i32): Bytes {
  return bytes(proxy_on_memory_allocate(<usize>size), size);
}

/** Two words that host calls write a pointer and a size into. One call is under way at a time. */
export const OUT: usize = memory.data(16);

/** The bytes the last host call wrote to OUT. */
export function received(): Bytes {
  return bytes(load<u32>(OUT), load<u32>(OUT + 4));
}
