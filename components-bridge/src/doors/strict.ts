import { isUtf8 } from 'node:buffer';

import { ScalarType } from '@bufbuild/protobuf';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';

/** How deep messages nest, and how many items, entries and nested messages one holds: as in the filter. */
const MAX_DEPTH = 100;
const MAX_ELEMENTS = 131_072;

/**
 * Whether bytes are a message, looked at before they are decoded: protobuf-es reads a nested message past its end, and
 * makes an object of each of two million empty items. Strings must be UTF-8.
 */
export function isMessage(schema: DescMessage, bytes: Uint8Array): boolean {
  const reader = new Reader(bytes);
  try {
    reader.message(schema, bytes.length, 0);
    return true;
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
}

class Malformed extends Error {}

/** What a field holds, as far as it is looked at. */
interface Kind {
  wire: WireType;
  /** Of a nested message. */
  message?: DescMessage;
  /** Of a map: what its entries hold by number. */
  entry?: ReadonlyMap<number, Kind>;
  utf8: boolean;
  /** One of many. */
  listed?: boolean;
}

const known = new WeakMap<DescMessage, ReadonlyMap<number, Kind>>();

function kindsOf(schema: DescMessage): ReadonlyMap<number, Kind> {
  let kinds = known.get(schema);
  if (kinds === undefined) {
    kinds = new Map(
      schema.fields.map((field) => [field.number, { ...kindOf(field), listed: field.fieldKind === 'list' }]),
    );
    known.set(schema, kinds);
  }
  return kinds;
}

function kindOf(field: DescField): Kind {
  if (field.fieldKind === 'map') {
    const value = field.mapKind === 'scalar' ? scalarKind(field.scalar) : undefined;
    const entry = new Map([[1, scalarKind(field.mapKey)]]);
    if (value !== undefined) entry.set(2, value);
    return { wire: WireType.LengthDelimited, entry, utf8: false };
  }
  if (field.message !== undefined)
    return { wire: WireType.LengthDelimited, message: field.message, utf8: false };
  return field.scalar === undefined ? { wire: WireType.Varint, utf8: false } : scalarKind(field.scalar);
}

function scalarKind(type: ScalarType): Kind {
  if (type === ScalarType.STRING) return { wire: WireType.LengthDelimited, utf8: true };
  if (type === ScalarType.BYTES) return { wire: WireType.LengthDelimited, utf8: false };
  return { wire: WireType.Varint, utf8: false };
}

class Reader {
  #at = 0;
  #elements = 0;

  constructor(private readonly bytes: Uint8Array) {}

  message(schema: DescMessage, end: number, depth: number): void {
    this.#fields(kindsOf(schema), end, depth);
  }

  #fields(kinds: ReadonlyMap<number, Kind>, end: number, depth: number): void {
    if (depth >= MAX_DEPTH) throw new Malformed();
    while (this.#at < end) {
      const [field, wire] = this.#tag(end);
      const kind = kinds.get(field);
      if (kind === undefined) this.#skip(field, wire, end, MAX_DEPTH - depth);
      // The filter passes over it, and then the bridge could not read it.
      else if ((kind.wire as number) !== wire) throw new Malformed();
      else this.#value(kind, end, depth);
    }
  }

  #value({ wire, message, entry, utf8, listed }: Kind, end: number, depth: number): void {
    if ((listed === true || message !== undefined || entry !== undefined) && ++this.#elements > MAX_ELEMENTS)
      throw new Malformed();
    if (wire === WireType.Varint) {
      this.#varint(end);
      return;
    }
    const inner = this.#length(end);
    if (message !== undefined || entry !== undefined) {
      this.#fields(entry ?? kindsOf(message as DescMessage), inner, depth + 1);
      return;
    }
    if (utf8 && !isUtf8(this.bytes.subarray(this.#at, inner))) throw new Malformed();
    this.#at = inner;
  }

  #tag(end: number): [field: number, wire: number] {
    const start = this.#at;
    const tag = this.#varint(end);
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (this.#at - start > 5 || tag >= 2 ** 32 || field === 0 || wire > 5) throw new Malformed();
    return [field, wire];
  }

  /** A varint of at most 10 bytes; exact where it is below 2^53, which is all that is needed of it. */
  #varint(end: number): number {
    let value = 0;
    for (let i = 0; i < 10 && this.#at < end; i++) {
      const byte = this.bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new Malformed();
  }

  /** A length; where that many bytes end. */
  #length(end: number): number {
    const length = this.#varint(end);
    if (length > end - this.#at) throw new Malformed();
    return this.#at + length;
  }

  #pass(length: number, end: number): void {
    if (length > end - this.#at) throw new Malformed();
    this.#at += length;
  }

  #skip(field: number, wire: number, end: number, depthLeft: number): void {
    if (wire === (WireType.Varint as number)) this.#varint(end);
    else if (wire === (WireType.Bit64 as number)) this.#pass(8, end);
    else if (wire === (WireType.Bit32 as number)) this.#pass(4, end);
    else if (wire === (WireType.LengthDelimited as number)) this.#at = this.#length(end);
    else if (wire === (WireType.StartGroup as number)) this.#skipGroup(field, end, depthLeft - 1);
    else throw new Malformed();
  }

  #skipGroup(of: number, end: number, depthLeft: number): void {
    if (depthLeft <= 0) throw new Malformed();
    for (;;) {
      const [field, wire] = this.#tag(end);
      if (wire !== (WireType.EndGroup as number)) this.#skip(field, wire, end, depthLeft);
      else if (field === of) return;
      else throw new Malformed();
    }
  }
}
