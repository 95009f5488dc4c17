// Memory that crosses the boundary between host and module.

import { Bytes, bytes, bytesPtr } from './bytes';

/**
 * Bytes in front of every buffer the host allocates. All but the first 16 are
 * free: a header can be written at their end, so that what came in goes out
 * again without being copied.
 */
export const HEADROOM: usize = 192;

// The first 16: where the next of the spare buffers is, and whether a buffer may become one. Those of buffers that
// others made are zeros.
const KIND: usize = 8;
const KEPT: u32 = 0x73706172;

/** What is no longer than this is kept for the next one: the head of a call, a status, a short message. */
const SMALL: usize = 2048 - HEADROOM;
const MOST_SPARES: i32 = 64;

/** The buffer that was given back last, which is likely to be in the caches of the processor still. */
let spare: usize = 0;
let spares: i32 = 0;

/**
 * The host calls this for everything it returns by reference. Such buffers are
 * the receiver's; `release` gives them back at once, which keeps the VM's peak
 * low (a VM's memory never shrinks).
 *
 * @param size bytes wanted
 */
export function proxy_on_memory_allocate(size: usize): usize {
  let block = spare;
  if (size > SMALL) {
    block = heap.alloc(HEADROOM + size);
    store<u32>(block, 0, KIND);
  } else if (block != 0) {
    spare = load<usize>(block);
    spares--;
  } else {
    block = heap.alloc(HEADROOM + SMALL);
    store<u32>(block, KEPT, KIND);
  }
  return block + HEADROOM;
}

/** Gives back bytes that a host call returned. Nothing happens for "no bytes". */
export function release(b: Bytes): void {
  const ptr = bytesPtr(b);
  if (ptr == 0) return;
  const block = ptr - HEADROOM;
  if (load<u32>(block, KIND) != KEPT || spares == MOST_SPARES) {
    heap.free(block);
    return;
  }
  store<usize>(block, spare);
  spare = block;
  spares++;
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
