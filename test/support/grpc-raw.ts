import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { StatusSchema, type Status } from '../../components-bridge/src/gen/google/rpc/status_pb.js';
import { dial } from './dial.js';
import type { Target } from './http1.js';
import { sleep } from './wait.js';

/** One message in gRPC framing: flag byte, big-endian length, bytes. */
export function grpcFrame(message: Uint8Array, flag = 0): Buffer {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt8(flag, 0);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

/** Cuts a body into pieces of `size` bytes. */
export function pieces(body: Uint8Array, size: number): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) cut.push(Buffer.from(body.subarray(at, at + size)));
  return cut;
}

/** What came back for one stream, whatever it was. */
export interface RawAnswer {
  /** `:status`, or 0 if no headers came. */
  httpStatus: number;
  headers: Record<string, string>;
  trailers: Record<string, string>;
  body: Buffer;
  /** The bodies of the gRPC frames in `body`; a malformed rest is left out. */
  messages: Buffer[];
  /** `grpc-status` from the trailers or the headers; -1 if there is none. */
  grpcStatus: number;
  /** `grpc-message`, percent-decoded. */
  grpcMessage: string;
  /** True if the status came in the headers. */
  trailersOnly: boolean;
  /** The decoded `grpc-status-details-bin`. */
  details: Status | undefined;
  /** HTTP/2 error code the stream was closed with. */
  rstCode: number;
  /** Milliseconds from the request to the end of the answer. */
  ms: number;
}

/** How a request is sent. */
export interface RawRequest {
  path: string;
  method?: string;
  headers?: Record<string, string>;
  /** Written one by one; a number pauses that many milliseconds. */
  body?: readonly (Uint8Array | number)[];
  /** Sent as trailers after the body, which then carries no end-of-stream flag itself. */
  trailers?: Record<string, string>;
  /** Whether the request side is ended after the body; default true. */
  end?: boolean;
  /** Gives up and resets the stream after this long; default 20 s. */
  timeoutMs?: number;
}

/** A running request, for those that cancel or write more. */
export interface RawCall {
  stream: ClientHttp2Stream;
  answer: Promise<RawAnswer>;
  /** Resets the stream, as a client does that no longer waits. */
  cancel(): void;
}

/** One HTTP/2 connection (h2c, prior knowledge) that sends what it is told, well-formed or not. */
export class RawClient {
  private constructor(readonly session: ClientHttp2Session) {}

  /** Connects; rejects if the listener is not there. */
  static async connect(target: Target): Promise<RawClient> {
    const socket = await dial(target);
    return new Promise((resolve, reject) => {
      const session = connect('http://localhost', { createConnection: () => socket });
      session.once('error', reject);
      session.once('connect', () => {
        session.on('error', () => undefined);
        resolve(new RawClient(session));
      });
    });
  }

  /** Starts a request. */
  start(request: RawRequest): RawCall {
    const begun = performance.now();
    const stream = this.session.request(
      {
        ':method': request.method ?? 'POST',
        ':path': request.path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...request.headers,
      },
      { waitForTrailers: request.trailers !== undefined, endStream: false },
    );
    if (request.trailers !== undefined) {
      stream.once('wantTrailers', () => stream.sendTrailers(request.trailers ?? {}));
    }
    const answer = collect(stream, begun, request.timeoutMs ?? 20_000);
    void write(stream, request);
    return { stream, answer, cancel: () => stream.close(constants.NGHTTP2_CANCEL) };
  }

  /** A whole request and its whole answer. */
  send(request: RawRequest): Promise<RawAnswer> {
    return this.start(request).answer;
  }

  /**
   * A unary gRPC call.
   *
   * @param path `/package.Service/Method`
   * @returns the message, if the status is OK, and everything else that came
   */
  async unary<I extends DescMessage, O extends DescMessage>(
    path: string,
    input: I,
    message: MessageInitShape<I>,
    output: O,
    { headers, timeoutMs }: { headers?: Record<string, string>; timeoutMs?: number } = {},
  ): Promise<RawAnswer & { message: MessageShape<O> | undefined }> {
    const body = [grpcFrame(toBinary(input, create(input, message)))];
    const answer = await this.send({ path, headers, body, timeoutMs });
    const first = answer.messages[0];
    const decoded = answer.grpcStatus === 0 && first !== undefined ? fromBinary(output, first) : undefined;
    return { ...answer, message: decoded };
  }

  /** Ends the connection at once. */
  close(): void {
    this.session.destroy();
  }
}

async function write(stream: ClientHttp2Stream, request: RawRequest): Promise<void> {
  for (const part of request.body ?? []) {
    if (typeof part === 'number') await sleep(part);
    else if (!stream.destroyed && !stream.write(part)) {
      await new Promise<void>((resolve) => {
        stream.once('drain', resolve);
        stream.once('close', resolve);
      });
    }
    if (stream.destroyed) return;
  }
  if (request.end !== false) stream.end();
}

function collect(stream: ClientHttp2Stream, begun: number, timeoutMs: number): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let headers: Record<string, string> = {};
    let trailers: Record<string, string> = {};
    const chunks: Buffer[] = [];
    let late = false;
    let broken: Error | undefined;
    const timer = setTimeout(() => {
      late = true;
      stream.close(constants.NGHTTP2_CANCEL);
    }, timeoutMs);
    stream.on('response', (received) => (headers = flat(received)));
    stream.on('trailers', (received: IncomingHttpHeaders) => (trailers = flat(received)));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A reset is a result here; the code tells which.
    stream.on('error', (error: Error) => (broken = error));
    stream.on('close', () => {
      clearTimeout(timer);
      if (late) return reject(new Error(`no answer within ${timeoutMs} ms`));
      if (broken !== undefined && stream.rstCode === 0) return reject(broken);
      const body = Buffer.concat(chunks);
      const carrier = 'grpc-status' in trailers ? trailers : headers;
      const details = carrier['grpc-status-details-bin'];
      resolve({
        httpStatus: Number(headers[':status'] ?? 0),
        headers,
        trailers,
        body,
        messages: unframe(body),
        grpcStatus: Number(carrier['grpc-status'] ?? -1),
        grpcMessage: decodeMessage(carrier['grpc-message'] ?? ''),
        trailersOnly: 'grpc-status' in headers,
        details: details === undefined ? undefined : fromBinary(StatusSchema, Buffer.from(details, 'base64')),
        rstCode: stream.rstCode ?? 0,
        ms: performance.now() - begun,
      });
    });
  });
}

function flat(received: Record<string, unknown>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(received)) {
    out[name] = Array.isArray(value) ? value.join(',') : String(value);
  }
  return out;
}

/** Reads the whole frames of a body. */
export function unframe(body: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let at = 0;
  while (body.length - at >= 5) {
    const size = body.readUInt32BE(at + 1);
    if (body.length - at - 5 < size) break;
    messages.push(body.subarray(at + 5, at + 5 + size));
    at += 5 + size;
  }
  return messages;
}

function decodeMessage(text: string): string {
  return Buffer.from(
    text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');
}
