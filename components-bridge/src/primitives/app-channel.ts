import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { connect, constants } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
} from 'node:http2';
import { connect as dial } from 'node:net';
import type { Socket } from 'node:net';

import { Code, reasonOf } from './errors.js';

/** What an answer may have beside a message that is as long as messages may be. */
const SLACK = 64 * 1024;

/** How much longer than Envoy the bridge waits, in milliseconds: Envoy's answer says more. */
const BACKSTOP_MS = 1_000;

/** Envoy says in it by which of its response flags an answer is its own, see envoy/app-channel.ts. */
const ENVOYS_OWN = 'x-layotto-local';

/** Codes of connections that nobody has taken. */
const NEVER_MADE: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'EACCES']);

/** Flags of Envoy: nobody has taken the connection, so the app has not seen the call; and the time was over. */
const NOT_REACHED: ReadonlySet<string> = new Set(['UF', 'UH', 'NR', 'UO']);
const TIMED_OUT: ReadonlySet<string> = new Set(['UT', 'DT', 'SI']);

/** Five bytes before each message of gRPC: not compressed, and its length. */
const FRAME_HEAD = 5;

/** Where the app listens; port 0: nowhere. */
export interface AppAddress {
  port: number;
  protocol: 'http' | 'grpc';
}

export interface AppChannelOptions {
  /** Envoy's listener for the app. */
  socketPath: string;
  /** Where Envoy has none, because it is not the runtime's own, the app beside the bridge is called at its port. */
  direct: boolean;
  /** Connects to that listener otherwise than by its path. May throw. */
  connect?: () => Socket;
  /** Told when nobody listens there. */
  onLost?: () => void;
  app: AppAddress;
  /** What the app knows the runtime by, `APP_API_TOKEN`; empty: nothing. A file's may throw an AppError. */
  token: string | { readonly value: string };
  /** Of every call, whatever the call says. */
  headers?: Readonly<Record<string, string>>;
  /** Largest message, in bytes. */
  messageBytes: number;
}

/** One call of the app. */
export interface AppCall {
  /** From its slash on. */
  path: string;
  /** HTTP only; default POST. */
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body: Uint8Array;
  /** How long the app may take, in milliseconds. */
  timeoutMs: number;
  /** W3C trace context for the app. */
  traceparent?: string | undefined;
  signal?: AbortSignal;
}

export interface AppAnswer {
  status: number;
  body: Buffer;
}

/** By which an app is called that speaks HTTP. */
export interface AppCaller {
  readonly app: AppAddress;
  /** See `AppChannel.http`. */
  http(call: AppCall): Promise<AppAnswer>;
}

/**
 * Why there is no answer of the app. `away`: it has not seen the call, for nobody listens; `broken`: the connection was
 * lost, so that it may have seen it; `late`: it took longer than it may.
 */
export class AppError extends Error {
  override name = 'AppError';

  constructor(
    readonly kind: 'away' | 'broken' | 'late',
    message: string,
  ) {
    super(message);
  }
}

/** The app's own refusal, or failure, of a gRPC call. */
export class AppStatus extends Error {
  override name = 'AppStatus';

  constructor(
    /** Whatever number the app has sent. */
    readonly code: Code,
    message: string,
  ) {
    super(message);
  }
}

interface Raw extends AppAnswer {
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
}

/**
 * Calls the app through Envoy: one HTTP/2 connection to its listener on a Unix socket, whatever the app speaks. It is
 * made with the first call, and again after it was lost. Where that listener is not to be had the app may be called at
 * its own port, in its own protocol.
 */
export class AppChannel implements AppCaller {
  #session: ClientHttp2Session | undefined;
  /** Whether that session goes past Envoy. */
  #past = false;
  #closed = false;

  constructor(private readonly options: AppChannelOptions) {}

  get app(): AppAddress {
    return this.options.app;
  }

  /**
   * A call of an HTTP app. Any status of the app is an answer.
   *
   * @throws AppError
   */
  async http({ method = 'POST', ...call }: AppCall): Promise<AppAnswer> {
    const { status, body } = await this.#request({ ...call, method }, call.body, {});
    return { status, body };
  }

  /**
   * A unary call of a gRPC app.
   *
   * @returns the response message as protobuf
   * @throws AppError, AppStatus
   */
  async grpc(call: AppCall): Promise<Uint8Array> {
    const { body: message, timeoutMs } = call;
    const framed = Buffer.allocUnsafe(FRAME_HEAD + message.length);
    framed.writeUInt8(0, 0);
    framed.writeUInt32BE(message.length, 1);
    framed.set(message, FRAME_HEAD);
    const more = { 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': `${timeoutMs}m` };
    const { status, headers, trailers, body } = await this.#request(
      { ...call, method: 'POST' },
      framed,
      more,
    );
    const said = trailers['grpc-status'] ?? headers['grpc-status'];
    if (said === undefined) {
      const message = `the app answers a gRPC call with HTTP status ${status} and no gRPC status`;
      throw new AppStatus(status === 404 ? Code.UNIMPLEMENTED : Code.UNKNOWN, message);
    }
    if (said !== '0') {
      const text = String(trailers['grpc-message'] ?? headers['grpc-message'] ?? '');
      throw new AppStatus(Number(said), decodeMessage(text));
    }
    const length = body.length < FRAME_HEAD ? -1 : body.readUInt32BE(1);
    if (body[0] !== 0 || length !== body.length - FRAME_HEAD)
      throw new AppStatus(Code.INTERNAL, 'the app answers with something that is not one gRPC message');
    return body.subarray(FRAME_HEAD);
  }

  /** Calls in flight fail. */
  close(): void {
    this.#closed = true;
    this.#session?.destroy();
  }

  #request(call: AppCall & { method: string }, body: Uint8Array, more: OutgoingHttpHeaders): Promise<Raw> {
    if (this.#closed) return Promise.reject(new AppError('away', 'the bridge is shutting down'));
    const { app, messageBytes } = this.options;
    let token: string;
    try {
      token = this.#token;
    } catch (error) {
      return Promise.reject(error instanceof AppError ? error : new AppError('away', reasonOf(error)));
    }
    const most = messageBytes + SLACK;
    const headers = {
      ...call.headers,
      ...this.options.headers,
      ...more,
      ...(body.length > 0 ? { 'content-length': String(body.length) } : {}),
      ...(token === '' ? {} : { 'dapr-api-token': token }),
      ...(call.traceparent === undefined ? {} : { traceparent: call.traceparent }),
    };
    if (app.protocol === 'http' && this.#goesDirect) return answeredByHttp1(app.port, call, headers, most);
    let stream: ClientHttp2Stream;
    try {
      stream = this.#connected().request(
        {
          ':method': call.method,
          ':path': call.path,
          ...headers,
          'x-envoy-upstream-rq-timeout-ms': String(call.timeoutMs),
        },
        { endStream: body.length === 0 },
      );
    } catch (error) {
      // The session has ended in this very moment, or there is no socket.
      if (this.#session === undefined) this.options.onLost?.();
      return Promise.reject(new AppError('away', reasonOf(error)));
    }
    return answered(stream, body, call, most);
  }

  /** @throws AppError if it is in a file that cannot be read */
  get #token(): string {
    const { token } = this.options;
    return typeof token === 'string' ? token : token.value;
  }

  get #goesDirect(): boolean {
    return this.options.direct && !existsSync(this.options.socketPath);
  }

  #connected(): ClientHttp2Session {
    const past = this.#goesDirect;
    const open = this.#session;
    if (open !== undefined && !open.closed && !open.destroyed) {
      if (past === this.#past) return open;
      // Envoy has a listener for it by now; what is in hand may end.
      open.close();
    }
    const { socketPath, app, onLost } = this.options;
    const toEnvoy = this.options.connect ?? ((): Socket => dial(socketPath));
    const createConnection = past ? (): Socket => dial(app.port, '127.0.0.1') : toEnvoy;
    this.#session = undefined;
    this.#past = past;
    const session = connect('http://app', { createConnection, settings: { enablePush: false } });
    // What it was lost by is told to its streams.
    session.on('error', (error) => {
      if (neverMade(error)) onLost?.();
    });
    session.on('goaway', () => session.close());
    session.on('close', () => {
      if (this.#session === session) this.#session = undefined;
    });
    // It keeps no process alive.
    session.unref();
    this.#session = session;
    return session;
  }
}

/** Sends a body and gathers the answer. @throws AppError */
function answered(stream: ClientHttp2Stream, body: Uint8Array, call: AppCall, most: number): Promise<Raw> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders | undefined;
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    let size = 0;
    const over = (): void => {
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', cancelled);
    };
    const fail = (error: AppError): void => {
      over();
      reject(error);
      stream.close(constants.NGHTTP2_CANCEL);
    };
    const cancelled = (): void => fail(new AppError('broken', 'the call was given up'));
    const timer = setTimeout(
      () => fail(new AppError('late', `no answer within ${call.timeoutMs} ms`)),
      call.timeoutMs + BACKSTOP_MS,
    );
    stream.on('response', (received: IncomingHttpHeaders) => (headers = received));
    stream.on('trailers', (received: IncomingHttpHeaders) => (trailers = received));
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > most) fail(new AppError('broken', `an answer of more than ${most} bytes`));
      else chunks.push(chunk);
    });
    stream.on('error', (error: Error) => fail(new AppError(failureOf(error, headers), reasonOf(error))));
    stream.on('close', () => {
      over();
      if (headers === undefined || stream.rstCode !== constants.NGHTTP2_NO_ERROR) {
        reject(new AppError('broken', 'the connection was lost before the answer was complete'));
        return;
      }
      const flags = headers[ENVOYS_OWN];
      if (flags !== undefined) reject(envoysOwn(String(flags), Buffer.concat(chunks).toString(), call));
      else resolve({ status: Number(headers[':status']), headers, trailers, body: Buffer.concat(chunks) });
    });
    if (call.signal?.aborted === true) cancelled();
    else call.signal?.addEventListener('abort', cancelled, { once: true });
    if (body.length > 0) stream.end(body);
  });
}

/**
 * Calls an app that speaks HTTP/1.1. Each call has a connection of its own: one that is kept may be closed by the app
 * just when the next call is sent, and nobody could say whether that was seen.
 *
 * @throws AppError
 */
function answeredByHttp1(
  port: number,
  call: AppCall & { method: string },
  headers: OutgoingHttpHeaders,
  most: number,
): Promise<Raw> {
  const { method, path, body, timeoutMs, signal } = call;
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
    const cancelled = (): void => void sent.destroy(new AppError('broken', 'the call was given up'));
    const late = new AppError('late', `no answer within ${timeoutMs} ms`);
    const timer = setTimeout(() => sent.destroy(late), timeoutMs);
    const fail = (error: Error): void =>
      reject(error instanceof AppError ? error : new AppError(failureOf(error, undefined), reasonOf(error)));
    sent.on('error', fail);
    sent.on('close', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancelled);
    });
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > most) sent.destroy(new AppError('broken', `an answer of more than ${most} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          trailers: response.trailers,
          body: Buffer.concat(chunks),
        }),
      );
    });
    if (signal?.aborted === true) cancelled();
    else signal?.addEventListener('abort', cancelled, { once: true });
    sent.end(body);
  });
}

/** A connection that was never made has carried nothing. */
function failureOf(error: Error, headers: IncomingHttpHeaders | undefined): 'away' | 'broken' {
  // A session that fails tells its streams of it as a cause.
  return headers === undefined && (neverMade(error) || neverMade(error.cause)) ? 'away' : 'broken';
}

function neverMade(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && NEVER_MADE.has(String(error.code));
}

function envoysOwn(flags: string, text: string, { timeoutMs }: AppCall): AppError {
  const all = flags.split(',');
  if (all.some((flag) => TIMED_OUT.has(flag)))
    return new AppError('late', `no answer within ${timeoutMs} ms`);
  const kind = all.some((flag) => NOT_REACHED.has(flag)) ? 'away' : 'broken';
  return new AppError(kind, text === '' ? `Envoy could not reach it (${flags})` : text);
}

/** gRPC percent-encodes its messages. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
