import { FrameError, GRPC_HEADER } from './frame.js';

/**
 * Cuts a stream of bytes into gRPC messages, wherever its chunks were split. A message that lies whole in a chunk is
 * handed on without a copy; one that does not is gathered in a buffer of its own, so that many small chunks cost no
 * more memory than the message.
 */
export class MessageReader {
  #head = Buffer.allocUnsafe(GRPC_HEADER);
  #headLength = 0;
  #body: Buffer | undefined;
  #bodyLength = 0;

  /** @param limit bytes of the largest message taken */
  constructor(private readonly limit: number) {}

  /** Bytes held of a message that has not ended yet. */
  get held(): number {
    return this.#body?.length ?? 0;
  }

  /**
   * Takes a chunk, and calls `onMessage` for each message that it completes. Stops early if `onMessage` returns false.
   *
   * @throws FrameError if a message is compressed or too long; the rest of the stream cannot be read then
   */
  push(chunk: Buffer, onMessage: (message: Buffer) => boolean): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body !== undefined) {
        const taken = chunk.copy(this.#body, this.#bodyLength, at);
        at += taken;
        this.#bodyLength += taken;
        if (this.#bodyLength < this.#body.length) return;
        const message = this.#body;
        this.#body = undefined;
        if (!onMessage(message)) return;
        continue;
      }
      if (this.#headLength === 0 && chunk.length - at >= GRPC_HEADER) {
        const length = this.#lengthOf(chunk, at);
        const end = at + GRPC_HEADER + length;
        if (end <= chunk.length) {
          if (!onMessage(chunk.subarray(at + GRPC_HEADER, end))) return;
          at = end;
          continue;
        }
      }
      const taken = chunk.copy(this.#head, this.#headLength, at);
      at += taken;
      this.#headLength += taken;
      if (this.#headLength < GRPC_HEADER) return;
      this.#headLength = 0;
      const length = this.#lengthOf(this.#head, 0);
      if (length === 0) {
        if (!onMessage(this.#head.subarray(0, 0))) return;
        continue;
      }
      // Memory that is not written to yet costs nothing, so a length that is only claimed does not either.
      this.#body = Buffer.allocUnsafeSlow(length);
      this.#bodyLength = 0;
    }
  }

  #lengthOf(bytes: Buffer, at: number): number {
    if (bytes[at] !== 0) throw new FrameError('the message is compressed, which this session does not speak');
    const length = bytes.readUInt32BE(at + 1);
    if (length <= this.limit) return length;
    throw new FrameError(`the message has ${length} bytes; the limit is ${this.limit}`);
  }
}
