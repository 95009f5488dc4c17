// What the tests call in a compiled module: one function for each thing to test, bytes in, bytes in `out`.
import { Arena } from '../../../assembly/wire/arena';
import { encodeBase64, decodeBase64 } from '../../../assembly/wire/base64';
import { ByteWriter } from '../../../assembly/wire/bytes';
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  FrameStatus,
  parseTimeout,
  parseUnary,
  unaryMessage,
  writePrefix,
} from '../../../assembly/wire/grpc';
import { JsonError, JsonKind, JsonReader } from '../../../assembly/wire/json';
import { jsonString, JsonWriter } from '../../../assembly/wire/json-writer';
import { isInteger, toInteger } from '../../../assembly/wire/number';
import { cleanPath, QueryReader, unescapePath, unescapeQuery } from '../../../assembly/wire/percent';
import { constantTimeEquals, sha256, sha256Hex } from '../../../assembly/wire/sha256';
import {
  isUtf8,
  literal,
  View,
  view,
  viewByte,
  viewEquals,
  viewEqualsIgnoreCase,
  viewHash,
  viewIndexOf,
  viewLen,
  viewOf,
  viewPtr,
  viewSlice,
  viewStartsWith,
  viewToString,
} from '../../../assembly/wire/view';
import { codec } from './messages';

export * from './dump';

/** Where every function leaves its bytes; the largest batch of the tests fits. */
export const out = new ByteWriter(1 << 16, 1 << 29);

export function outPtr(): usize {
  return viewPtr(out.view());
}

export function outLen(): i32 {
  return viewLen(out.view());
}

export function allocate(size: i32): usize {
  return heap.alloc(size);
}

export function release(ptr: usize): void {
  heap.free(ptr);
}

/** One entry of a batch: a byte that says what, a length, bytes. */
let entry: View = 0;
let entryKind: u8 = 0;
let batchAt: usize = 0;
let batchEnd: usize = 0;

function openBatch(ptr: usize, len: i32): void {
  out.reset();
  batchAt = ptr;
  batchEnd = ptr + len;
}

function nextEntry(): bool {
  if (batchAt >= batchEnd) return false;
  entryKind = load<u8>(batchAt);
  const len = load<i32>(batchAt, 1);
  entry = view(batchAt + 5, len);
  batchAt += 5 + len;
  return true;
}

function answer(status: i32, bytes: View): void {
  out.u8(<u8>status);
  out.u32le(viewLen(bytes));
  out.raw(bytes);
}

const encoded = new ByteWriter();

/** Decodes each entry as the message its kind names and encodes it again. */
export function protobufBatch(ptr: usize, len: i32): void {
  openBatch(ptr, len);
  while (nextEntry()) {
    encoded.reset();
    const ok = codec(entryKind, entry, encoded);
    answer(ok ? 1 : 0, ok ? encoded.view() : 0);
  }
}

/** Checks that each entry is one message. */
export function grpcBatch(ptr: usize, len: i32): void {
  openBatch(ptr, len);
  while (nextEntry()) {
    const status = parseUnary(entry);
    answer(status, status == FrameStatus.OK ? unaryMessage(entry) : 0);
  }
}

const json = new JsonReader();
const whole = new JsonReader();

/** Reads each entry as JSON and writes it again; status 255 if the two ways of reading it disagree. */
export function jsonBatch(ptr: usize, len: i32): void {
  openBatch(ptr, len);
  while (nextEntry()) {
    encoded.reset();
    whole.reset(entry);
    const raw = whole.raw();
    json.reset(entry);
    copyValue(json, new JsonWriter(encoded));
    const agree =
      whole.ok == json.ok &&
      whole.error == json.error &&
      whole.errorAt == json.errorAt &&
      whole.rest() == json.rest() &&
      (!whole.ok || viewEquals(raw, trimmed(entry, json.rest())));
    if (!agree) {
      answer(255, 0);
    } else if (!json.ok) {
      encoded.reset();
      encoded.text(json.errorText());
      answer(json.error, encoded.view());
    } else {
      answer(blank(json.rest()) ? 0 : 100, encoded.view());
    }
  }
}

function blank(v: View): bool {
  for (let i = 0; i < viewLen(v); i++) {
    const byte = viewByte(v, i);
    if (byte != 0x20 && byte != 0x09 && byte != 0x0a && byte != 0x0d) return false;
  }
  return true;
}

/** What stands before the rest, without the white space in front. */
function trimmed(v: View, rest: View): View {
  const end = viewLen(v) - viewLen(rest);
  let start = 0;
  while (start < end && blank(viewSlice(v, start, start + 1))) start++;
  return viewSlice(v, start, end);
}

function copyValue(r: JsonReader, w: JsonWriter): void {
  switch (r.peek()) {
    case JsonKind.OBJECT:
      r.enterObject();
      w.beginObject();
      while (r.nextKey()) {
        w.key(r.key);
        copyValue(r, w);
      }
      w.endObject();
      break;
    case JsonKind.ARRAY:
      r.enterArray();
      w.beginArray();
      while (r.nextItem()) copyValue(r, w);
      w.endArray();
      break;
    case JsonKind.STRING:
      w.string(r.string());
      break;
    case JsonKind.NUMBER:
      w.raw(r.number());
      break;
    case JsonKind.TRUE:
    case JsonKind.FALSE:
      w.boolean(r.boolean());
      break;
    case JsonKind.NULL:
      w.raw(r.raw());
      break;
    default:
      break;
  }
}

/** The text of the first error in a value, and its position as the result; empty and -1 if there is none. */
export function jsonErrorOf(ptr: usize, len: i32): i32 {
  out.reset();
  json.reset(view(ptr, len));
  json.raw();
  out.text(json.errorText());
  return json.ok ? -1 : json.errorAt;
}

/** Reads `{"a": …}`: the integer, string or boolean of a, as asked for; other members are left unread. */
export function jsonMember(ptr: usize, len: i32, kind: i32): i32 {
  out.reset();
  json.reset(view(ptr, len));
  const name = literalA;
  if (json.enterObject()) {
    while (json.nextKey()) {
      if (!viewEquals(json.key, name)) continue;
      if (kind == JsonKind.NUMBER) out.decimal(json.integer());
      else if (kind == JsonKind.STRING) out.raw(json.string());
      else if (kind == JsonKind.TRUE) out.text(json.boolean() ? 'true' : 'false');
      else if (kind == JsonKind.OBJECT) out.raw(json.raw());
    }
  }
  return json.error;
}

const literalA = literal('a');

/** Asks for members of something that is no object, and for values after the end: no trap, one error. */
export function jsonMisuse(ptr: usize, len: i32): i32 {
  json.reset(view(ptr, len));
  json.nextKey();
  json.nextItem();
  json.enterArray();
  json.string();
  json.integer();
  json.boolean();
  json.skip();
  json.raw();
  return json.error == JsonError.NONE ? 1 : 0;
}

export function jsonQuote(ptr: usize, len: i32): void {
  out.reset();
  jsonString(out, view(ptr, len));
}

/** Every method of the writer once. */
export function jsonWriterDemo(): void {
  out.reset();
  const w = new JsonWriter(out);
  w.beginObject();
  w.key(literalA);
  w.beginArray();
  w.number(i64.MIN_VALUE);
  w.string(literalA);
  w.boolean(true);
  w.nothing();
  w.beginObject();
  w.endObject();
  w.endArray();
  w.key(0);
  w.raw(literalA);
  w.endObject();
}

export function grpcTimeout(ptr: usize, len: i32): i64 {
  return parseTimeout(view(ptr, len));
}

export function grpcPrefix(len: i32): void {
  out.reset();
  writePrefix(out.reserve(5), len);
}

export function grpcMessageEncode(ptr: usize, len: i32): void {
  out.reset();
  encodeGrpcMessage(out, view(ptr, len));
}

export function grpcMessageDecode(ptr: usize, len: i32): void {
  out.reset();
  decodeGrpcMessage(out, view(ptr, len));
}

export function queryUnescape(ptr: usize, len: i32): i32 {
  out.reset();
  return unescapeQuery(view(ptr, len), out);
}

export function pathUnescape(ptr: usize, len: i32): i32 {
  out.reset();
  return unescapePath(view(ptr, len), out);
}

export function pathClean(ptr: usize, len: i32): void {
  out.reset();
  // something in front that must stay
  out.u8(0x23);
  cleanPath(view(ptr, len), out);
}

/** The pairs of a query, one a line. */
export function queryPairs(ptr: usize, len: i32): void {
  out.reset();
  const reader = new QueryReader();
  reader.reset(view(ptr, len));
  while (reader.next()) {
    out.raw(reader.key);
    out.u8(0x3d);
    out.raw(reader.value);
    out.u8(0x0a);
  }
}

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
