// Shows what decoded messages hold, as JSON, so that a reader and a writer with the same mistake do not pass.
import { ByteWriter } from '../../../assembly/wire/bytes';
import { Frame } from '../../../assembly/wire/gen/layotto/bridge/v1/session';
import { GetStateRequest } from '../../../assembly/wire/gen/layotto/bridge/v1/state';
import { JsonWriter } from '../../../assembly/wire/json-writer';
import { ProtoReader } from '../../../assembly/wire/proto';
import { StringMap } from '../../../assembly/wire/string-map';
import { literal, View, view, viewLen } from '../../../assembly/wire/view';
import { Color, Everything } from './gen/layotto/test/v1/everything';
import { out } from './harness';

function name(w: JsonWriter, text: string): void {
  const key = String.UTF8.encode(text);
  w.key(view(changetype<usize>(key), key.byteLength));
}

function text(w: JsonWriter, value: string): void {
  const bytes = String.UTF8.encode(value);
  w.string(view(changetype<usize>(bytes), bytes.byteLength));
}

function list<T>(w: JsonWriter, values: Array<T>): void {
  w.beginArray();
  for (let i = 0; i < values.length; i++) text(w, values[i].toString());
  w.endArray();
}

function views(w: JsonWriter, values: Array<View>): void {
  w.beginArray();
  for (let i = 0; i < values.length; i++) w.string(values[i]);
  w.endArray();
}

/** Decodes an Everything; numbers are written as text. */
export function dumpEverything(ptr: usize, len: i32): i32 {
  out.reset();
  const m = new Everything();
  if (!m.decode(view(ptr, len))) return 0;
  const w = new JsonWriter(out);
  w.beginObject();
  name(w, 'numbers');
  w.beginArray();
  text(w, m.aDouble.toString());
  text(w, m.aFloat.toString());
  text(w, m.anInt32.toString());
  text(w, m.anInt64.toString());
  text(w, m.aUint32.toString());
  text(w, m.aUint64.toString());
  text(w, m.aSint32.toString());
  text(w, m.aSint64.toString());
  text(w, m.aFixed32.toString());
  text(w, m.aFixed64.toString());
  text(w, m.aSfixed32.toString());
  text(w, m.aSfixed64.toString());
  text(w, m.far.toString());
  w.endArray();
  name(w, 'aBool');
  w.boolean(m.aBool);
  name(w, 'aString');
  w.string(m.aString);
  name(w, 'someBytes');
  w.string(m.someBytes);
  name(w, 'color');
  w.boolean(m.color == Color.NEGATIVE);
  name(w, 'child');
  const child = m.child;
  if (child === null) w.nothing();
  else w.string(child.aString);
  name(w, 'lists');
  w.beginArray();
  list<f64>(w, m.doubles);
  list<f32>(w, m.floats);
  list<i32>(w, m.int32s);
  list<u64>(w, m.uint64s);
  list<i32>(w, m.sint32s);
  list<i64>(w, m.sint64s);
  list<u32>(w, m.fixed32s);
  list<i64>(w, m.sfixed64s);
  list<bool>(w, m.bools);
  list<i32>(w, m.colors);
  views(w, m.strings);
  views(w, m.byteStrings);
  w.endArray();
  name(w, 'children');
  w.beginArray();
  for (let i = 0; i < m.children.length; i++) w.string(m.children[i].aString);
  w.endArray();
  name(w, 'labels');
  w.beginArray();
  views(w, m.labels.keys);
  views(w, m.labels.values);
  w.endArray();
  name(w, 'presence');
  w.beginArray();
  w.boolean(m.hasMaybeInt32);
  w.number(m.maybeInt32);
  w.boolean(m.hasMaybeString);
  w.boolean(m.hasMaybeBool);
  w.boolean(m.hasMaybeColor);
  w.endArray();
  name(w, 'choice');
  w.beginArray();
  w.boolean(m.hasChosenNumber);
  w.boolean(m.hasChosenText);
  w.boolean(m.chosenMessage !== null);
  w.endArray();
  name(w, 'reset');
  w.string(m.reset_);
  w.endObject();
  return 1;
}

const request = new GetStateRequest();

/** Decodes a GetStateRequest `times` times into one object; 1 if all went well. */
export function decodeOften(ptr: usize, len: i32, times: i32): i32 {
  const input = view(ptr, len);
  for (let i = 0; i < times; i++) {
    if (!request.decode(input)) return 0;
  }
  return 1;
}

/** 1 if a message that could not be read leaves nothing behind. */
export function decodeFailure(ptr: usize, len: i32): i32 {
  return !request.decode(view(ptr, len)) && request.storeName == 0 && request.metadata.size == 0 ? 1 : 0;
}

/** Encodes a frame with a message longer than its writer may hold: 1 if that shows. */
export function encodeTooLarge(ptr: usize, len: i32): i32 {
  const frame = new Frame();
  frame.payload = view(ptr, len);
  const w = new ByteWriter(16, len);
  frame.encode(w);
  const refused = !w.ok && w.view() == 0;
  w.free();
  return refused ? 1 : 0;
}

/** Puts keys into a map and takes them out; 0, or the number of the first thing that was wrong. */
export function mapDemo(): i32 {
  const map = new StringMap();
  const a = literal('a');
  const b = literal('b');
  if (map.size != 0 || map.has(a) || map.get(a) != 0) return 1;
  map.set(a, b);
  map.set(b, a);
  if (map.size != 2 || map.get(a) != b || map.get(b) != a) return 2;
  map.set(a, a);
  if (map.size != 2 || map.get(a) != a) return 3;
  map.append(a, b);
  if (map.size != 3 || map.get(a) != b) return 4;
  map.reset();
  return map.size == 0 && !map.has(a) ? 0 : 5;
}

/** Passes over every field with the reader alone; the number of fields, or -1. */
export function countFields(ptr: usize, len: i32): i32 {
  const r = new ProtoReader();
  r.reset(view(ptr, len));
  let count = 0;
  while (r.next()) {
    count++;
    r.skip();
  }
  // after an error nothing can be read
  if (!r.ok && (r.next() || r.varint() != 0 || viewLen(r.bytes()) != 0)) return -2;
  return r.ok ? count : -1;
}
