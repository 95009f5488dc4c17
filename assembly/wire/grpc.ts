import { ByteWriter } from './bytes';
import { hexDigit } from './json-scan';
import { View, viewByte, viewLen, viewPtr, viewSlice } from './view';

/** Bytes in front of each message of a gRPC body: a flag and the length, big endian. */
export const GRPC_PREFIX: i32 = 5;

/** What a body that should hold exactly one message holds. */
export enum FrameStatus {
  OK,
  /** No bytes at all. */
  EMPTY,
  /** The body ends before its message does. */
  INCOMPLETE,
  /** The message is compressed. */
  COMPRESSED,
  /** Something follows the message. */
  TOO_MANY,
  /** The first byte is neither 0 nor 1. */
  BAD_FLAG,
}

/** Checks that a whole body is one uncompressed message; `unaryMessage` then gives it. Finds what a reader finds first. */
export function parseUnary(body: View): FrameStatus {
  const len = viewLen(body);
  if (len == 0) return FrameStatus.EMPTY;
  const flag = viewByte(body, 0);
  if (flag > 1) return FrameStatus.BAD_FLAG;
  if (len < GRPC_PREFIX) return FrameStatus.INCOMPLETE;
  const size: u32 = messageLength(body);
  const held = <u32>(len - GRPC_PREFIX);
  if (size > held) return FrameStatus.INCOMPLETE;
  if (flag == 1) return FrameStatus.COMPRESSED;
  return size < held ? FrameStatus.TOO_MANY : FrameStatus.OK;
}

/** The message of a body that `parseUnary` found OK. */
export function unaryMessage(body: View): View {
  return viewSlice(body, GRPC_PREFIX, viewLen(body));
}

/** The length that a prefix states, which is anything the sender cares to write; 0 if the prefix is cut off. */
export function messageLength(body: View): u32 {
  return viewLen(body) < GRPC_PREFIX ? 0 : bswap(load<u32>(viewPtr(body), 1));
}

/** Writes the prefix of an uncompressed message of `len` bytes to the `GRPC_PREFIX` bytes at `ptr`. */
export function writePrefix(ptr: usize, len: i32): void {
  store<u8>(ptr, 0);
  store<u32>(ptr, bswap(<u32>len), 1);
}

/**
 * The time in a `grpc-timeout` header, in milliseconds: at most 8 digits and a unit of H, M, S, m, u or n.
 * What is shorter than a millisecond, but not 0, counts as one. -1 for anything else.
 */
export function parseTimeout(v: View): i64 {
  const len = viewLen(v);
  if (len < 2 || len > 9) return -1;
  let value: i64 = 0;
  for (let i = 0; i < len - 1; i++) {
    const digit = viewByte(v, i) - 0x30;
    if (digit > 9) return -1;
    value = value * 10 + digit;
  }
  switch (viewByte(v, len - 1)) {
    case 0x48: // H
      return value * 3_600_000;
    case 0x4d: // M
      return value * 60_000;
    case 0x53: // S
      return value * 1000;
    case 0x6d: // m
      return value;
    case 0x75: // u
      return (value + 999) / 1000;
    case 0x6e: // n
      return (value + 999_999) / 1_000_000;
    default:
      return -1;
  }
}

/** Writes a text for the `grpc-message` header: bytes outside 0x20 to 0x7e, and the percent sign, as `%XX`. */
export function encodeGrpcMessage(w: ByteWriter, v: View): void {
  const ptr = viewPtr(v);
  for (let i = 0, n = viewLen(v); i < n; i++) {
    const byte = load<u8>(ptr + i);
    if (byte >= 0x20 && byte <= 0x7e && byte != 0x25) {
      w.u8(byte);
    } else {
      w.u8(0x25);
      w.u8(upperHexDigit(byte >> 4));
      w.u8(upperHexDigit(byte & 15));
    }
  }
}

/** The text of a `grpc-message` header. An escape that is none stays as it is: the message is never lost. */
export function decodeGrpcMessage(w: ByteWriter, v: View): void {
  const len = viewLen(v);
  let run = 0;
  for (let i = 0; i + 2 < len; i++) {
    if (viewByte(v, i) != 0x25) continue;
    const high = hexDigit(viewByte(v, i + 1));
    const low = hexDigit(viewByte(v, i + 2));
    if (high < 0 || low < 0) continue;
    w.raw(viewSlice(v, run, i));
    w.u8(<u8>((high << 4) | low));
    i += 2;
    run = i + 1;
  }
  w.raw(viewSlice(v, run, len));
}

function upperHexDigit(value: u8): u8 {
  return value < 10 ? 0x30 + value : 0x37 + value;
}
