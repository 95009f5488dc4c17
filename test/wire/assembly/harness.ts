// What the tests call in a compiled module: one function for each thing to test, bytes in, bytes in `out`.
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
import { cleanPath, QueryReader, unescapePath, unescapeQuery } from '../../../assembly/wire/percent';
import {
  literal,
  View,
  view,
  viewByte,
  viewEquals,
  viewLen,
  viewPtr,
  viewSlice,
} from '../../../assembly/wire/view';
import { codec } from './messages';

export * from './dump';
export * from './values';

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
  // What the batch before has left: nothing on the way here refers to an object.
  __collect();
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
