// Frames of the session (proto/layotto/bridge/v1/session.proto) on the hot
// path: the header of a request is written into the free bytes in front of the
// caller's own message, so the message is not copied or encoded again.

import { View, view, viewLen, viewPtr } from '../wire/view';

/** Length of a W3C traceparent, version 00. */
const TRACEPARENT_LENGTH: i32 = 55;

/** Longest method name; together with the rest a header is no longer than what is free of the host layer's HEADROOM. */
export const MAX_METHOD_LENGTH: i32 = 80;

/**
 * Whether a header's value has the length and the characters of a W3C traceparent. Anything else is not passed on: a
 * header may hold bytes that are not text, and the frame's field is a string.
 */
export function isTraceparent(value: View): bool {
  if (viewLen(value) != TRACEPARENT_LENGTH) return false;
  const ptr = viewPtr(value);
  for (let i = 0; i < TRACEPARENT_LENGTH; i++) {
    const c = load<u8>(ptr + i);
    const hex = (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x66);
    if (!hex && c != 0x2d) return false;
  }
  return true;
}

function varintSize(value: u64): i32 {
  let size = 1;
  while (value >= 0x80) {
    value >>= 7;
    size++;
  }
  return size;
}

function putVarint(at: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(at++, <u8>(value | 0x80));
    value >>= 7;
  }
  store<u8>(at++, <u8>value);
  return at;
}

function putBytes(at: usize, tag: u8, value: View): usize {
  const length = viewLen(value);
  store<u8>(at++, tag);
  at = putVarint(at, length);
  memory.copy(at, viewPtr(value), length);
  return at + length;
}

function fieldSize(value: View): i32 {
  const length = viewLen(value);
  return length == 0 ? 0 : 1 + varintSize(length) + length;
}

/** Ends where a payload of no bytes would begin. */
const NOWHERE: usize = memory.data(192) + 192;

/**
 * Writes a frame around a payload that has headroom in front of it.
 *
 * @param payload the frame's payload, in memory with the host layer's HEADROOM before it; for one of no bytes,
 *   which is nowhere in memory, the frame is good until the next one is made
 * @param deadlineMs milliseconds the caller still waits; 0 for none
 * @param method full method name, at most MAX_METHOD_LENGTH bytes
 * @param traceparent empty, or one for which `isTraceparent` holds
 * @returns the whole frame; it ends where the payload ends
 */
export function frameAround(
  payload: View,
  id: u64,
  kind: i32,
  deadlineMs: u32,
  method: View,
  traceparent: View,
): View {
  const length = viewLen(payload);
  let size = 1 + varintSize(id) + 2 + fieldSize(method) + fieldSize(traceparent);
  if (deadlineMs != 0) size += 1 + varintSize(deadlineMs);
  if (length != 0) size += 1 + varintSize(length);
  const start = (length == 0 ? NOWHERE : viewPtr(payload)) - <usize>size;
  let at = start;
  store<u8>(at++, 0x08);
  at = putVarint(at, id);
  store<u8>(at++, 0x10);
  store<u8>(at++, <u8>kind);
  if (deadlineMs != 0) {
    store<u8>(at++, 0x18);
    at = putVarint(at, deadlineMs);
  }
  if (method != 0) at = putBytes(at, 0x22, method);
  if (traceparent != 0) at = putBytes(at, 0x2a, traceparent);
  if (length != 0) {
    store<u8>(at++, 0x7a);
    putVarint(at, length);
  }
  return view(start, size + length);
}
