// What the tests call of views, the writer and the smaller codecs.
import { Arena } from '../../../assembly/wire/arena';
import { decodeBase64, encodeBase64 } from '../../../assembly/wire/base64';
import { ByteWriter } from '../../../assembly/wire/bytes';
import { isInteger, toInteger } from '../../../assembly/wire/number';
import { constantTimeEquals, sha256, sha256Hex } from '../../../assembly/wire/sha256';
import {
  isUtf8,
  literal,
  view,
  viewEquals,
  viewEqualsIgnoreCase,
  viewHash,
  viewIndexOf,
  viewOf,
  viewPtr,
  viewSlice,
  viewStartsWith,
  viewToString,
} from '../../../assembly/wire/view';
import { out } from './harness';

const literalA = literal('a');

export function base64Encode(ptr: usize, len: i32, pad: i32): void {
  out.reset();
  encodeBase64(view(ptr, len), out, pad != 0);
}

export function base64Decode(ptr: usize, len: i32): i32 {
  out.reset();
  return decodeBase64(view(ptr, len), out);
}

export function sha256Digest(ptr: usize, len: i32, hex: i32): void {
  out.reset();
  if (hex != 0) sha256Hex(view(ptr, len), out);
  else sha256(view(ptr, len), out);
}

export function integerOf(ptr: usize, len: i32): i64 {
  return toInteger(view(ptr, len));
}

export function integerIs(ptr: usize, len: i32): i32 {
  return isInteger(view(ptr, len));
}

export function utf8Is(ptr: usize, len: i32): i32 {
  return isUtf8(view(ptr, len));
}

/** To a string and back. */
export function stringTwice(ptr: usize, len: i32): void {
  out.reset();
  out.text(viewToString(view(ptr, len)));
}

export function hashOf(ptr: usize, len: i32): u32 {
  return viewHash(view(ptr, len));
}

/** Compares the bytes before the first line feed with those after it; a bit for each way. */
export function compareHalves(ptr: usize, len: i32): i32 {
  const all = view(ptr, len);
  const middle = viewIndexOf(all, 0x0a);
  const a = viewSlice(all, 0, middle);
  const b = viewSlice(all, middle + 1, len);
  return (
    (<i32>viewEquals(a, b)) |
    ((<i32>viewEqualsIgnoreCase(a, b)) << 1) |
    ((<i32>viewStartsWith(a, b)) << 2) |
    ((<i32>constantTimeEquals(a, b)) << 3)
  );
}

export function sliceOf(ptr: usize, len: i32, start: i32, end: i32): void {
  out.reset();
  out.raw(viewSlice(view(ptr, len), start, end));
}

export function indexOf(ptr: usize, len: i32, byte: i32, from: i32): i32 {
  return viewIndexOf(view(ptr, len), <u8>byte, from);
}

/** 1 if an empty view is 0, whatever the pointer, and a buffer's view has its bytes. */
export function emptyViews(): i32 {
  const buffer = String.UTF8.encode('abc');
  return view(16, 0) == 0 && literal('') == 0 && viewToString(viewOf(buffer)) == 'abc' ? 1 : 0;
}

/** Every kind of write once. */
export function writerDemo(): void {
  out.reset();
  out.u8(1);
  out.u32be(0x01020304);
  out.u32le(0x01020304);
  out.u64le(0x0102030405060708);
  out.varint(300);
  out.varint(u64.MAX_VALUE);
  out.tag(15, 2);
  out.lenDelimited(1, literalA);
  out.decimal(0);
  out.decimal(-12);
  out.decimal(i64.MIN_VALUE);
  out.hex(0xbeef, 6);
  out.text('é😀');
  out.text(String.fromCharCode(0xd800));
}

/** Writes `count` bytes to a writer that holds 100: its length, or -1 once it is not ok, -2 if it shows bytes then. */
export function writerLimit(count: i32): i32 {
  const w = new ByteWriter(16, 100);
  for (let i = 0; i < count; i++) w.u8(0x61);
  const length = w.ok ? w.length : w.view() == 0 && w.take() == 0 ? -1 : -2;
  w.free();
  return length;
}

/** 1 if what was taken is the caller's and the writer starts anew. */
export function writerTake(): i32 {
  const w = new ByteWriter(4, 1000);
  w.text('first');
  const taken = w.take();
  w.text('second');
  const good = viewToString(taken) == 'first' && viewToString(w.view()) == 'second' && w.length == 6;
  heap.free(viewPtr(taken));
  w.reset();
  const empty = w.length == 0 && w.take() == 0;
  w.free();
  return good && empty ? 1 : 0;
}

/** How many pieces of a size come one right after the other before the arena takes new memory. */
export function arenaPieces(size: i32): i32 {
  const arena = new Arena();
  let pieces = 0;
  let expected = arena.alloc(size);
  do {
    pieces++;
    expected += size;
  } while (arena.alloc(size) == expected);
  arena.reset();
  return pieces;
}
