/** HTTP/2 frames by hand (RFC 9113, section 4). */

export enum FrameType {
  DATA = 0,
  HEADERS = 1,
  PRIORITY = 2,
  RST_STREAM = 3,
  SETTINGS = 4,
  PUSH_PROMISE = 5,
  PING = 6,
  GOAWAY = 7,
  WINDOW_UPDATE = 8,
  CONTINUATION = 9,
}

/** Flags. What is END_STREAM on DATA and HEADERS is ACK on SETTINGS and PING. */
export const Flag = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4 } as const;

export enum Setting {
  HEADER_TABLE_SIZE = 1,
  ENABLE_PUSH = 2,
  MAX_CONCURRENT_STREAMS = 3,
  INITIAL_WINDOW_SIZE = 4,
  MAX_FRAME_SIZE = 5,
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const MAX_WINDOW = 2 ** 31 - 1;
export const FRAME_HEADER = 9;

const NO_BYTES = Buffer.alloc(0);

/** One frame, whether or not it makes sense. */
export function h2Frame(type: number, flags: number, stream: number, payload: Uint8Array = NO_BYTES): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER + payload.length);
  frame.writeUIntBE(payload.length, 0, 3);
  frame[3] = type;
  frame[4] = flags;
  frame.writeUInt32BE(stream, 5);
  frame.set(payload, FRAME_HEADER);
  return frame;
}

export function settings(values: readonly (readonly [Setting, number])[]): Buffer {
  const payload = Buffer.alloc(6 * values.length);
  values.forEach(([setting, value], index) => {
    payload.writeUInt16BE(setting, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  });
  return payload;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A frame as it came. */
export interface ReceivedFrame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

/** Cuts what comes on a connection into frames. */
export class FrameReader {
  #parts: Buffer[] = [];
  #held = 0;
  #needed = FRAME_HEADER;

  *push(chunk: Buffer): Generator<ReceivedFrame> {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#needed) return;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      this.#needed = left < FRAME_HEADER ? FRAME_HEADER : FRAME_HEADER + bytes.readUIntBE(at, 3);
      if (left < this.#needed) break;
      const end = at + this.#needed;
      yield {
        type: bytes[at + 3] ?? 0,
        flags: bytes[at + 4] ?? 0,
        stream: bytes.readUInt32BE(at + 5) & 0x7fffffff,
        payload: bytes.subarray(at + FRAME_HEADER, end),
      };
      at = end;
    }
    const rest = bytes.subarray(at);
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
  }
}
