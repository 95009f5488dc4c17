import { ByteWriter } from './bytes';
import { delimitedSize, ProtoReader } from './proto';
import { View, viewEquals, viewLen } from './view';

/**
 * A `map<string, string>` as two lists. A key that stood on the wire twice is kept twice; `get` answers the last
 * one, as the format demands. That makes decoding linear whatever an outsider sends.
 */
export class StringMap {
  private keyList: Array<View> | null = null;
  private valueList: Array<View> | null = null;

  /** The keys, in order. */
  get keys(): Array<View> {
    let list = this.keyList;
    if (list === null) {
      list = new Array<View>();
      this.keyList = list;
    }
    return list;
  }

  /** The value of each key. */
  get values(): Array<View> {
    let list = this.valueList;
    if (list === null) {
      list = new Array<View>();
      this.valueList = list;
    }
    return list;
  }

  /** Entries kept. */
  get size(): i32 {
    const list = this.keyList;
    return list === null ? 0 : list.length;
  }

  private indexOf(key: View): i32 {
    const list = this.keyList;
    if (list === null) return -1;
    for (let i = list.length - 1; i >= 0; i--) {
      if (viewEquals(unchecked(list[i]), key)) return i;
    }
    return -1;
  }

  has(key: View): bool {
    return this.indexOf(key) >= 0;
  }

  /** The value of a key; the empty view if there is none. */
  get(key: View): View {
    const index = this.indexOf(key);
    return index < 0 ? 0 : unchecked(this.values[index]);
  }

  /** Sets a key's value, in place if the key is there. */
  set(key: View, value: View): void {
    const index = this.indexOf(key);
    if (index < 0) this.append(key, value);
    else unchecked((this.values[index] = value));
  }

  /** Adds an entry without looking whether the key is there. */
  append(key: View, value: View): void {
    this.keys.push(key);
    this.values.push(value);
  }

  reset(): void {
    const keys = this.keyList;
    if (keys !== null) keys.length = 0;
    const values = this.valueList;
    if (values !== null) values.length = 0;
  }

  /** Reads one entry of the map, a message with the key in field 1 and the value in field 2. */
  merge(r: ProtoReader): void {
    const outer = r.enter();
    let key: View = 0;
    let value: View = 0;
    while (r.next()) {
      if (r.tag == 10) key = r.string();
      else if (r.tag == 18) value = r.string();
      else r.skip();
    }
    r.leave(outer);
    if (r.ok) this.append(key, value);
  }

  /** Bytes all entries take under a tag of `tagSize` bytes. */
  byteSize(tagSize: i32): i32 {
    let size = 0;
    for (let i = 0, n = this.size; i < n; i++) size += tagSize + delimitedSize(this.entrySize(i));
    return size;
  }

  private entrySize(index: i32): i32 {
    const key = viewLen(unchecked(this.keys[index]));
    const value = viewLen(unchecked(this.values[index]));
    return 2 + delimitedSize(key) + delimitedSize(value);
  }

  /** Writes all entries, each under the tag. Key and value are always written, as protobuf's own writers do. */
  write(w: ByteWriter, tag: u32): void {
    for (let i = 0, n = this.size; i < n; i++) {
      w.varint(tag);
      w.varint(this.entrySize(i));
      w.u8(10);
      w.delimited(unchecked(this.keys[i]));
      w.u8(18);
      w.delimited(unchecked(this.values[i]));
    }
  }
}
