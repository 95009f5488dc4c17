import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { createServer } from 'node:http2';
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Logger } from 'pino';

import { HelloSchema, Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import type { Hello } from '../gen/layotto/bridge/v1/session_pb.js';
import { Code, reasonOf } from '../primitives/errors.js';
import type { Handler, Service } from '../primitives/handler.js';
import { CallWatch } from './calls.js';
import { FrameError } from './frame.js';
import type { Frame } from './frame.js';
import { Pair } from './operations.js';
import type { OperationLimits } from './operations.js';
import { listenOnSocket } from './socket.js';
import type { SocketAccess } from './socket.js';
import { grpcMessage, SessionStream } from './stream.js';
import type { StreamEvents } from './stream.js';

const PATH = '/layotto.bridge.v1.Bridge/Session';
const PROTOCOL = 1;

/** What a frame may have beside the caller's message. */
const FRAME_SLACK = 64 * 1024;

/** HTTP/2 windows: a stream's, so that several messages of 4 MiB flow without waiting; and a connection's. */
const STREAM_WINDOW = 16 * 1024 * 1024;
const CONNECTION_WINDOW = 64 * 1024 * 1024;

/** How exact deadlines are. Envoy has its own; this one frees what nobody waits for. */
const DEADLINE_STEP_MS = 25;

/** A filter may have sent requests before it saw GOAWAY: so long nothing may have come before the streams end. */
const QUIET_MS = 100;

const NO_BYTES = new Uint8Array(0);

export interface SessionServerOptions extends SocketAccess {
  socketPath: string;
  services: readonly Service[];
  /** What the bridge says of itself. */
  hello: { name: string; version: string; configVersion: string };
  limits: { messageBytes: number; operations: number; bytes: number };
  log: Logger;
  /** Follows the calls; by default it only logs those that failed. */
  calls?: CallWatch;
  /** Sends no hello before `greet` is called: a filter sends no calls until it has one. */
  holdGreetings?: boolean;
  /** Told how many session streams are open, when that changes. */
  onSessions?: (open: number) => void;
}

/** What is known of a stream: whose it is, once it has said hello. */
interface Member {
  stream: SessionStream;
  pair: Pair | undefined;
}

/** The bridge's end of the sessions: `layotto.bridge.v1.Bridge/Session` on a Unix socket. */
export class SessionServer implements StreamEvents {
  readonly #http2: Http2Server;
  readonly #connections = new Set<ServerHttp2Session>();
  readonly #members = new Map<SessionStream, Member>();
  readonly #pairs = new Set<Pair>();
  readonly #pairsById = new Map<bigint, Pair>();
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #limits: OperationLimits;
  readonly #frameLimit: number;
  readonly #hello: Uint8Array;
  readonly #calls: CallWatch;
  #deadlines: NodeJS.Timeout | undefined;
  #draining = false;
  #greeting: boolean;
  #lastFrame = 0;
  #onIdle: () => void = () => undefined;

  constructor(private readonly options: SessionServerOptions) {
    const { services, limits, hello } = options;
    this.#handlers = new Map(services.flatMap((service) => [...service.handlers]));
    this.#frameLimit = limits.messageBytes + FRAME_SLACK;
    this.#limits = { resultBytes: this.#frameLimit, operations: limits.operations, bytes: limits.bytes };
    const names = services.map((service) => service.name);
    const said = create(HelloSchema, { protocol: PROTOCOL, ...hello, services: names });
    this.#hello = toBinary(HelloSchema, said);
    this.#calls = options.calls ?? new CallWatch({ log: options.log });
    this.#greeting = options.holdGreetings !== true;
    this.#http2 = createServer({
      settings: { initialWindowSize: STREAM_WINDOW, maxConcurrentStreams: 100 },
      maxSessionMemory: Math.ceil((2 * limits.bytes) / (1024 * 1024)),
    });
    this.#http2.on('session', (session) => this.#connected(session));
    this.#http2.on('stream', (stream, headers) => this.#opened(stream, headers));
    this.#http2.on('sessionError', (error) =>
      options.log.debug({ reason: reasonOf(error) }, 'connection lost'),
    );
  }

  /** How many session streams are open. */
  get open(): number {
    return this.#members.size;
  }

  /** Operations at work for filters that are connected. */
  get running(): number {
    let sum = 0;
    for (const pair of this.#pairs) sum += pair.running;
    return sum;
  }

  /** Bytes of the requests of those. */
  get runningBytes(): number {
    let sum = 0;
    for (const pair of this.#pairs) sum += pair.runningBytes;
    return sum;
  }

  /** Bytes of answers that filters have not taken yet. */
  get backlog(): number {
    let sum = 0;
    for (const stream of this.#members.keys()) sum += stream.backlog;
    return sum;
  }

  /** @throws SocketInUseError if another process answers on the socket */
  async start(): Promise<void> {
    await listenOnSocket(this.#http2, this.options.socketPath, this.options);
  }

  /** Says hello on every open stream, and from now on on every new one. Does nothing the second time. */
  greet(): void {
    if (this.#greeting) return;
    this.#greeting = true;
    for (const stream of this.#members.keys()) stream.send(0, Kind.HELLO, this.#hello);
  }

  /**
   * Takes no new connections, asks every filter to send nothing new, and waits until what they have sent is done,
   * `graceMs` at most. Then ends every stream.
   */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    const listening = this.#http2.listening;
    const closed = new Promise<void>((resolve) => {
      if (listening) this.#http2.close(() => resolve());
      else resolve();
    });
    this.#lastFrame = performance.now();
    for (const stream of this.#members.keys()) stream.send(0, Kind.GOAWAY, NO_BYTES);
    await this.#idle(graceMs);
    for (const stream of this.#members.keys()) stream.end();
    for (const connection of this.#connections) connection.close();
    const timer = setTimeout(() => this.#destroy(), 500);
    await closed;
    clearTimeout(timer);
    this.#destroy();
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#onIdle();
    const closed = new Promise<void>((resolve) => {
      if (this.#http2.listening) this.#http2.close(() => resolve());
      else resolve();
    });
    this.#destroy();
    await closed;
  }

  onFrame(stream: SessionStream, frame: Frame, now: number): void {
    const member = this.#members.get(stream);
    if (member === undefined) return;
    const { pair } = member;
    if (pair === undefined) {
      this.#greet(member, frame);
      return;
    }
    if (this.#draining) this.#lastFrame = now;
    switch (frame.kind) {
      case Kind.REQUEST:
        pair.request(stream, frame, now);
        if (frame.deadlineMs > 0) this.#deadlines ??= setTimeout(() => this.#expire(), DEADLINE_STEP_MS);
        break;
      case Kind.CANCEL:
        pair.cancel(frame.id);
        break;
      case Kind.PING:
        stream.send(frame.id, Kind.PONG, NO_BYTES);
        pair.regulate();
        break;
      case Kind.HELLO:
        throw new FrameError('a second HELLO');
      case Kind.UNSPECIFIED:
        throw new FrameError('a frame has no kind');
      default:
      // A kind of a later version, or a PONG that nobody waits for.
    }
  }

  onMalformed(stream: SessionStream, error: FrameError): void {
    this.options.log.warn({ reason: error.message }, 'malformed frame: the session stream is ended');
    stream.end(Code.INVALID_ARGUMENT, `malformed frame: ${error.message}`);
    this.#forget(stream);
  }

  onEnd(stream: SessionStream): void {
    stream.end();
  }

  onDrain(stream: SessionStream): void {
    this.#members.get(stream)?.pair?.regulate();
  }

  onClose(stream: SessionStream): void {
    this.#forget(stream);
  }

  #connected(session: ServerHttp2Session): void {
    this.#connections.add(session);
    session.setLocalWindowSize(CONNECTION_WINDOW);
    session.on('close', () => this.#connections.delete(session));
    session.on('error', (error) => this.options.log.debug({ reason: reasonOf(error) }, 'connection lost'));
  }

  #opened(http2: ServerHttp2Stream, headers: IncomingHttpHeaders & { ':path'?: string }): void {
    const refusal = this.#refusal(headers);
    if (refusal !== undefined) {
      http2.on('error', () => undefined);
      http2.resume();
      http2.respond(refusal, { endStream: true });
      return;
    }
    const stream = new SessionStream(http2, this.#frameLimit, this);
    this.#members.set(stream, { stream, pair: undefined });
    if (this.#greeting) stream.send(0, Kind.HELLO, this.#hello);
    this.options.onSessions?.(this.open);
  }

  /** The headers that answer a stream which is no session; undefined if it is one. */
  #refusal(headers: IncomingHttpHeaders & { ':path'?: string }): Record<string, string | number> | undefined {
    const { ':path': path = '', 'content-type': type = '' } = headers;
    if (!/^application\/grpc($|[+;])/.test(type)) return { ':status': 415 };
    // A stream of HEAD would be over with its headers, and have no place for a status.
    if (headers[':method'] !== 'POST') return { ':status': 405, allow: 'POST' };
    const refused = (code: Code, message: string): Record<string, string | number> => ({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(code),
      'grpc-message': grpcMessage(message),
    });
    if (path !== PATH) {
      return refused(Code.UNIMPLEMENTED, `this socket serves ${PATH} only, not ${path.slice(0, 200)}`);
    }
    return this.#draining ? refused(Code.UNAVAILABLE, 'the bridge is shutting down') : undefined;
  }

  /** @throws FrameError if the first frame is not a hello of this protocol */
  #greet(member: Member, frame: Frame): void {
    if (frame.kind !== Kind.HELLO) throw new FrameError('the first frame is not a HELLO');
    const hello = decodeHello(frame.payload);
    if (hello.protocol !== PROTOCOL) {
      throw new FrameError(`the filter speaks protocol ${hello.protocol}, this bridge ${PROTOCOL}`);
    }
    const { pairId, large, name, version, configVersion, appId } = hello;
    let pair = pairId === 0n ? undefined : this.#pairsById.get(pairId);
    if (pair === undefined) {
      pair = new Pair(this.#handlers, this.#limits, this.#calls);
      this.#pairs.add(pair);
      if (pairId !== 0n) this.#pairsById.set(pairId, pair);
    }
    member.pair = pair;
    pair.add(member.stream, large);
    const filter = { name, version, configVersion, appId, large, pair: pairId.toString(16) };
    this.options.log.debug({ filter }, 'session open');
    if (configVersion !== '' && configVersion !== this.options.hello.configVersion) {
      this.options.log.warn(
        { filter, bridge: this.options.hello },
        'filter and bridge have different configurations',
      );
    }
    if (this.#draining) member.stream.send(0, Kind.GOAWAY, NO_BYTES);
  }

  #forget(stream: SessionStream): void {
    const member = this.#members.get(stream);
    if (member === undefined) return;
    this.#members.delete(stream);
    const { pair } = member;
    if (pair !== undefined) {
      pair.remove(stream);
      if (pair.empty) this.#forgetPair(pair);
    }
    this.options.onSessions?.(this.open);
  }

  #forgetPair(pair: Pair): void {
    this.#pairs.delete(pair);
    for (const [id, known] of this.#pairsById) if (known === pair) this.#pairsById.delete(id);
  }

  #expire(): void {
    this.#deadlines = undefined;
    const now = performance.now();
    let more = false;
    for (const pair of this.#pairs) {
      pair.expire(now);
      more ||= pair.nextDeadline !== Infinity;
    }
    if (more) this.#deadlines = setTimeout(() => this.#expire(), DEADLINE_STEP_MS);
  }

  /** Resolves when nothing is at work, nothing waits to be written and nothing has come for a while. */
  #idle(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = setTimeout(() => this.#onIdle(), graceMs);
      let quiet: NodeJS.Timeout | undefined;
      this.#onIdle = () => {
        clearTimeout(end);
        clearTimeout(quiet);
        this.#onIdle = () => undefined;
        resolve();
      };
      const look = (): void => {
        const busy = this.running > 0 || this.backlog > 0;
        const rest = busy ? QUIET_MS / 4 : this.#lastFrame + QUIET_MS - performance.now();
        if (this.#members.size === 0 && this.running === 0) this.#onIdle();
        else if (rest <= 0) this.#onIdle();
        else quiet = setTimeout(look, rest);
      };
      look();
    });
  }

  #destroy(): void {
    clearTimeout(this.#deadlines);
    this.#deadlines = undefined;
    for (const stream of this.#members.keys()) stream.destroy();
    for (const connection of this.#connections) connection.destroy();
  }
}

function decodeHello(payload: Uint8Array): Hello {
  try {
    return fromBinary(HelloSchema, payload);
  } catch (error) {
    throw new FrameError(`the HELLO cannot be read: ${reasonOf(error)}`);
  }
}
