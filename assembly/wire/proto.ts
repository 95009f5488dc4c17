import { isUtf8, View, view, viewLen, viewPtr } from './view';

export const VARINT: u32 = 0;
export const FIXED64: u32 = 1;
export const LEN: u32 = 2;
export const START_GROUP: u32 = 3;
export const END_GROUP: u32 = 4;
export const FIXED32: u32 = 5;

/** Messages and groups nested deeper than this are refused; protobuf's own implementations use 100. */
export const MAX_DEPTH: i32 = 100;

/**
 * Most list items, map entries and nested messages in one message. Each takes 2 bytes on the wire and up to some
 * hundred in memory, so without this a message of a few MiB could take the VM's memory for good.
 */
export const MAX_ELEMENTS: i32 = 131072;

/**
 * Reads protobuf's wire format from bytes nobody has checked. It never traps: on the first thing that is wrong
 * `ok` turns false, `next` says there is nothing more, and the values read are 0 or empty. Views it gives point
 * into the input.
 *
 *     reader.reset(v);
 *     while (reader.next()) {
 *       switch (reader.tag) { case 10: name = reader.string(); break; default: reader.skip(); }
 *     }
 *     return reader.ok;
 */
export class ProtoReader {
  ok: bool = true;
  /** Number and wire type of the field that `next` found; `tag` is both as they stand on the wire. */
  field: u32 = 0;
  wireType: u32 = 0;
  tag: u32 = 0;
  private at: usize = 0;
  private end: usize = 0;
  private depth: i32 = 0;
  private elements: i32 = 0;

  /** Starts over on `v`. */
  reset(v: View): void {
    this.ok = true;
    this.at = viewPtr(v);
    this.end = this.at + viewLen(v);
    this.depth = 0;
    this.elements = 0;
  }

  /**
   * Goes to the next field. False at the end, or when what comes is no valid tag: over 32 bits or 5 bytes, field 0,
   * or a wire type that does not exist. The caller then reads or skips exactly one value.
   */
  next(): bool {
    if (!this.ok || this.at >= this.end) return false;
    const start = this.at;
    const tag = this.varint();
    if (this.at - start > 5 || tag > u32.MAX_VALUE || tag < 8 || (tag & 7) > 5) {
      this.fail();
      return false;
    }
    this.tag = <u32>tag;
    this.field = (<u32>tag) >> 3;
    this.wireType = (<u32>tag) & 7;
    return this.ok;
  }

  /** Whether bytes are left in the message or list being read. */
  more(): bool {
    return this.ok && this.at < this.end;
  }

  /** A varint of at most 10 bytes; bits past the 64th are dropped, as other implementations do. */
  varint(): u64 {
    const end = this.end;
    let at = this.at;
    let value: u64 = 0;
    for (let shift: u64 = 0; shift < 70; shift += 7) {
      if (at >= end) break;
      const byte: u64 = load<u8>(at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at;
        return value;
      }
    }
    this.fail();
    return 0;
  }

  /** Four bytes, little endian. */
  fixed32(): u32 {
    if (this.end - this.at < 4) {
      this.fail();
      return 0;
    }
    const value = load<u32>(this.at);
    this.at += 4;
    return value;
  }

  /** Eight bytes, little endian. */
  fixed64(): u64 {
    if (this.end - this.at < 8) {
      this.fail();
      return 0;
    }
    const value = load<u64>(this.at);
    this.at += 8;
    return value;
  }

  /** The zigzag form of a `sint64`. */
  zigzag64(): i64 {
    const value = this.varint();
    return (<i64>(value >> 1)) ^ -(<i64>(value & 1));
  }

  /** The zigzag form of a `sint32`: of a longer varint, what its low 32 bits say. */
  zigzag32(): i32 {
    const value = <u32>this.varint();
    return (<i32>(value >> 1)) ^ -(<i32>(value & 1));
  }

  /** A length and that many bytes. */
  bytes(): View {
    const length = this.varint();
    if (!this.ok || length > <u64>(this.end - this.at)) {
      this.fail();
      return 0;
    }
    const start = this.at;
    this.at += <usize>length;
    return view(start, <i32>length);
  }

  /** As `bytes`, but not ok unless it is UTF-8, which protobuf demands of strings. */
  string(): View {
    const text = this.bytes();
    if (isUtf8(text)) return text;
    this.fail();
    return 0;
  }

  /** Counts one list item, map entry or nested message; not ok past `MAX_ELEMENTS`. */
  element(): void {
    if (++this.elements > MAX_ELEMENTS) this.fail();
  }

  /**
   * Goes into a length-delimited message: until `leave`, the reader ends where that message ends.
   * @returns what `leave` needs
   */
  enter(): usize {
    const outer = this.end;
    const inner = this.bytes();
    this.depth++;
    this.element();
    if (this.depth >= MAX_DEPTH) this.fail();
    if (this.ok) {
      // an empty view has no pointer, and then there is nothing to go back to
      this.end = this.at;
      this.at -= viewLen(inner);
    }
    return outer;
  }

  /** Goes back out of a nested message that was read to its end. */
  leave(outer: usize): void {
    this.depth--;
    if (this.ok) this.end = outer;
  }

  /** From here on there is nothing to read. */
  private fail(): void {
    this.ok = false;
    this.at = this.end;
  }

  /** Passes over the value of the field that `next` found, groups included. */
  skip(): void {
    this.skipValue(this.field, this.wireType, MAX_DEPTH - this.depth);
  }

  private skipValue(field: u32, wireType: u32, depthLeft: i32): void {
    switch (wireType) {
      case VARINT:
        this.varint();
        break;
      case FIXED64:
        this.fixed64();
        break;
      case LEN:
        this.bytes();
        break;
      case START_GROUP:
        this.skipGroup(field, depthLeft - 1);
        break;
      case FIXED32:
        this.fixed32();
        break;
      default:
        this.fail();
    }
  }

  private skipGroup(field: u32, depthLeft: i32): void {
    if (depthLeft <= 0) this.fail();
    while (this.next()) {
      if (this.wireType == END_GROUP) {
        if (this.field != field) this.fail();
        return;
      }
      this.skipValue(this.field, this.wireType, depthLeft);
    }
    // the input ended before the group did
    this.fail();
  }
}

/** The reader that generated `decode` methods share: they run to their end without calling out. */
export const sharedReader = new ProtoReader();

/** Bytes that `value` takes as a varint. */
export function varintSize(value: u64): i32 {
  // 7 bits a byte, at least one byte
  return ((63 - <i32>clz(value | 1)) * 9 + 73) / 64;
}

/** Bytes that `length` bytes take with their length in front. */
// @ts-ignore: decorator
@inline
export function delimitedSize(length: i32): i32 {
  return varintSize(length) + length;
}

/** The zigzag form of a signed number. */
// @ts-ignore: decorator
@inline
export function zigzag(value: i64): u64 {
  return <u64>((value << 1) ^ (value >> 63));
}
