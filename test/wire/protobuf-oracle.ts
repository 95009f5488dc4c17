import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';

/** Why a message is refused. */
export class Refused extends Error {
  constructor(
    reason: string,
    /** Whether protobuf-es may take the message all the same, for one of the reasons given at `normalise`. */
    readonly stricter: boolean,
  ) {
    super(reason);
  }
}

/** A message as every implementation reads it. */
export interface Normal {
  /** The known fields only, in their order, so that protobuf-es reads what the filter should have read. */
  bytes: Uint8Array;
  /** Fields left out because they came with a wire type that is not theirs. */
  mismatched: number;
}

/**
 * Checks a message by the rules of the format and leaves out what is unknown. This is where the filter and
 * protobuf-es differ, so it stands between them:
 * - a known field with the wrong wire type counts as unknown (protobuf-es reads the bytes as the type it expects);
 * - what is nested must end where its length says (protobuf-es reads on);
 * - a skipped varint has at most 10 bytes (protobuf-es: any number), a length at most 32 bits (it drops the rest).
 */
export function normalise(desc: DescMessage, bytes: Uint8Array): Normal {
  const tally = { mismatched: 0 };
  try {
    return { bytes: normaliseMessage(desc, bytes, tally), mismatched: tally.mismatched };
  } catch (error) {
    if (error instanceof Refused && tally.mismatched > 0) throw new Refused(error.message, true);
    throw error;
  }
}

interface Tally {
  mismatched: number;
}

function normaliseMessage(desc: DescMessage, bytes: Uint8Array, tally: Tally): Uint8Array {
  const fields = new Map(desc.fields.map((field) => [field.number, field]));
  return normaliseFields(bytes, tally, fields, (field, content) => normaliseContent(field, content, tally));
}

/** A map's entry: the same with strings in fields 1 and 2. */
function normaliseEntry(bytes: Uint8Array, tally: Tally): Uint8Array {
  const fields = new Map([
    [1, undefined],
    [2, undefined],
  ]);
  return normaliseFields(bytes, tally, fields, (_, content) => checkText(content));
}

function normaliseFields<F extends DescField | undefined>(
  bytes: Uint8Array,
  tally: Tally,
  fields: Map<number, F>,
  normaliseInner: (field: F, content: Uint8Array) => Uint8Array,
): Uint8Array {
  const reader = new Reader(bytes);
  const kept: Uint8Array[] = [];
  while (!reader.done) {
    const start = reader.at;
    const [number, wireType] = reader.tag();
    const field = fields.get(number);
    const known = fields.has(number);
    if (!known || !takes(field, wireType)) {
      if (known) tally.mismatched++;
      reader.skip(number, wireType, 99);
      continue;
    }
    const afterTag = reader.at;
    if (wireType === (WireType.LengthDelimited as number)) {
      const inner = normaliseInner(field as F, reader.bytes());
      kept.push(bytes.subarray(start, afterTag), varint(inner.length), inner);
    } else {
      reader.skip(number, wireType, 0);
      kept.push(bytes.subarray(start, reader.at));
    }
  }
  return Buffer.concat(kept);
}

/** Whether a field may come with a wire type; lists of numbers come packed or one by one. */
function takes(field: DescField | undefined, wireType: number): boolean {
  const delimited = wireType === (WireType.LengthDelimited as number);
  // no field: the key or value of a map's entry
  if (!field || field.fieldKind === 'map' || field.message) return delimited;
  const own: number = field.enum ? WireType.Varint : scalarWireType(field.scalar);
  return wireType === own || (field.fieldKind === 'list' && delimited);
}

function scalarWireType(scalar: ScalarType | undefined): number {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    default:
      return WireType.Varint;
  }
}

/** The same for what a length-delimited field holds. */
function normaliseContent(field: DescField, bytes: Uint8Array, tally: Tally): Uint8Array {
  if (field.fieldKind === 'map') return normaliseEntry(bytes, tally);
  if (field.message) return normaliseMessage(field.message, bytes, tally);
  if (field.scalar === ScalarType.STRING) return checkText(bytes);
  if (field.scalar !== ScalarType.BYTES) {
    const reader = new Reader(bytes);
    const wireType = field.enum ? WireType.Varint : scalarWireType(field.scalar);
    while (!reader.done) reader.skip(1, wireType, 0);
  }
  return bytes;
}

const strict = new TextDecoder('utf-8', { fatal: true });

function checkText(bytes: Uint8Array): Uint8Array {
  try {
    strict.decode(bytes);
  } catch {
    throw new Refused('a string that is not UTF-8', false);
  }
  return bytes;
}

function varint(value: number): Uint8Array {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, value]);
}

class Reader {
  at = 0;

  constructor(private readonly input: Uint8Array) {}

  get done(): boolean {
    return this.at >= this.input.length;
  }

  /** A varint; exact up to 2^53, which is enough to see that it is too large. */
  private varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      // what a nested message lacks may stand behind it, and protobuf-es would read that
      if (this.done) throw new Refused('cut off', true);
      const byte = this.input[this.at++]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new Refused('a varint of more than 10 bytes', true);
  }

  tag(): [number, number] {
    const start = this.at;
    const tag = this.varint();
    const wireType = tag % 8;
    if (this.at - start > 5 || tag > 0xffff_ffff) throw new Refused('a tag over 32 bits', false);
    if (tag < 8 || wireType > 5) throw new Refused('not a tag', false);
    return [Math.floor(tag / 8), wireType];
  }

  bytes(): Uint8Array {
    const length = this.varint();
    if (length > 0xffff_ffff) throw new Refused('a length over 32 bits', true);
    const start = this.at;
    this.advance(length);
    return this.input.subarray(start, this.at);
  }

  private advance(count: number): void {
    if (count > this.input.length - this.at) throw new Refused('cut off', true);
    this.at += count;
  }

  skip(field: number, wireType: number, groups: number): void {
    switch (wireType as WireType) {
      case WireType.Varint:
        this.varint();
        break;
      case WireType.Bit64:
        this.advance(8);
        break;
      case WireType.Bit32:
        this.advance(4);
        break;
      case WireType.LengthDelimited:
        this.bytes();
        break;
      case WireType.StartGroup:
        this.skipGroup(field, groups);
        break;
      default:
        throw new Refused('the end of a group that did not start', false);
    }
  }

  private skipGroup(field: number, groups: number): void {
    if (groups <= 0) throw new Refused('groups nested too deep', false);
    for (;;) {
      const [number, wireType] = this.tag();
      if (wireType === (WireType.EndGroup as number)) {
        if (number !== field) throw new Refused('the end of another group', false);
        return;
      }
      this.skip(number, wireType, groups - 1);
    }
  }
}
