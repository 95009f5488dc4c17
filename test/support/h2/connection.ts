import type { Socket } from 'node:net';

import { dial } from '../dial.js';
import type { Target } from '../http1.js';
import {
  Flag,
  FrameReader,
  FrameType,
  h2Frame,
  MAX_WINDOW,
  PREFACE,
  Setting,
  settings,
  uint32,
  type ReceivedFrame,
} from './frames.js';
import { decodeHeaders, encodeHeaders, type HeaderField } from './hpack.js';

/** What came back for one stream. */
export interface H2Answer {
  headers: readonly HeaderField[];
  /** Undefined if none came. */
  trailers: readonly HeaderField[] | undefined;
  body: Buffer;
  /** The peer ended its side: the answer is whole. */
  ended: boolean;
  /** HTTP/2 error code of the reset that ended it; undefined if there was none. */
  reset: number | undefined;
  /** The connection was lost before the answer had ended. */
  lost: boolean;
}

export interface ConnectionOptions {
  /** Bytes of each stream's answer the peer may send; the connection's own window is as wide as it can be. */
  window?: number;
}

/** What the peer allows unless it says otherwise. */
const DEFAULT_WINDOW = 65_535;
const MAX_FRAME = 16_384;

/** A request under way. */
export class H2Stream {
  readonly answer: Promise<H2Answer>;
  /** Told of each piece of the answer's body as it comes. */
  onData: ((bytes: Buffer) => void) | undefined;
  /** Bytes that may be sent now. */
  credit: number;
  /** What waits for credit. */
  readonly queue: { bytes: Buffer; end: boolean }[] = [];
  readonly #received: H2Answer = {
    headers: [],
    trailers: undefined,
    body: Buffer.alloc(0),
    ended: false,
    reset: undefined,
    lost: false,
  };
  readonly #chunks: Buffer[] = [];
  #settle: (answer: H2Answer) => void = () => undefined;

  constructor(
    readonly id: number,
    credit: number,
  ) {
    this.credit = credit;
    this.answer = new Promise((resolve) => (this.#settle = resolve));
  }

  takeHeaders(fields: readonly HeaderField[]): void {
    const status = fields.find(([name]) => name === ':status')?.[1] ?? '';
    if (status.startsWith('1')) return;
    if (this.#received.headers.length === 0) this.#received.headers = fields;
    else this.#received.trailers = fields;
  }

  takeData(bytes: Buffer): void {
    const copy = Buffer.from(bytes);
    this.#chunks.push(copy);
    this.onData?.(copy);
  }

  finish(how: Partial<H2Answer>): void {
    this.#settle({ ...this.#received, ...how, body: Buffer.concat(this.#chunks) });
  }
}

/**
 * A client's end of an HTTP/2 connection that sends exactly what it is told, well-formed or not: node:http2 refuses to
 * send most of what an attacker would, and loses answers that come before the request has ended.
 */
export class H2Connection {
  readonly closed: Promise<void>;
  /** HTTP/2 error code and text of the peer's GOAWAY. */
  goaway: { code: number; text: string } | undefined;
  readonly #reader = new FrameReader();
  readonly #streams = new Map<number, H2Stream>();
  #block: { id: number; parts: Buffer[]; end: boolean } | undefined;
  #next = 1;
  #credit = DEFAULT_WINDOW;
  #initialCredit = DEFAULT_WINDOW;
  #consumed = 0;
  #corked = false;
  #ended = false;

  private constructor(
    readonly socket: Socket,
    options: ConnectionOptions,
  ) {
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#take(frame);
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#ended = true;
        for (const stream of this.#streams.values()) stream.finish({ lost: true });
        this.#streams.clear();
        resolve();
      });
    });
    this.write(PREFACE);
    const initial = settings([
      [Setting.HEADER_TABLE_SIZE, 0],
      [Setting.ENABLE_PUSH, 0],
      [Setting.INITIAL_WINDOW_SIZE, options.window ?? MAX_WINDOW],
    ]);
    this.frame(FrameType.SETTINGS, 0, 0, initial);
    this.frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(MAX_WINDOW - DEFAULT_WINDOW));
  }

  /** Connects; rejects if nobody listens. */
  static async open(target: Target, options: ConnectionOptions = {}): Promise<H2Connection> {
    return new H2Connection(await dial(target), options);
  }

  /** The connection is closed, or the peer takes no new streams. */
  get over(): boolean {
    return this.#ended || this.goaway !== undefined;
  }

  /** Starts a request. */
  request(fields: readonly HeaderField[], end = false): H2Stream {
    const stream = new H2Stream(this.#next, this.#initialCredit);
    this.#next += 2;
    if (this.#ended) stream.finish({ lost: true });
    else this.#streams.set(stream.id, stream);
    const block = encodeHeaders(fields);
    const flags = end ? Flag.END_STREAM : 0;
    const first = block.subarray(0, MAX_FRAME);
    const whole = first.length === block.length;
    this.frame(FrameType.HEADERS, flags | (whole ? Flag.END_HEADERS : 0), stream.id, first);
    for (let at = MAX_FRAME; at < block.length; at += MAX_FRAME) {
      const last = at + MAX_FRAME >= block.length;
      const part = block.subarray(at, at + MAX_FRAME);
      this.frame(FrameType.CONTINUATION, last ? Flag.END_HEADERS : 0, stream.id, part);
    }
    return stream;
  }

  /** Sends a piece of the body in frames of its own, as soon as the peer's windows allow. */
  data(stream: H2Stream, bytes: Uint8Array, end = false): void {
    stream.queue.push({ bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), end });
    this.#pump(stream);
  }

  /** Ends the request by trailers. What waits for credit is not waited for. */
  trailers(stream: H2Stream, fields: readonly HeaderField[]): void {
    this.frame(FrameType.HEADERS, Flag.END_STREAM | Flag.END_HEADERS, stream.id, encodeHeaders(fields));
  }

  /** Gives the stream up. */
  reset(stream: H2Stream, code = 8): void {
    this.frame(FrameType.RST_STREAM, 0, stream.id, uint32(code));
    this.#finish(stream.id, { reset: code });
  }

  frame(type: number, flags: number, stream: number, payload?: Uint8Array): void {
    this.write(h2Frame(type, flags, stream, payload));
  }

  /** Any bytes; what is written in one turn leaves together. */
  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    if (!this.#corked) {
      this.#corked = true;
      this.socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.socket.uncork();
      });
    }
    this.socket.write(bytes);
  }

  /** Ends the connection at once. */
  close(): void {
    this.socket.destroy();
  }

  #take({ type, flags, stream: id, payload }: ReceivedFrame): void {
    switch (type as FrameType) {
      case FrameType.DATA:
        this.#takeData(id, payload, flags);
        break;
      case FrameType.HEADERS: {
        const end = (flags & Flag.END_STREAM) !== 0;
        this.#block = { id, parts: [payload], end };
        if ((flags & Flag.END_HEADERS) !== 0) this.#takeBlock();
        break;
      }
      case FrameType.CONTINUATION:
        this.#block?.parts.push(Buffer.from(payload));
        if ((flags & Flag.END_HEADERS) !== 0) this.#takeBlock();
        break;
      case FrameType.RST_STREAM:
        this.#finish(id, { reset: payload.readUInt32BE(0) });
        break;
      case FrameType.SETTINGS:
        if ((flags & Flag.ACK) === 0) this.#takeSettings(payload);
        break;
      case FrameType.PING:
        if ((flags & Flag.ACK) === 0) this.frame(FrameType.PING, Flag.ACK, 0, payload);
        break;
      case FrameType.GOAWAY:
        this.goaway = { code: payload.readUInt32BE(4), text: payload.subarray(8).toString('latin1') };
        break;
      case FrameType.WINDOW_UPDATE:
        this.#takeCredit(id, payload.readUInt32BE(0));
        break;
      default:
    }
  }

  #takeBlock(): void {
    const block = this.#block;
    this.#block = undefined;
    if (block === undefined) return;
    const fields = decodeHeaders(Buffer.concat(block.parts));
    this.#streams.get(block.id)?.takeHeaders(fields);
    if (block.end) this.#finish(block.id, { ended: true });
  }

  #takeData(id: number, payload: Buffer, flags: number): void {
    this.#streams.get(id)?.takeData(payload);
    this.#consumed += payload.length;
    if (this.#consumed > MAX_WINDOW / 2) {
      this.frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(this.#consumed));
      this.#consumed = 0;
    }
    if ((flags & Flag.END_STREAM) !== 0) this.#finish(id, { ended: true });
  }

  #takeSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== Number(Setting.INITIAL_WINDOW_SIZE)) continue;
      const change = payload.readUInt32BE(at + 2) - this.#initialCredit;
      this.#initialCredit += change;
      for (const stream of this.#streams.values()) stream.credit += change;
    }
    this.frame(FrameType.SETTINGS, Flag.ACK, 0);
    for (const stream of this.#streams.values()) this.#pump(stream);
  }

  #takeCredit(id: number, more: number): void {
    if (id !== 0) {
      const stream = this.#streams.get(id);
      if (stream === undefined) return;
      stream.credit += more;
      this.#pump(stream);
      return;
    }
    this.#credit += more;
    for (const stream of this.#streams.values()) this.#pump(stream);
  }

  #pump(stream: H2Stream): void {
    for (let next = stream.queue[0]; next !== undefined; next = stream.queue[0]) {
      const size = Math.min(next.bytes.length, stream.credit, this.#credit, MAX_FRAME);
      if (size === 0 && next.bytes.length > 0) return;
      const last = size === next.bytes.length;
      const flags = last && next.end ? Flag.END_STREAM : 0;
      this.frame(FrameType.DATA, flags, stream.id, next.bytes.subarray(0, size));
      stream.credit -= size;
      this.#credit -= size;
      if (last) stream.queue.shift();
      else next.bytes = next.bytes.subarray(size);
    }
  }

  #finish(id: number, how: Partial<H2Answer>): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    stream.queue.length = 0;
    stream.finish(how);
  }
}
