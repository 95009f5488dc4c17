import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import type { Random } from './random.js';

/** The bytes of a valid message: known fields in any order and number, with unknown ones between them. */
export function randomMessage(desc: DescMessage, random: Random, depth = 0): Uint8Array {
  const writer = new BinaryWriter();
  const count = random.below(depth === 0 ? 8 : 4);
  for (let i = 0; i < count; i++) {
    if (desc.fields.length === 0 || random.oneIn(12)) writeUnknown(writer, random);
    else writeField(writer, random.pick(desc.fields), random, depth);
  }
  return writer.finish();
}

function writeUnknown(writer: BinaryWriter, random: Random, depth = 0): void {
  const field = random.pick([16000, 536870910, 1000 + random.below(1000)]);
  switch (random.below(5)) {
    case 0:
      writer.tag(field, WireType.Varint).uint64(random.word());
      break;
    case 1:
      writer.tag(field, WireType.Bit64).fixed64(random.word());
      break;
    case 2:
      writer.tag(field, WireType.Bit32).fixed32(random.bits());
      break;
    case 3:
      writer.tag(field, WireType.LengthDelimited).bytes(random.bytes(random.below(8)));
      break;
    default:
      writer.tag(field, WireType.StartGroup);
      if (depth < 4) writeUnknown(writer, random, depth + 1);
      writer.tag(field, WireType.EndGroup);
  }
}

function writeField(writer: BinaryWriter, field: DescField, random: Random, depth: number): void {
  if (field.fieldKind === 'map') {
    const entry = new BinaryWriter();
    if (!random.oneIn(8)) entry.tag(1, WireType.LengthDelimited).string(random.text(8));
    if (!random.oneIn(8)) entry.tag(2, WireType.LengthDelimited).string(random.text());
    writer.tag(field.number, WireType.LengthDelimited).bytes(entry.finish());
    return;
  }
  if (field.message) {
    const inner = depth > 5 ? new Uint8Array(0) : randomMessage(field.message, random, depth + 1);
    writer.tag(field.number, WireType.LengthDelimited).bytes(inner);
    return;
  }
  const scalar = field.scalar ?? ScalarType.INT32;
  if (field.fieldKind === 'list' && isPackable(scalar) && random.oneIn(2)) {
    const packed = new BinaryWriter();
    for (let i = random.below(5); i > 0; i--) writeScalar(packed, scalar, random);
    writer.tag(field.number, WireType.LengthDelimited).bytes(packed.finish());
    return;
  }
  writer.tag(field.number, wireTypeOf(scalar));
  writeScalar(writer, scalar, random);
}

function isPackable(scalar: ScalarType): boolean {
  return scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES;
}

function wireTypeOf(scalar: ScalarType): WireType {
  if (!isPackable(scalar)) return WireType.LengthDelimited;
  if ([ScalarType.DOUBLE, ScalarType.FIXED64, ScalarType.SFIXED64].includes(scalar)) return WireType.Bit64;
  if ([ScalarType.FLOAT, ScalarType.FIXED32, ScalarType.SFIXED32].includes(scalar)) return WireType.Bit32;
  return WireType.Varint;
}

function writeScalar(writer: BinaryWriter, scalar: ScalarType, random: Random): void {
  const small = random.oneIn(3);
  switch (scalar) {
    case ScalarType.STRING:
      writer.string(random.text());
      break;
    case ScalarType.BYTES:
      writer.bytes(random.bytes(random.below(24)));
      break;
    case ScalarType.BOOL:
      writer.bool(random.oneIn(2));
      break;
    default:
      // any bits are a value of a number; 64 of them for a 32-bit varint are cut by every reader
      if (wireTypeOf(scalar) === WireType.Bit64) writer.fixed64(small ? 0n : random.word());
      else if (wireTypeOf(scalar) === WireType.Bit32) writer.fixed32(small ? 0 : random.bits());
      else writer.uint64(small ? BigInt(random.below(3)) : random.word());
  }
}
