import { createServer } from 'node:http2';
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';

import { clip } from '../policy/clip.js';
import type { ListenAddress } from '../config/types.js';
import type { Gate } from '../doors/admit.js';
import { HEALTH } from '../doors/health.js';
import type { Behind, Method, StreamMethod } from '../doors/method.js';
import type { Refused } from '../doors/refused.js';
import { unservedText } from '../doors/unserved.js';
import { Code, reasonOf } from '../primitives/errors.js';
import type { Handler, Service } from '../primitives/handler.js';
import type { StreamHandler } from '../primitives/stream.js';
import type { CallWatch } from './calls.js';
import { Connections } from './connections.js';
import { DoorBudget } from './door-budget.js';
import { DoorCall } from './door-call.js';
import type { DoorSite } from './door-call.js';
import { LEAVING, MANY_STREAMS, refuse, refuseHttp } from './door-reply.js';
import { DoorStream } from './door-stream.js';
import { AddressInUseError } from './socket.js';

/** A stream's window: what a caller may send ahead of its reader. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 16 * 1024 * 1024;

/** Connections at a time, and calls at a time on each; together they are bounded by `limits`. */
const CONNECTIONS = 1_024;

/** How long the status of calls that are ended may take to leave. */
const LAST_STATUS_MS = 500;

/** How long, and how often, an address is tried that a bridge which is about to end still has. */
const REPLACE_MS = 10_000;
const AGAIN_MS = 50;

export interface DoorServerOptions {
  address: ListenAddress;
  methods: ReadonlyMap<string, Method>;
  services: readonly Service[];
  /** The methods of primitives that are not the runtime's own, and who performs them; they come and go. */
  own: { method(path: string): Method | undefined; handler(operation: string): Handler | undefined };
  behind: Behind;
  gate: Gate;
  limits: {
    messageBytes: number;
    operations: number;
    streams: number;
    bytes: number;
    deadlineMs: number;
  };
  log: Logger;
  calls: CallWatch;
}

/** How many calls of one method ended with which code. */
export interface EndedCalls {
  method: string;
  code: Code | 0;
  count: number;
}

/** Layotto's and Dapr's gRPC doors, served by the bridge itself over HTTP/2 without TLS. */
export class DoorServer {
  readonly #http2: Http2Server;
  readonly #connections: Connections;
  readonly #calls = new Set<DoorCall | DoorStream>();
  readonly #streams: ReadonlyMap<string, StreamHandler>;
  readonly #site: DoorSite;
  readonly #budget: DoorBudget;
  readonly #leaving = new AbortController();
  readonly #ended = new Map<string, EndedCalls>();
  #onIdle: () => void = () => undefined;

  constructor(private readonly options: DoorServerOptions) {
    const { services, own, behind, gate, limits, calls } = options;
    this.#connections = new Connections(options.log);
    const handlers = new Map(services.flatMap((service) => [...service.handlers]));
    this.#streams = new Map(services.flatMap(({ streams }) => [...(streams ?? [])]));
    this.#budget = new DoorBudget(limits);
    this.#site = {
      behind,
      handler: (operation) => handlers.get(operation) ?? own.handler(operation),
      gate,
      budget: this.#budget,
      limits,
      watch: calls,
      over: (method, code) => this.#count(method, code),
    };
    this.#http2 = createServer({
      settings: {
        initialWindowSize: STREAM_WINDOW,
        maxConcurrentStreams: limits.operations + limits.streams,
      },
    });
    this.#http2.maxConnections = CONNECTIONS;
    this.#http2.on('session', (session) => this.#connected(session));
    this.#http2.on('stream', (stream, headers) => this.#opened(stream, headers));
    this.#http2.on('sessionError', (error) =>
      options.log.debug({ reason: reasonOf(error) }, 'connection lost'),
    );
  }

  /** Calls and streams at work. */
  get open(): number {
    return this.#calls.size;
  }

  /** The policy has changed: streams that are not allowed any more end. */
  recheck(): void {
    for (const call of this.#calls) if (call instanceof DoorStream) call.recheck();
  }

  /** What became of those that are over. */
  get ended(): Iterable<EndedCalls> {
    return this.#ended.values();
  }

  /** Where it listens, once it does. */
  get address(): ListenAddress {
    const { address, port } = this.#http2.address() as AddressInfo;
    return { host: address, port };
  }

  /**
   * @param replace another bridge has the address and is about to end
   * @throws AddressInUseError if it cannot be had
   */
  async start(replace = false): Promise<void> {
    const { log, gate, address } = this.options;
    const until = performance.now() + (replace ? REPLACE_MS : 0);
    while (!(await this.#listen(performance.now() >= until))) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    const { host, port } = this.address;
    log.info({ host, port }, 'serving the Layotto and Dapr gRPC doors');
    if (!gate.guarded && !/^(127\.|::1$)/.test(address.host)) {
      log.warn({ host }, 'whoever reaches this address may call: set DAPR_API_TOKEN, or listen on 127.0.0.1');
    }
  }

  /** Takes no new calls, and lets those in hand finish, `graceMs` at most; what is left is told that the bridge goes. */
  async drain(graceMs: number): Promise<void> {
    this.#leaving.abort();
    this.#stopListening();
    // GOAWAY: the next call dials, and finds whoever listens then.
    for (const connection of this.#connections) connection.close();
    if (!(await this.#idle(graceMs))) {
      for (const call of this.#calls) call.end(LEAVING);
      await this.#idle(LAST_STATUS_MS);
    }
    await this.#disconnected(LAST_STATUS_MS);
    await this.close();
  }

  /**
   * Resolves when every connection has ended by itself, or after `limitMs`. One that is destroyed while bytes of the peer's
   * wait to be read is reset, and takes the last answer along.
   */
  async #disconnected(limitMs: number): Promise<void> {
    const closed = [...this.#connections].map(
      (connection) => new Promise((resolve) => connection.once('close', resolve)),
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)));
    await Promise.race([Promise.all(closed), late]);
    clearTimeout(timer);
  }

  /** Ends everything at once. */
  close(): Promise<void> {
    this.#stopListening();
    for (const call of this.#calls) call.end(LEAVING);
    for (const connection of this.#connections) connection.destroy();
    return Promise.resolve();
  }

  #stopListening(): void {
    this.#connections.stop();
    if (this.#http2.listening) this.#http2.close();
  }

  /** @param last whether an address in use is an error; else it is false */
  #listen(last: boolean): Promise<boolean> {
    const { host, port } = this.options.address;
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        this.#http2.removeListener('listening', listening);
        if (error.code !== 'EADDRINUSE') reject(error);
        else if (!last) resolve(false);
        else reject(new AddressInUseError(`--listen: ${host}:${port} is in use; end what listens there`));
      };
      const listening = (): void => {
        this.#http2.removeListener('error', failed);
        resolve(true);
      };
      this.#http2.once('error', failed);
      this.#http2.once('listening', listening);
      this.#http2.listen(port, host);
    });
  }

  #connected(session: ServerHttp2Session): void {
    this.#connections.add(session);
    session.setLocalWindowSize(CONNECTION_WINDOW);
  }

  #opened(http2: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // A reset is a normal end; `close` follows.
    http2.on('error', () => undefined);
    const type = headers['content-type'] ?? '';
    if (!/^application\/grpc($|\+)/.test(type)) {
      refuseHttp(http2, 415);
      return;
    }
    // A stream of HEAD would be over with its headers, and have no place for a status.
    if (headers[':method'] !== 'POST') {
      refuseHttp(http2, 405, { allow: 'POST' });
      return;
    }
    const [path = ''] = (headers[':path'] ?? '').split('?', 1);
    const method = this.options.methods.get(path) ?? this.options.own.method(path);
    const refused = this.#refusal(path, method, headers);
    if (refused !== undefined || method === undefined) {
      this.#count(method?.path.slice(1) ?? 'unknown', refused?.code ?? 0);
      refuse(http2, refused ?? LEAVING);
      return;
    }
    if (method.kind === 'stream') {
      this.#openStream(http2, headers, method);
      return;
    }
    this.#add(http2, new DoorCall(http2, headers, method, this.#site));
  }

  /** Why a call is refused by its head alone. */
  #refusal(path: string, method: Method | undefined, headers: IncomingHttpHeaders): Refused | undefined {
    const { gate, behind } = this.options;
    const denied = gate.checkHead(headers, path.startsWith(HEALTH));
    if (denied !== undefined) return denied;
    if (method === undefined) return { code: Code.UNIMPLEMENTED, message: unservedText(path, clip(path)) };
    if (this.#leaving.signal.aborted) return LEAVING;
    const notAdmitted = gate.admit(method);
    if (notAdmitted !== undefined || method.kind === 'unary') return notAdmitted;
    const { unserved, primitive } = method;
    return unserved !== undefined && !behind.serves(primitive) ? unserved : undefined;
  }

  #openStream(http2: ServerHttp2Stream, headers: IncomingHttpHeaders, method: StreamMethod): void {
    const handler = method.handler ?? this.#streams.get(method.path);
    if (handler === undefined) throw new Error(`nobody serves ${method.path}`);
    if (!this.#budget.takeStream()) {
      this.#count(method.path.slice(1), MANY_STREAMS.code);
      refuse(http2, MANY_STREAMS);
      return;
    }
    const spent = this.options.gate.spend(method, undefined);
    if (spent !== undefined) {
      this.#budget.giveStream();
      this.#count(method.path.slice(1), spent.code);
      refuse(http2, spent);
      return;
    }
    http2.on('close', () => this.#budget.giveStream());
    this.#add(http2, new DoorStream(http2, headers, method, handler, this.#site, this.#leaving.signal));
  }

  #add(http2: ServerHttp2Stream, call: DoorCall | DoorStream): void {
    this.#calls.add(call);
    http2.on('close', () => {
      this.#calls.delete(call);
      if (this.#calls.size === 0) this.#onIdle();
    });
  }

  #count(method: string, code: Code | 0): void {
    const key = `${method} ${code}`;
    const known = this.#ended.get(key) ?? { method, code, count: 0 };
    known.count++;
    this.#ended.set(key, known);
  }

  /** Resolves with true when no call is open, with false after `limitMs`. */
  #idle(limitMs: number): Promise<boolean> {
    if (this.#calls.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
