import type { HeaderField } from './h2/hpack.js';

/** One HTTP/1.1 answer as it came. */
export interface Http1Answer {
  status: number;
  headers: readonly HeaderField[];
  body: Buffer;
}

/** What the stream of bytes holds next. */
interface Part {
  /** Where the next answer starts. */
  end: number;
  answer: Http1Answer;
}

const NO_BYTES = Buffer.alloc(0);

/**
 * Cuts what comes on an HTTP/1.1 connection into answers. They come in the order of the requests; of which kind each
 * request was has to be said, because an answer to HEAD has no body, whatever its headers say.
 */
export class Http1Reader {
  #held: Buffer = NO_BYTES;

  /** Takes bytes. */
  push(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
  }

  /**
   * The next answer, if all of it is there. Interim answers (1xx) are left out.
   *
   * @throws Error if what came is no HTTP/1.1 answer
   */
  next(head: boolean): Http1Answer | undefined {
    for (;;) {
      const part = read(this.#held, head);
      if (part === undefined) return undefined;
      this.#held = this.#held.subarray(part.end);
      if (part.answer.status >= 200) return part.answer;
    }
  }

  /** Bytes that belong to no answer yet. */
  get rest(): Buffer {
    return this.#held;
  }
}

function read(bytes: Buffer, head: boolean): Part | undefined {
  const start = bytes.indexOf('\r\n\r\n');
  if (start < 0) return undefined;
  const lines = bytes.subarray(0, start).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: .*)?$/.exec(lines[0] ?? '')?.[1] ?? NaN);
  if (Number.isNaN(status)) throw new Error(`no HTTP/1.1 answer: ${JSON.stringify(lines[0])}`);
  const headers = lines.slice(1).map((line): HeaderField => {
    const colon = line.indexOf(':');
    if (colon <= 0) throw new Error(`no header: ${JSON.stringify(line)}`);
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const value = (name: string): string | undefined => headers.find(([own]) => own === name)?.[1];
  const at = start + 4;
  const answer = { status, headers, body: NO_BYTES };
  if (head || status < 200 || status === 204 || status === 304) return { end: at, answer };
  if (value('transfer-encoding') === 'chunked') {
    const body = readChunks(bytes, at);
    return body === undefined ? undefined : { end: body.end, answer: { ...answer, body: body.bytes } };
  }
  const length = Number(value('content-length') ?? NaN);
  if (Number.isNaN(length)) throw new Error(`an answer without a length: ${lines.join(' | ')}`);
  if (bytes.length < at + length) return undefined;
  return { end: at + length, answer: { ...answer, body: bytes.subarray(at, at + length) } };
}

function readChunks(bytes: Buffer, start: number): { end: number; bytes: Buffer } | undefined {
  const pieces: Buffer[] = [];
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = parseInt(bytes.subarray(at, line).toString('latin1'), 16);
    if (Number.isNaN(size)) throw new Error('no chunk size');
    const from = line + 2;
    if (size === 0) {
      // Trailers, if any, end with an empty line.
      const end = bytes.indexOf('\r\n', from) === from ? from + 2 : bytes.indexOf('\r\n\r\n', from) + 4;
      return end < from + 2 || bytes.length < end ? undefined : { end, bytes: Buffer.concat(pieces) };
    }
    if (bytes.length < from + size + 2) return undefined;
    pieces.push(bytes.subarray(from, from + size));
    at = from + size + 2;
  }
}
