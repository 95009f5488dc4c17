// One call, as the doors and the primitives behind them see it.

import { Component, Configuration } from '../config/configuration';
import { Callee } from '../config/invocation';
import { HeaderList, HeaderPairs } from '../host/headers';
import { allocate, HEADROOM, release } from '../host/memory';
import { Arena } from '../wire/arena';
import { ByteWriter } from '../wire/bytes';
import { View, view, viewLen, viewPtr, viewSlice } from '../wire/view';
import { Background, Listener, Tally } from './background';
import { Code } from './codes';
import { Forward } from './forward';
import { Gate } from './gate';
import { Handler } from './handler';
import { Route } from './router';

/** Longest piece of a caller's text that is repeated in an error message, in bytes. */
const QUOTED_LENGTH: i32 = 256;

/** No gRPC status: a plain HTTP answer. */
const NOT_GRPC: i32 = -1;

/** Cuts a text that goes into an error message (and so into a header) to a bounded length, between characters. */
export function clip(text: View): View {
  if (viewLen(text) <= QUOTED_LENGTH) return text;
  let end = QUOTED_LENGTH;
  while (end > 0 && (load<u8>(viewPtr(text) + end) & 0xc0) == 0x80) end--;
  return viewSlice(text, 0, end);
}

/** What the caller gets. */
export class Reply {
  /** HTTP status; a gRPC answer always has 200. */
  status: i32 = 200;
  /** google.rpc.Code of a gRPC answer; negative for plain HTTP. */
  grpcStatus: i32 = NOT_GRPC;
  headers: HeaderList = new HeaderList();
  /** Behind a gRPC message, beside its status. */
  trailers: HeaderList = new HeaderList();
  /** HTTP body, gRPC status message, or (`isMessage`) the gRPC message. */
  body: View = 0;
  /** A gRPC answer with a message. It has five writable bytes in front, for the frame prefix. */
  isMessage: bool = false;

  reset(): void {
    this.status = 200;
    this.grpcStatus = NOT_GRPC;
    this.isMessage = false;
    if (this.headers.length > 0) this.headers.clear();
    if (this.trailers.length > 0) this.trailers.clear();
    this.body = 0;
  }

  /** A gRPC message. @param message in a buffer of the host layer, which has headroom */
  message(message: View): void {
    this.grpcStatus = Code.OK;
    this.isMessage = true;
    this.body = message;
  }

  /** A gRPC status other than OK. */
  grpcError(code: i32, message: View): void {
    this.grpcStatus = code;
    this.isMessage = false;
    this.body = message;
  }

  /** A plain HTTP answer. */
  http(status: i32, body: View): void {
    this.status = status;
    this.grpcStatus = NOT_GRPC;
    this.isMessage = false;
    this.body = body;
  }
}

/** What a handler wants next. */
export enum Step {
  /** The reply is filled in. */
  Answer,
  /** The operation is filled in: ask the bridge. */
  Ask,
  /** The request to another app is filled in. */
  Forward,
}

/** A call's texts are few and short; a writer that held a longer one gives its memory back. */
const KEPT_TEXTS: i32 = 8;
const KEPT_BYTES: i32 = 1024;

export class Exchange {
  readonly headers: HeaderPairs = new HeaderPairs();
  readonly reply: Reply = new Reply();
  /** HTTP method. */
  method: View = 0;
  /** Path without the query, as it came. */
  path: View = 0;
  /** Query string without the question mark. */
  query: View = 0;
  /** Path parameters of an HTTP route, unescaped, in order. */
  params: Array<View> = [];
  /** HTTP body or gRPC message. */
  body: View = 0;
  /** The session to the bridge is up. */
  ready: bool = false;
  /** It was up at some time. */
  started: bool = false;
  handler: Handler | null = null;
  /** What is called; null before the door has found out. */
  route: Route | null = null;
  /** The component it is about, if it is about one that is configured. */
  component: Component | null = null;
  /** It is about a component that is not configured. */
  componentUnknown: bool = false;
  /** It has named a component. */
  componentAsked: bool = false;
  /** Asked for each component that it names; null: it may have any. */
  gate: Gate | null = null;
  /** The gate did not let it have the component. */
  denied: bool = false;
  /** What it asks of the component, where that has a name of its own: a secret or a topic. */
  subject: View = 0;
  subjectKnown: bool = false;
  /** For a call that passes to an app: whom it names, and the path by which Envoy finds the way, if it has another. */
  passesTo: View = 0;
  wayThere: View = 0;
  /** The request that it becomes; null: none. */
  forward: Forward | null = null;
  /** SPIFFE id of a caller that came with a certificate. */
  caller: View = 0;
  /** It came with a certificate: it is not the app beside this Envoy. */
  remote: bool = false;

  /** The operation to perform: full method name. */
  operation: View = 0;
  /** It may be performed twice without harm. */
  idempotent: bool = false;
  /** For a read whose answer may be kept in Envoy, or come from there: its key. */
  cacheKey: View = 0;
  /** For a write to a component whose answers are kept: the keys it writes; views into the request. */
  readonly writtenKeys: Array<View> = [];
  /** For a read that Envoy may answer by itself: its request message. */
  liveRequest: View = 0;
  /** It writes to a component whose reads Envoy answers. */
  liveWrite: bool = false;
  /** Its request message, if it is not the caller's own (`body`). */
  private built: ByteWriter | null = null;

  private buffer: View = 0;
  /** Writers, of which the first `used` hold texts of this call. */
  private texts: Array<ByteWriter> = [];
  private used: i32 = 0;
  /** Texts beyond those. */
  private readonly more: Arena = new Arena();

  /** The root context was made the effective one while this call was being handled. */
  strayed: bool = false;

  constructor(
    public configuration: Configuration,
    private readonly background: Background,
  ) {}

  /** What primitives count. */
  get tally(): Tally {
    return this.background.tally;
  }

  /** Asks the bridge for something that no call waits for; see Background. */
  askAlone(method: View, request: ByteWriter, listener: Listener): bool {
    this.strayed = true;
    return this.background.askAlone(method, request, listener);
  }

  /** Takes the route's handler, if it is no stream; false if nobody serves it. */
  serve(route: Route): bool {
    this.route = route;
    if (route.passing !== null) return true;
    const factory = route.factory;
    if (factory === null) return false;
    this.handler = factory();
    return true;
  }

  /**
   * The call passes to an app.
   *
   * @param callee null if no app of this name is known
   * @param way the path by which Envoy finds the way; no bytes: the call's own
   */
  pass(route: Route, id: View, callee: Callee | null, way: View): void {
    this.route = route;
    this.component = callee;
    this.componentUnknown = callee === null;
    this.componentAsked = true;
    this.passesTo = id;
    this.wayThere = way;
  }

  /** The component that the call names, or null if none of this name is configured, or the call may not have it. */
  findComponent(primitive: View, name: View): Component | null {
    this.component = this.configuration.find(primitive, name);
    this.componentUnknown = this.component === null;
    this.componentAsked = true;
    const gate = this.gate;
    if (gate !== null && !gate.admits(this, name)) {
      this.denied = true;
      return null;
    }
    return this.component;
  }

  /** Says what is asked of a component, before the component is asked for. @param name of a secret or topic */
  asksFor(name: View): void {
    this.subject = name;
    this.subjectKnown = true;
  }

  /** A read of one key. @param exact the caller asks for what is there now, not for what was a moment ago */
  reads(key: View, exact: bool): void {
    const component = this.component;
    if (component !== null && component.nearCacheMs > 0 && !exact) this.cacheKey = key;
  }

  /** A write of a key. */
  writes(key: View): void {
    const component = this.component;
    if (component !== null && component.nearCacheMs > 0) this.writtenKeys.push(key);
  }

  /** A read that Envoy may answer by itself. @param request the bridge's request message, good until it answers */
  readsLive(request: View): void {
    const component = this.component;
    if (component !== null && component.answerInEnvoyMs > 0) this.liveRequest = request;
  }

  /** A write after which no read may be answered from before it. */
  writesLive(): void {
    const component = this.component;
    this.liveWrite = component !== null && component.answerInEnvoyMs > 0;
  }

  /** Takes over the buffer that `body` is in. */
  own(buffer: View): void {
    release(this.buffer);
    this.buffer = buffer;
  }

  /** The request's buffer, now the caller's to release. */
  disown(): View {
    const buffer = this.buffer;
    this.buffer = 0;
    return buffer;
  }

  /** Something to build a text or body in; it lives as long as the exchange. */
  writer(): ByteWriter {
    if (this.used < this.texts.length) return this.texts[this.used++];
    const writer = new ByteWriter();
    this.texts.push(writer);
    this.used++;
    return writer;
  }

  /** A copy that lives as long as the exchange. */
  keep(text: View): View {
    if (viewLen(text) == 0) return 0;
    if (this.used >= KEPT_TEXTS) return this.copy(text);
    const w = this.writer();
    w.raw(text);
    return w.view();
  }

  /** Of many texts each takes no more than it needs. */
  private copy(text: View): View {
    const size = viewLen(text);
    const ptr = this.more.alloc(size);
    memory.copy(ptr, viewPtr(text), size);
    return view(ptr, size);
  }

  /**
   * Something to build a request message in, with room for the session's header in front. It takes no more than
   * `limits.message`; what does not fit shows in `takeRequest`.
   */
  requestWriter(): ByteWriter {
    const writer = requestWriter(this.configuration.messageBytes);
    this.built = writer;
    return writer;
  }

  /** The message that was built, good until `free` and while an operation has it; no bytes if it was too long. */
  get builtMessage(): View {
    const writer = this.built;
    const whole = writer === null ? 0 : writer.view();
    return whole == 0 ? 0 : viewSlice(whole, <i32>HEADROOM, viewLen(whole));
  }

  /** A request was built: the caller's own is not what is sent. */
  get hasBuilt(): bool {
    return this.built !== null;
  }

  /** The built request as buffer for the session (`release` frees it); no bytes if there is none, or it was too long. */
  takeRequest(): View {
    const writer = this.built;
    if (writer === null) return 0;
    this.built = null;
    return takeRequest(writer);
  }

  /** Copies bytes to a buffer of the host layer, as a gRPC answer needs. */
  answerMessage(message: View): void {
    const copy = allocate(viewLen(message));
    memory.copy(viewPtr(copy), viewPtr(message), viewLen(message));
    this.own(copy);
    this.reply.message(copy);
  }

  /** Gives back everything the call held; the exchange can serve another call then. */
  free(): void {
    if (this.buffer != 0) this.own(0);
    this.headers.free();
    for (let i = 0; i < this.used; i++) {
      if (i < KEPT_TEXTS) this.texts[i].forget(KEPT_BYTES);
      else this.texts[i].free();
    }
    if (this.texts.length > KEPT_TEXTS) this.texts.length = KEPT_TEXTS;
    this.used = 0;
    this.more.reset();
    const built = this.built;
    if (built !== null) built.free();
    this.built = null;
    this.body = 0;
    this.handler = null;
    this.route = null;
    this.component = null;
    this.componentUnknown = false;
    this.componentAsked = false;
    this.denied = false;
    this.subject = 0;
    this.subjectKnown = false;
    this.passesTo = 0;
    this.wayThere = 0;
    this.forward = null;
    this.caller = 0;
    this.remote = false;
    if (this.params.length > 0) this.params.length = 0;
    this.operation = 0;
    this.idempotent = false;
    this.cacheKey = 0;
    if (this.writtenKeys.length > 0) this.writtenKeys.length = 0;
    this.liveRequest = 0;
    this.liveWrite = false;
    this.reply.reset();
  }

  /** As `free`, if it will serve no other call: what its writers keep for that no collector gives back. */
  dispose(): void {
    this.free();
    for (let i = 0; i < this.texts.length; i++) this.texts[i].free();
    this.texts.length = 0;
  }
}

const NOTHING: usize = memory.data(192);

/** Something to build a request message of at most so many bytes in, with room for the session's header in front. */
export function requestWriter(messageBytes: i32): ByteWriter {
  const writer = new ByteWriter(256, <i32>HEADROOM + messageBytes);
  writer.raw(view(NOTHING, <i32>HEADROOM));
  return writer;
}

/** What was built there, as buffer for the session (`release` frees it); no bytes if it was too long. */
export function takeRequest(writer: ByteWriter): View {
  const whole = writer.take();
  return viewSlice(whole, <i32>HEADROOM, viewLen(whole));
}
