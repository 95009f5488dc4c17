import { createHash } from 'node:crypto';

/**
 * How the embedded stores keep a key and its value:
 *
 *     key     0x00 key | 0x01 SHA-256 of a key too long for lmdb | 0x02 name of something of the store's own
 *     record  format (1 byte) flags (1) version (6) [expiry, ms since 1970 (6)] [length (4) full key] data
 *     expiry  expiry (6, big-endian, so that it sorts by time) key
 *
 * Numbers are little-endian unless said otherwise.
 */
export interface StoredRecord {
  version: number;
  /** Milliseconds since 1970; 0: never. */
  expiresAt: number;
  data: Buffer;
}

const FORMAT = 1;
const HAS_EXPIRY = 1;
const HAS_KEY = 2;
const FIXED = 8;
const EXPIRY = 6;

/** lmdb takes keys of 1978 bytes on 4 KiB pages; the expiry index puts its 6 bytes in front. */
const LONGEST_PLAIN_KEY = 1900;

/** A key as it stands in lmdb. */
export interface RecordKey {
  bytes: Buffer;
  /** The whole key, for one that is kept by its hash: it then stands in the record as well. */
  full: Buffer | undefined;
}

/** In front of keys that stand as they are, and of those kept by their hash. */
const PLAIN = 0;
const HASHED = 1;

/**
 * Between which keys those stand that begin with a text; those kept by their hash stand together, and may begin with
 * any text.
 */
export function rangesOf(start: string): readonly { start: Buffer; end: Buffer }[] {
  const from = Buffer.concat([Buffer.of(PLAIN), Buffer.from(start)]);
  // No UTF-8 has this byte.
  const to = Buffer.concat([from, Buffer.of(0xff)]);
  return [
    { start: from, end: to },
    { start: Buffer.of(HASHED), end: Buffer.of(HASHED + 1) },
  ];
}

export function recordKey(key: string): RecordKey {
  const length = Buffer.byteLength(key);
  if (length <= LONGEST_PLAIN_KEY) {
    const bytes = Buffer.allocUnsafeSlow(length + 1);
    bytes[0] = PLAIN;
    bytes.write(key, 1, 'utf8');
    return { bytes, full: undefined };
  }
  const full = Buffer.from(key, 'utf8');
  const hash = createHash('sha256').update(full).digest();
  return { bytes: Buffer.concat([Buffer.of(HASHED), hash]), full };
}

/** The key of something that the store keeps for itself. */
export function ownKey(name: string): RecordKey {
  return { bytes: Buffer.from(`\u0002${name}`), full: undefined };
}

export function encodeRecord(key: RecordKey, version: number, expiresAt: number, data: Uint8Array): Buffer {
  const keyLength = key.full === undefined ? 0 : 4 + key.full.length;
  const bytes = Buffer.allocUnsafe(FIXED + (expiresAt > 0 ? EXPIRY : 0) + keyLength + data.length);
  bytes[0] = FORMAT;
  bytes[1] = (expiresAt > 0 ? HAS_EXPIRY : 0) | (key.full === undefined ? 0 : HAS_KEY);
  let at = bytes.writeUIntLE(version, 2, 6);
  if (expiresAt > 0) at = bytes.writeUIntLE(expiresAt, at, EXPIRY);
  if (key.full !== undefined) {
    at = bytes.writeUInt32LE(key.full.length, at);
    at += key.full.copy(bytes, at);
  }
  bytes.set(data, at);
  return bytes;
}

/**
 * @returns undefined if the record belongs to another key of the same hash
 * @throws Error if it was not written by this version
 */
export function decodeRecord(key: RecordKey, bytes: Buffer): StoredRecord | undefined {
  const { record, full } = decodeAnyRecord(bytes);
  if (full !== undefined && (key.full === undefined || key.full.compare(full) !== 0)) return undefined;
  return record;
}

/**
 * A record, whatever its key.
 *
 * @returns also the whole key, if it is kept by its hash
 * @throws Error if it was not written by this version
 */
export function decodeAnyRecord(bytes: Buffer): { record: StoredRecord; full: Buffer | undefined } {
  if (bytes.length < FIXED || bytes[0] !== FORMAT) {
    throw new Error(`the stored record has the unknown format ${bytes[0] ?? 'of no bytes'}`);
  }
  const flags = bytes[1] ?? 0;
  const version = bytes.readUIntLE(2, 6);
  let at = FIXED;
  let expiresAt = 0;
  if ((flags & HAS_EXPIRY) !== 0) {
    expiresAt = bytes.readUIntLE(at, EXPIRY);
    at += EXPIRY;
  }
  let full: Buffer | undefined;
  if ((flags & HAS_KEY) !== 0) {
    const end = at + 4 + bytes.readUInt32LE(at);
    full = bytes.subarray(at + 4, end);
    at = end;
  }
  return { record: { version, expiresAt, data: bytes.subarray(at) }, full };
}

/** When a record expires, without reading the rest of it; 0: never. */
export function expiryOf(bytes: Buffer): number {
  return bytes.length >= FIXED + EXPIRY && ((bytes[1] ?? 0) & HAS_EXPIRY) !== 0
    ? bytes.readUIntLE(FIXED, EXPIRY)
    : 0;
}

export function expiryKey(expiresAt: number, key: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(EXPIRY + key.length);
  bytes.writeUIntBE(expiresAt, 0, EXPIRY);
  key.copy(bytes, EXPIRY);
  return bytes;
}

export function splitExpiryKey(bytes: Buffer): { expiresAt: number; key: Buffer } {
  return { expiresAt: bytes.readUIntBE(0, EXPIRY), key: bytes.subarray(EXPIRY) };
}
