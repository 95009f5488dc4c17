import type { ServerHttp2Stream } from 'node:http2';

import type { Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import type { Code } from '../primitives/errors.js';
import { encodeHead, FrameError, decodeFrame } from './frame.js';
import type { Frame } from './frame.js';
import { MessageReader } from './message-reader.js';

/** Payloads from this size on are written as they are; smaller ones are copied into one chunk per turn. */
const COPY_BELOW = 16 * 1024;

/** What a session stream tells about. */
export interface StreamEvents {
  /** @param now when its last bytes came, by `performance.now()` */
  onFrame(stream: SessionStream, frame: Frame, now: number): void;
  /** The peer sent something that is not a frame; the stream is ending. */
  onMalformed(stream: SessionStream, error: FrameError): void;
  /** A large message has come in part; `held` says how large it is. */
  onPart(stream: SessionStream): void;
  /** The peer has sent everything it will send. */
  onEnd(stream: SessionStream): void;
  /** What was waiting to be written has been. */
  onDrain(stream: SessionStream): void;
  onClose(stream: SessionStream): void;
}

interface Outgoing {
  head: Buffer;
  payload: Uint8Array;
}

/** One session stream: frames in and out on an HTTP/2 stream, read and written by hand. */
export class SessionStream {
  readonly #reader: MessageReader;
  #outgoing: Outgoing[] = [];
  #outgoingBytes = 0;
  #status = '0';
  #message: string | undefined;
  #ending = false;

  /** @param limit bytes of the largest frame taken */
  constructor(
    private readonly http2: ServerHttp2Stream,
    limit: number,
    private readonly events: StreamEvents,
  ) {
    this.#reader = new MessageReader(limit);
    http2.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    http2.on('wantTrailers', () => {
      const trailers: Record<string, string> = { 'grpc-status': this.#status };
      if (this.#message !== undefined) trailers['grpc-message'] = grpcMessage(this.#message);
      http2.sendTrailers(trailers);
      // The peer may never end its side; ours is done.
      setImmediate(() => http2.close());
    });
    http2.on('data', (chunk: Buffer) => this.#take(chunk));
    http2.on('end', () => events.onEnd(this));
    http2.on('drain', () => events.onDrain(this));
    http2.on('close', () => events.onClose(this));
    // A reset is a normal end; `close` follows.
    http2.on('error', () => undefined);
  }

  /** Bytes that the peer has not taken yet. */
  get backlog(): number {
    return this.#outgoingBytes + this.http2.writableLength;
  }

  /** Bytes of the message that has come in part. */
  get held(): number {
    return this.#reader.held;
  }

  get closed(): boolean {
    return this.#ending || this.http2.destroyed || this.http2.closed;
  }

  /**
   * Sends a frame; what is sent in one turn leaves in one write.
   *
   * @param bridgeUs how long an answer took, in whole microseconds
   * @param backendUs how much of that was spent waiting for the backend
   */
  send(id: number, kind: Kind, payload: Uint8Array, bridgeUs = 0, backendUs = 0): void {
    if (this.closed) return;
    if (this.#outgoing.length === 0) process.nextTick(() => this.#flush());
    const head = encodeHead(id, kind, payload.length, bridgeUs, backendUs);
    this.#outgoing.push({ head, payload });
    this.#outgoingBytes += head.length + payload.length;
  }

  pause(): void {
    this.http2.pause();
  }

  resume(): void {
    this.http2.resume();
  }

  /** Ends the stream after what was sent, with a gRPC status. */
  end(status: Code | 0 = 0, message?: string): void {
    if (this.closed) return;
    this.#flush();
    this.#ending = true;
    this.#status = String(status);
    this.#message = message;
    this.http2.end();
    // Whatever still comes is dropped, so that the peer is not held up.
    this.http2.resume();
  }

  destroy(): void {
    this.http2.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.closed) return;
    // Looked at once for all frames of the chunk: it is part of what every call costs.
    const now = performance.now();
    try {
      this.#reader.push(chunk, (message) => {
        this.events.onFrame(this, decodeFrame(message), now);
        return !this.closed;
      });
      if (this.#reader.held > COPY_BELOW) this.events.onPart(this);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.events.onMalformed(this, error);
    }
  }

  #flush(): void {
    const outgoing = this.#outgoing;
    if (outgoing.length === 0) return;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    if (this.http2.destroyed) return;
    const chunks = toChunks(outgoing);
    if (chunks.length === 1) {
      this.http2.write(chunks[0]);
      return;
    }
    this.http2.cork();
    for (const chunk of chunks) this.http2.write(chunk);
    this.http2.uncork();
  }
}

/** Joins what is small; leaves large payloads where they are. */
function toChunks(outgoing: readonly Outgoing[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  for (const { head, payload } of outgoing) {
    small.push(head);
    if (payload.length < COPY_BELOW) {
      small.push(payload);
      continue;
    }
    chunks.push(Buffer.concat(small), payload);
    small = [];
  }
  if (small.length > 0) chunks.push(Buffer.concat(small));
  return chunks;
}

/** Percent-encoded as gRPC wants it in `grpc-message`. */
export function grpcMessage(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}
