import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** How values are kept: as they are, or in an envelope. The names are the versions of Dapr's component. */
export type ValueForm = 'v1' | 'v2';

/** Fields of the envelope of Dapr's `state.etcd` v2 (dapr.proto.components.state.v2.Value). */
const DATA = 1;
const WRITTEN = 2;
const TTL = 3;
/** The first field of both google.protobuf.Timestamp and Duration. */
const SECONDS = 1;

/**
 * A value as it is stored.
 *
 * @param ttlSeconds until it expires; undefined or 0: it does not
 * @param now seconds since 1970; Dapr notes when a value was written
 */
export function encodeValue(
  form: ValueForm,
  data: Uint8Array,
  ttlSeconds: number | undefined,
  now = Math.floor(Date.now() / 1_000),
): Uint8Array {
  if (form === 'v1') return data;
  const writer = new BinaryWriter();
  if (data.length > 0) writer.tag(DATA, WireType.LengthDelimited).bytes(data);
  writer.tag(WRITTEN, WireType.LengthDelimited).fork().tag(SECONDS, WireType.Varint).int64(now).join();
  if (ttlSeconds) {
    writer.tag(TTL, WireType.LengthDelimited).fork().tag(SECONDS, WireType.Varint).int64(ttlSeconds).join();
  }
  return writer.finish();
}

/** The value in what is stored; undefined if it is not in that form. */
export function decodeValue(form: ValueForm, stored: Uint8Array): Uint8Array | undefined {
  if (form === 'v1') return stored;
  let data: Uint8Array = new Uint8Array(0);
  try {
    const reader = new BinaryReader(stored);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === DATA && type === WireType.LengthDelimited) data = reader.bytes();
      else if (field === DATA || field > TTL) return undefined;
      else reader.skip(type, field);
    }
  } catch {
    return undefined;
  }
  return data;
}
