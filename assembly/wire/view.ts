import { codePointAt, isUtf8Range, REPLACEMENT, utf8Sequence } from './utf8';

/**
 * Borrowed bytes in linear memory: the pointer in the low 32 bits, the length in the high 32. Whoever owns the
 * bytes says how long a view of them is good; nothing here copies, and the garbage collector does not see it.
 * A view of no bytes is always 0.
 */
export type View = u64;

/** A view of `len` bytes at `ptr`; the empty view for `len` of 0 or less. */
// @ts-ignore: decorator
@inline
export function view(ptr: usize, len: i32): View {
  return len > 0 ? ((<u64>len) << 32) | (<u64>ptr) : 0;
}

/** Where the bytes start. */
// @ts-ignore: decorator
@inline
export function viewPtr(v: View): usize {
  return <usize>(<u32>v);
}

/** How many bytes there are. */
// @ts-ignore: decorator
@inline
export function viewLen(v: View): i32 {
  return <i32>(v >> 32);
}

/** The bytes from `start` up to `end`, both moved into the view if they lie outside. */
export function viewSlice(v: View, start: i32, end: i32): View {
  const len = viewLen(v);
  const from = max(0, min(start, len));
  const to = max(from, min(end, len));
  return view(viewPtr(v) + from, to - from);
}

/** The byte at `index`, or 0 outside the view. */
export function viewByte(v: View, index: i32): u8 {
  if (<u32>index >= <u32>viewLen(v)) return 0;
  return load<u8>(viewPtr(v) + index);
}

/** Whether both hold the same bytes. */
export function viewEquals(a: View, b: View): bool {
  const len = viewLen(a);
  if (len != viewLen(b)) return false;
  return memory.compare(viewPtr(a), viewPtr(b), len) == 0;
}

/** Whether both hold the same bytes when ASCII letters count as lower case. */
export function viewEqualsIgnoreCase(a: View, b: View): bool {
  const len = viewLen(a);
  if (len != viewLen(b)) return false;
  const left = viewPtr(a);
  const right = viewPtr(b);
  for (let i = 0; i < len; i++) {
    if (asciiLower(load<u8>(left + i)) != asciiLower(load<u8>(right + i))) return false;
  }
  return true;
}

/** The byte, lower case if it is an ASCII letter. */
// @ts-ignore: decorator
@inline
export function asciiLower(byte: u8): u8 {
  return byte - 0x41 < 26 ? byte | 0x20 : byte;
}

/** Whether `v` begins with the bytes of `prefix`. */
export function viewStartsWith(v: View, prefix: View): bool {
  const len = viewLen(prefix);
  if (viewLen(v) < len) return false;
  return memory.compare(viewPtr(v), viewPtr(prefix), len) == 0;
}

/** A view of a buffer's bytes; good as long as the caller keeps the buffer alive. */
export function viewOf(buf: ArrayBuffer): View {
  return view(changetype<usize>(buf), buf.byteLength);
}

/** The first position at or after `from` that holds `byte`, or -1. */
export function viewIndexOf(v: View, byte: u8, from: i32 = 0): i32 {
  const len = viewLen(v);
  const ptr = viewPtr(v);
  for (let i = max(0, from); i < len; i++) {
    if (load<u8>(ptr + i) == byte) return i;
  }
  return -1;
}

/**
 * The bytes of a constant text, encoded once and kept for as long as the VM lives. For module-level constants
 * only: called per request, it would leak.
 */
export function literal(s: string): View {
  const len = String.UTF8.byteLength(s);
  if (len == 0) return 0;
  const ptr = heap.alloc(len);
  String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, ptr, false, String.UTF8.ErrorMode.REPLACE);
  return view(ptr, len);
}

/** FNV-1a over the bytes. Not for tables an outsider can fill: collisions are easy to make. */
export function viewHash(v: View): u32 {
  let hash: u32 = 0x811c9dc5;
  let ptr = viewPtr(v);
  const end = ptr + viewLen(v);
  while (ptr < end) {
    hash = (hash ^ load<u8>(ptr)) * 0x01000193;
    ptr++;
  }
  return hash;
}

/** Whether the bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF. */
export function isUtf8(v: View): bool {
  const ptr = viewPtr(v);
  return isUtf8Range(ptr, ptr + viewLen(v));
}

/** The bytes as a string; each byte that is not UTF-8 becomes U+FFFD. */
export function viewToString(v: View): string {
  const len = viewLen(v);
  if (len == 0) return '';
  const ptr = viewPtr(v);
  const end = ptr + len;
  if (isUtf8Range(ptr, end)) return String.UTF8.decodeUnsafe(ptr, len);
  // a code unit needs at least one byte of input, so this is enough for any input
  const units = heap.alloc((<usize>len) << 1);
  let out = units;
  for (let at = ptr; at < end;) {
    const sequence = utf8Sequence(at, end);
    const code = sequence == 0 ? REPLACEMENT : codePointAt(at, sequence);
    at += max(sequence, 1);
    if (code < 0x10000) {
      store<u16>(out, <u16>code);
      out += 2;
    } else {
      store<u16>(out, <u16>(0xd7c0 + (code >> 10)));
      store<u16>(out, <u16>(0xdc00 | (code & 0x3ff)), 2);
      out += 4;
    }
  }
  const text = String.UTF16.decodeUnsafe(units, <i32>(out - units));
  heap.free(units);
  return text;
}
