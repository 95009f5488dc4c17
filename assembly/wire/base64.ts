import { ByteWriter } from './bytes';
import { View, viewLen, viewPtr } from './view';

/** Writes the bytes in base64's standard alphabet (RFC 4648, section 4), with or without `=` at the end. */
export function encodeBase64(v: View, w: ByteWriter, pad: bool): void {
  const len = viewLen(v);
  const whole = len / 3;
  const left = len - whole * 3;
  const tail = left == 0 ? 0 : pad ? 4 : left + 1;
  // a length that does not fit an i32 is over any writer's limit
  const size = <i64>whole * 4 + tail;
  let out = w.reserve(size > i32.MAX_VALUE ? -1 : <i32>size);
  if (out == 0 || len == 0) return;
  let at = viewPtr(v);
  const end = at + whole * 3;
  for (; at < end; at += 3) {
    const bits = ((<u32>load<u8>(at)) << 16) | ((<u32>load<u8>(at, 1)) << 8) | load<u8>(at, 2);
    store<u8>(out, letter(bits >> 18));
    store<u8>(out, letter(bits >> 12), 1);
    store<u8>(out, letter(bits >> 6), 2);
    store<u8>(out, letter(bits), 3);
    out += 4;
  }
  if (left == 0) return;
  const bits = ((<u32>load<u8>(at)) << 16) | (left == 2 ? (<u32>load<u8>(at, 1)) << 8 : 0);
  store<u8>(out, letter(bits >> 18));
  store<u8>(out, letter(bits >> 12), 1);
  if (left == 2) store<u8>(out, letter(bits >> 6), 2);
  else if (pad) store<u8>(out, 0x3d, 2);
  if (pad) store<u8>(out, 0x3d, 3);
}

/**
 * Writes the bytes that base64 text stands for; `=` at the end may be there or not, but if it is, all of it. False,
 * with nothing written, for any other character, a length that cannot be, or bits at the end that are not zero.
 */
export function decodeBase64(v: View, w: ByteWriter): bool {
  const ptr = viewPtr(v);
  let len = viewLen(v);
  if (len % 4 == 0) {
    if (len > 0 && load<u8>(ptr + len - 1) == 0x3d) len--;
    if (len % 4 == 3 && load<u8>(ptr + len - 1) == 0x3d) len--;
  }
  const left = len % 4;
  if (left == 1) return false;
  const start = w.length;
  const size = (len / 4) * 3 + (left == 0 ? 0 : left - 1);
  if (size == 0) return w.ok;
  let out = w.reserve(size);
  if (out == 0) return false;
  let bits: u32 = 0;
  for (let i = 0; i < len; i++) {
    const value = letterValue(load<u8>(ptr + i));
    if (value < 0) {
      w.truncate(start);
      return false;
    }
    bits = (bits << 6) | value;
    if ((i & 3) == 3) {
      store<u8>(out, <u8>(bits >> 16));
      store<u8>(out, <u8>(bits >> 8), 1);
      store<u8>(out, <u8>bits, 2);
      out += 3;
      bits = 0;
    }
  }
  if (left == 2) {
    store<u8>(out, <u8>(bits >> 4));
  } else if (left == 3) {
    store<u8>(out, <u8>(bits >> 10));
    store<u8>(out, <u8>(bits >> 2), 1);
  }
  if ((left == 2 && (bits & 15) != 0) || (left == 3 && (bits & 3) != 0)) {
    w.truncate(start);
    return false;
  }
  return true;
}

function letter(bits: u32): u8 {
  const value = <u8>(bits & 63);
  if (value < 26) return 0x41 + value;
  if (value < 52) return 0x47 + value;
  if (value < 62) return value - 4;
  return value == 62 ? 0x2b : 0x2f;
}

function letterValue(byte: u8): i32 {
  if (byte - 0x41 < 26) return byte - 0x41;
  if (byte - 0x61 < 26) return byte - 0x47;
  if (byte - 0x30 < 10) return byte + 4;
  return byte == 0x2b ? 62 : byte == 0x2f ? 63 : -1;
}
