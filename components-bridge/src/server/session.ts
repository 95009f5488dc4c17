import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

import { Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import { Code, reasonOf } from '../primitives/errors.js';
import type { Handler, Service } from '../primitives/handler.js';
import type { AppServer, AppShare } from './app-share.js';
import { CallWatch } from './calls.js';
import { FrameError } from './frame.js';
import type { Frame } from './frame.js';
import { Connections } from './connections.js';
import { decodeHello, factsOf, Greeting, PROTOCOL } from './greeting.js';
import { Members } from './members.js';
import type { Member } from './members.js';
import { Pair } from './operations.js';
import type { OperationLimits } from './operations.js';
import { agreeToGo, TAKE_OVER_PATH } from './predecessor.js';
import { openWindow, sessionHttp2 } from './session-http2.js';
import type { SessionServerOptions } from './session-options.js';
import { QUIET_MS, Quiet } from './quiet.js';
import { refusalOf } from './session-refusal.js';
import type { OpeningHeaders } from './session-refusal.js';
import { listenOnSocket } from './socket.js';
import type { OwnSocket } from './socket.js';
import { SessionStream } from './stream.js';
import type { StreamEvents } from './stream.js';
import { Throttle } from './throttle.js';

/** What a frame may have beside the caller's message. */
const FRAME_SLACK = 64 * 1024;

/** Warnings of one server about its peers per second, at most. */
const WARNINGS_PER_SECOND = 5;

/** How exact deadlines are. Envoy has its own; this one frees what nobody waits for. */
const DEADLINE_STEP_MS = 25;

/** Longest name of a pod, in characters. */
const LONGEST_POD = 253;

/** How long filters have to come with a new configuration before it is said that they did not. */
const FOLLOW_MS = 5_000;

const NO_BYTES = new Uint8Array(0);

/** The bridge's end of the sessions: `layotto.bridge.v1.Bridge/Session` on a Unix socket. */
export class SessionServer implements StreamEvents, AppServer {
  readonly #http2: Http2Server;
  readonly #connections: Connections;
  readonly #members = new Members();
  readonly #handlers = new Map<string, Handler>();
  #services: readonly string[] = [];
  readonly #limits: OperationLimits;
  readonly #frameLimit: number;
  readonly #greeting: Greeting;
  readonly #calls: CallWatch;
  readonly #leaveShare: () => void;
  readonly #warnings = new Throttle(WARNINGS_PER_SECOND);
  #socket: OwnSocket | undefined;
  #deadlines: NodeJS.Timeout | undefined;
  #followers: NodeJS.Timeout | undefined;
  #draining = false;
  #greets: boolean;
  #lastFrame = 0;
  readonly #quiet = new Quiet(() => ({
    open: this.open,
    running: this.running,
    backlog: this.backlog,
    lastFrame: this.#lastFrame,
  }));

  constructor(private readonly options: SessionServerOptions) {
    const { services, limits } = options;
    this.#connections = new Connections(options.log);
    this.#frameLimit = limits.messageBytes + FRAME_SLACK;
    this.#limits = { resultBytes: this.#frameLimit, operations: limits.operations, bytes: limits.bytes };
    this.#greeting = new Greeting(options.hello, options.log);
    this.serve(services);
    this.#calls = options.calls ?? new CallWatch({ log: options.log });
    this.#greets = options.holdGreetings !== true;
    const { share } = options;
    this.#leaveShare = share?.join(this) ?? (() => undefined);
    this.#http2 = sessionHttp2(limits.bytes, share);
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

  /** What the bridge offers, and the versions of the filters that have come, each with how many streams it has. */
  get offer(): { protocol: number; services: readonly string[]; filters: Record<string, number> } {
    const filters: Record<string, number> = {};
    for (const { version } of this.#members.filters) filters[version] = (filters[version] ?? 0) + 1;
    return { protocol: PROTOCOL, services: this.#services, filters };
  }

  /** Whether a filter of this pod is connected. */
  hasPod(pod: string): boolean {
    return [...this.#members.pairs].some((pair) => pair.pod === pod);
  }

  /** Operations at work for filters that are connected. */
  get running(): number {
    return this.#members.running;
  }

  /** Bytes of the requests of those. */
  get runningBytes(): number {
    return this.#members.runningBytes;
  }

  /** Bytes of answers that filters have not taken yet. */
  get backlog(): number {
    return this.#members.backlog;
  }

  /** The same, and bytes of messages that have come in part. */
  get bytesInHand(): number {
    return this.#members.backlog + this.#members.parts;
  }

  /**
   * @param replace take the place of a process that answers on the socket, whose streams it leaves alone
   * @throws SocketInUseError if another process answers on the socket and is not to be replaced
   */
  async start(replace = false): Promise<void> {
    const { socketPath, gid } = this.options;
    this.#socket = await listenOnSocket(this.#http2, socketPath, { gid, replace });
  }

  /**
   * The bridge runs with another configuration now: says so in greetings. Filters should come with it too; those that
   * have not after a while are named in the log.
   *
   * @param configVersion the configuration's hash
   */
  reconfigured(configVersion: string): void {
    this.#greeting.configVersion = configVersion;
    clearTimeout(this.#followers);
    this.#followers = setTimeout(() => {
      this.#followers = undefined;
      for (const filter of this.#members.filters) this.#greeting.compare(filter);
    }, FOLLOW_MS);
    this.#followers.unref();
  }

  /** Performs the methods of these services from now on, and no others; says so in greetings that are still to come. */
  serve(services: readonly Service[]): void {
    this.#handlers.clear();
    for (const { handlers } of services)
      for (const [name, handler] of handlers) this.#handlers.set(name, handler);
    this.#services = services.map(({ name }) => name);
    this.#greeting.services = this.#services;
  }

  /** Says hello on every open stream, and from now on on every new one. Does nothing the second time. */
  greet(): void {
    if (this.#greets) return;
    this.#greets = true;
    for (const stream of this.#members.streams) stream.send(0, Kind.HELLO, this.#greeting.payload);
  }

  /**
   * Takes no new connections, asks every filter to send nothing new, and waits until what they have sent is done,
   * `graceMs` at most. Then ends every stream. If another process listens in this one's place, filters first get the
   * time to open their streams there, and meanwhile are served here.
   */
  async drain(graceMs: number): Promise<void> {
    const end = performance.now() + graceMs;
    this.#draining = true;
    const replaced = this.#socket?.replaced === true;
    const closed = this.#stopListening();
    this.#lastFrame = performance.now();
    // So that filters dial on a new connection: this one leads here whoever listens by now.
    for (const connection of this.#connections) if (!connection.destroyed) connection.goaway();
    this.#sayGoaway();
    if (replaced) await this.#quiet.wait(graceMs, true);
    this.#sayGoaway();
    await this.#quiet.wait(Math.max(end - performance.now(), 2 * QUIET_MS));
    for (const stream of this.#members.streams) stream.end();
    for (const connection of this.#connections) connection.close();
    const timer = setTimeout(() => this.#destroy(), 500);
    await closed;
    clearTimeout(timer);
    this.#destroy();
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#quiet.stop();
    const closed = this.#stopListening();
    this.#destroy();
    await closed;
  }

  onFrame(stream: SessionStream, frame: Frame, now: number): void {
    const member = this.#members.of(stream);
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
    this.#warn({ reason: error.message }, 'malformed frame: the session stream is ended');
    stream.end(Code.INVALID_ARGUMENT, `malformed frame: ${error.message}`);
    this.#forget(stream);
  }

  onPart(stream: SessionStream): void {
    const { share } = this.options;
    if (share === undefined) return;
    const { parts } = this.#members;
    // An operation too many is refused once its message is whole; only who never ends its messages gets here.
    if (parts <= share.limits.bytes) return;
    share.refused('bytes');
    const message = `the app ${share.appId} has ${parts} bytes of messages on this node that have come in part`;
    this.#end(stream, Code.RESOURCE_EXHAUSTED, message);
  }

  hold(held: boolean): void {
    for (const pair of this.#members.pairs) pair.hold(held);
  }

  onEnd(stream: SessionStream): void {
    stream.end();
  }

  onDrain(stream: SessionStream): void {
    this.#members.of(stream)?.pair?.regulate();
  }

  onClose(stream: SessionStream): void {
    this.#forget(stream);
  }

  /** Tells every filter something unasked. @param payload a Push message */
  push(payload: Uint8Array): void {
    for (const pair of this.#members.pairs) pair.push(payload);
  }

  #sayGoaway(): void {
    for (const stream of this.#members.streams) stream.send(0, Kind.GOAWAY, NO_BYTES);
  }

  /** Resolves when the last connection is closed. */
  #stopListening(): Promise<void> {
    this.#socket?.remove();
    return new Promise((resolve) => {
      if (this.#http2.listening) this.#http2.close(() => resolve());
      else resolve();
    });
  }

  #connected(session: ServerHttp2Session): void {
    this.#connections.add(session);
    openWindow(session, this.options.share);
  }

  #opened(http2: ServerHttp2Stream, headers: OpeningHeaders): void {
    const { socketPath, share } = this.options;
    const replaced = this.#socket?.replaced === true;
    const refusal = refusalOf(headers, {
      socketPath,
      replaced,
      draining: this.#draining,
      open: this.open,
      share,
    });
    if (refusal !== undefined) {
      http2.on('error', () => undefined);
      http2.resume();
      http2.respond(refusal, { endStream: true });
      return;
    }
    if (headers[':path'] === TAKE_OVER_PATH) {
      agreeToGo(http2);
      this.options.onTakenOver?.();
      return;
    }
    const stream = new SessionStream(http2, this.#frameLimit, this);
    this.#members.add(stream);
    if (this.#greets) stream.send(0, Kind.HELLO, this.#greeting.payload);
    this.options.onSessions?.(this.open);
  }

  /** @throws FrameError if the first frame is not a hello of this protocol */
  #greet(member: Member, frame: Frame): void {
    if (frame.kind !== Kind.HELLO) throw new FrameError('the first frame is not a HELLO');
    const hello = decodeHello(frame.payload);
    const { pairId, large } = hello;
    const { share } = this.options;
    if (share !== undefined && hello.appId !== share.appId) {
      this.#refuseApp(member.stream, share, hello.appId);
      return;
    }
    const pair = this.#members.pairOf(
      pairId,
      () => new Pair(this.#handlers, this.#limits, this.#calls, share),
    );
    member.pair = pair;
    pair.caller = { app: hello.appId, spiffe: hello.spiffeId };
    pair.pod = hello.pod.slice(0, LONGEST_POD);
    pair.add(member.stream, large);
    member.filter = factsOf(hello);
    this.options.log.debug({ filter: member.filter }, 'session open');
    if (!large && this.options.welcome !== undefined)
      member.stream.send(0, Kind.PUSH, this.options.welcome());
    if (this.#followers === undefined) this.#greeting.compare(member.filter);
    if (this.#draining) member.stream.send(0, Kind.GOAWAY, NO_BYTES);
    if (!large) this.#announce(member, pair);
  }

  /** What a filter says of itself is a claim; the socket that it came by, which only the app's pods have, is not. */
  #refuseApp(stream: SessionStream, share: AppShare, claimed: string): void {
    share.refused('identity');
    const message = `this socket is for the app ${share.appId}, and the filter serves ${JSON.stringify(claimed.slice(0, 128))}; give the filter that app's socket, or its configuration that app id`;
    this.#warn({ socket: this.options.socketPath, reason: message }, 'a session of another app is refused');
    this.#end(stream, Code.PERMISSION_DENIED, message);
  }

  #end(stream: SessionStream, code: Code, message: string): void {
    stream.end(code, message);
    this.#forget(stream);
  }

  #warn(facts: object, message: string): void {
    if (this.#warnings.pass(performance.now())) this.options.log.warn(facts, message);
    else this.options.log.debug(facts, message);
  }

  #announce(member: Member, pair: Pair): void {
    const left = this.options.onFilter?.({
      push: (payload) => pair.push(payload),
      get backlog() {
        return pair.backlog;
      },
    });
    if (left !== undefined) member.left = left;
  }

  #forget(stream: SessionStream): void {
    if (this.#members.remove(stream)) this.options.onSessions?.(this.open);
  }

  #expire(): void {
    this.#deadlines = undefined;
    const now = performance.now();
    let more = false;
    for (const pair of this.#members.pairs) {
      pair.expire(now);
      more ||= pair.nextDeadline !== Infinity;
    }
    if (more) this.#deadlines = setTimeout(() => this.#expire(), DEADLINE_STEP_MS);
  }

  #destroy(): void {
    this.#leaveShare();
    clearTimeout(this.#deadlines);
    clearTimeout(this.#followers);
    this.#connections.stop();
    this.#deadlines = undefined;
    for (const stream of this.#members.streams) stream.destroy();
    for (const connection of this.#connections) connection.destroy();
  }
}
