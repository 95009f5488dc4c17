/** Bytes to decode at once when everything is ASCII. */
const ASCII_MASK: u64 = 0x8080808080808080;

/** What a byte that is not UTF-8 becomes, as Go's decoders do: one replacement character for each. */
export const REPLACEMENT: u32 = 0xfffd;

/**
 * Length of the well-formed UTF-8 sequence at `ptr`, 1 to 4, or 0 if there is none: a stray continuation byte,
 * an overlong form, a surrogate, a code point past U+10FFFF, or a sequence cut off by `end`.
 * Reads nothing at or past `end`; `ptr` must be before it. (Unicode 15, table 3-7.)
 */
export function utf8Sequence(ptr: usize, end: usize): i32 {
  const first = load<u8>(ptr);
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  const left = end - ptr;
  if (first < 0xe0) return left >= 2 && isContinuation(ptr + 1) ? 2 : 0;
  if (first < 0xf0) {
    if (left < 3) return 0;
    const second = load<u8>(ptr, 1);
    const low: u8 = first == 0xe0 ? 0xa0 : 0x80;
    const high: u8 = first == 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && isContinuation(ptr + 2) ? 3 : 0;
  }
  if (first < 0xf5) {
    if (left < 4) return 0;
    const second = load<u8>(ptr, 1);
    const low: u8 = first == 0xf0 ? 0x90 : 0x80;
    const high: u8 = first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high && isContinuation(ptr + 2) && isContinuation(ptr + 3) ? 4 : 0;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function isContinuation(ptr: usize): bool {
  return (load<u8>(ptr) & 0xc0) == 0x80;
}

/** The first byte in `[ptr, end)` that is not ASCII, or `end`. */
export function skipAscii(ptr: usize, end: usize): usize {
  while (end - ptr >= 8) {
    if ((load<u64>(ptr) & ASCII_MASK) != 0) break;
    ptr += 8;
  }
  while (ptr < end && load<u8>(ptr) < 0x80) ptr++;
  return ptr;
}

/** Whether `[ptr, end)` is well-formed UTF-8. */
export function isUtf8Range(ptr: usize, end: usize): bool {
  while (true) {
    ptr = skipAscii(ptr, end);
    if (ptr >= end) return true;
    const length = utf8Sequence(ptr, end);
    if (length == 0) return false;
    ptr += length;
  }
}

/** The code point of the well-formed sequence of `length` bytes at `ptr`. */
export function codePointAt(ptr: usize, length: i32): u32 {
  const first: u32 = load<u8>(ptr);
  if (length == 1) return first;
  const second: u32 = load<u8>(ptr, 1) & 0x3f;
  if (length == 2) return ((first & 0x1f) << 6) | second;
  const third: u32 = load<u8>(ptr, 2) & 0x3f;
  if (length == 3) return ((first & 0x0f) << 12) | (second << 6) | third;
  return ((first & 0x07) << 18) | (second << 12) | (third << 6) | (load<u8>(ptr, 3) & 0x3f);
}

/** Bytes that a code point takes. */
// @ts-ignore: decorator
@inline
export function codePointSize(code: u32): i32 {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** Writes a code point, which must not be a surrogate, at `ptr` and returns its size. */
export function putCodePoint(ptr: usize, code: u32): i32 {
  if (code < 0x80) {
    store<u8>(ptr, <u8>code);
    return 1;
  }
  if (code < 0x800) {
    store<u8>(ptr, <u8>(0xc0 | (code >> 6)));
    store<u8>(ptr, <u8>(0x80 | (code & 0x3f)), 1);
    return 2;
  }
  if (code < 0x10000) {
    store<u8>(ptr, <u8>(0xe0 | (code >> 12)));
    store<u8>(ptr, <u8>(0x80 | ((code >> 6) & 0x3f)), 1);
    store<u8>(ptr, <u8>(0x80 | (code & 0x3f)), 2);
    return 3;
  }
  store<u8>(ptr, <u8>(0xf0 | (code >> 18)));
  store<u8>(ptr, <u8>(0x80 | ((code >> 12) & 0x3f)), 1);
  store<u8>(ptr, <u8>(0x80 | ((code >> 6) & 0x3f)), 2);
  store<u8>(ptr, <u8>(0x80 | (code & 0x3f)), 3);
  return 4;
}
