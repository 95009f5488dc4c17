import { Action, BufferType, grpcMessage, HeaderMap, MapType, Status } from './abi.js';
import type { HostEmulator } from './emulator.js';

/** What `proxy_send_local_response` was asked for. */
export interface LocalReply {
  status: number;
  headers: [string, string][];
  body: Buffer;
  /** -1: none. */
  grpcStatus: number;
}

/** What the client of a stream has got. */
export interface StreamAnswer {
  status: number;
  headers: HeaderMap;
  body: Buffer;
  trailers: HeaderMap | undefined;
  /** `grpc-status` of trailers or headers; -1 if there is none. */
  grpcStatus: number;
  /** `grpc-message`, decoded. */
  grpcMessage: string;
}

/**
 * One HTTP stream of the emulated host: buffers and maps as Envoy's wasm filter offers them, and the path a
 * local reply takes through the filter's own response callbacks.
 */
export class HttpStream {
  readonly requestHeaders = new HeaderMap();
  requestTrailers: HeaderMap | undefined;
  responseHeaders: HeaderMap | undefined;
  responseTrailers: HeaderMap | undefined;
  /** Set once the stream has been answered. */
  answer: StreamAnswer | undefined;
  /** Local replies the module asked for, in order. */
  readonly localReplies: LocalReply[] = [];
  /** True after `proxy_on_delete`. */
  gone = false;
  /** True once a callback let the request go on to the router. */
  forwarded = false;

  /** The client does not read its answer, so the stream does not end with it; `reset` ends it. */
  unread = false;

  /** The last piece of the body that the filter let go on. */
  passedBody: Buffer | undefined;

  /** Decided when the request's headers come, whatever becomes of them. */
  private grpc = false;
  private requestBody: Buffer | undefined;
  private bufferingRequest = false;
  private responseBody: Buffer | undefined;
  private responseEnd = false;
  private replyUnderWay = false;

  constructor(
    private readonly host: HostEmulator,
    readonly id: number,
  ) {}

  /** The last local reply, as the module asked for it. */
  get sentLocalResponse(): LocalReply | undefined {
    return this.localReplies.at(-1);
  }

  callOnRequestHeaders(headers: Record<string, string>, endOfStream: boolean): Action {
    for (const [name, value] of Object.entries(headers)) this.requestHeaders.add(name, value);
    this.grpc = /^application\/grpc($|\+)/.test(this.requestHeaders.get('content-type') ?? '');
    const action = this.host.call(this.id, 'proxy_on_request_headers', [
      this.id,
      this.requestHeaders.size,
      endOfStream ? 1 : 0,
    ]);
    return this.acted(action, endOfStream);
  }

  callOnRequestBody(bytes: Uint8Array, endOfStream: boolean): Action {
    const held = this.bufferingRequest ? (this.requestBody ?? Buffer.alloc(0)) : Buffer.alloc(0);
    this.requestBody = Buffer.concat([held, bytes]);
    const action = this.host.call(this.id, 'proxy_on_request_body', [
      this.id,
      this.requestBody.length,
      endOfStream ? 1 : 0,
    ]);
    this.bufferingRequest = action === Action.Pause;
    if (!this.bufferingRequest) {
      this.passedBody = this.requestBody;
      this.requestBody = undefined;
    }
    return this.acted(action, endOfStream);
  }

  callOnRequestTrailers(trailers: Record<string, string>): Action {
    this.requestTrailers = new HeaderMap(trailers);
    const action = this.host.call(this.id, 'proxy_on_request_trailers', [this.id, this.requestTrailers.size]);
    return this.acted(action, true);
  }

  /** A whole request: headers, then the body in the given pieces. */
  request(headers: Record<string, string>, ...body: Uint8Array[]): this {
    this.callOnRequestHeaders(headers, body.length === 0);
    body.forEach((piece, index) => {
      if (this.answer === undefined && !this.gone) this.callOnRequestBody(piece, index === body.length - 1);
    });
    return this;
  }

  /** The client goes away: the callbacks of the end of a stream, without an answer. */
  reset(): void {
    this.finish();
  }

  /** Envoy itself answers, for example at the route's deadline; the filter sees it like any other reply. */
  envoyReply(status: number, body: string, grpcStatus: number): void {
    this.reply({ status, headers: [], body: Buffer.from(body), grpcStatus });
  }

  /** What is behind the route answers: headers, and if they are not the end, a body and trailers. */
  upstreamReply(
    headers: Record<string, string>,
    body?: Uint8Array,
    trailers: Record<string, string> = {},
  ): void {
    this.responseHeaders = new HeaderMap(headers);
    const { id } = this;
    const ends = body === undefined;
    this.host.call(id, 'proxy_on_response_headers', [id, this.responseHeaders.size, ends ? 1 : 0]);
    if (!ends) {
      this.responseBody = Buffer.from(body);
      const action = this.host.call(id, 'proxy_on_response_body', [id, body.length, 0]);
      if (action !== Action.Continue) throw new Error(`stream ${id}: the filter held a passing body back`);
      this.responseBody = undefined;
      this.responseTrailers = new HeaderMap(trailers);
      this.host.call(id, 'proxy_on_response_trailers', [id, this.responseTrailers.size]);
    }
    this.finish();
  }

  /** What is behind the route answers with a whole body, which the filter may change. */
  upstreamAnswer(headers: Record<string, string>, body: Buffer = Buffer.alloc(0)): void {
    this.encode(new HeaderMap(headers), body, false);
  }

  /** For the host: a reply is asked for; it goes out when the VM call under way has returned. */
  sendLocalResponse(reply: LocalReply): number {
    if (this.replyUnderWay) return Status.BadArgument;
    this.replyUnderWay = true;
    this.localReplies.push(reply);
    this.host.afterCall(() => {
      if (!this.gone) this.reply(reply);
    });
    return Status.Ok;
  }

  /** For the host: the header map of this type, if the stream has it at this point. */
  map(type: number): HeaderMap | undefined {
    switch (type) {
      case MapType.RequestHeaders:
        return this.requestHeaders;
      case MapType.RequestTrailers:
        return this.requestTrailers;
      case MapType.ResponseHeaders:
        return this.responseHeaders;
      case MapType.ResponseTrailers:
        // Trailers can be made only while the last piece of the body is in hand.
        if (this.responseBody !== undefined && this.responseEnd) this.responseTrailers ??= new HeaderMap();
        return this.responseTrailers;
      default:
        return undefined;
    }
  }

  /** For the host: the body buffer of this type, if the stream has one at this point. */
  buffer(type: number): Buffer | undefined {
    return type === BufferType.RequestBody ? this.requestBody : this.responseBody;
  }

  /** For the host: prepend, replace everything, or append; anything else is a bad argument. */
  setBuffer(type: number, start: number, length: number, data: Buffer): number {
    const old = this.buffer(type);
    if (old === undefined) return Status.NotFound;
    let fresh: Buffer;
    if (start === 0 && length === 0) fresh = Buffer.concat([data, old]);
    else if (start === 0 && length >= old.length) fresh = data;
    else if (start >= old.length) fresh = Buffer.concat([old, data]);
    else return Status.BadArgument;
    if (type === BufferType.RequestBody) this.requestBody = fresh;
    else this.responseBody = fresh;
    return Status.Ok;
  }

  private acted(action: number, endOfStream: boolean): Action {
    if (action === Action.Continue && endOfStream && this.answer === undefined) this.forwarded = true;
    return action === Action.Continue ? Action.Continue : Action.Pause;
  }

  /** Makes the reply as Envoy does, and takes it through the filter's response callbacks. */
  private reply(reply: LocalReply): void {
    const { grpc } = this;
    const headers = new HeaderMap();
    const body = grpc ? Buffer.alloc(0) : reply.body;
    headers.set(':status', grpc ? '200' : String(reply.status));
    if (grpc) {
      headers.set('content-type', 'application/grpc');
      headers.set('grpc-status', String(reply.grpcStatus >= 0 ? reply.grpcStatus : 2));
      if (reply.body.length > 0) headers.set('grpc-message', grpcMessage(reply.body.toString('utf8')));
    } else if (body.length > 0) {
      headers.set('content-length', String(body.length));
      headers.set('content-type', 'text/plain');
    }
    const replaced = new Set<string>();
    for (const [name, value] of reply.headers) {
      if (name === 'content-type' && !replaced.has(name)) headers.set(name, value);
      else headers.add(name, value);
      replaced.add(name);
    }
    // What the Lua filter behind ours opens; it then has a body, though an empty one.
    this.encode(headers, body, grpc && headers.get('grpc-status') === '0');
  }

  private encode(headers: HeaderMap, body: Buffer, opened: boolean): void {
    const hasBody = opened || body.length > 0;
    this.responseHeaders = headers;
    this.responseEnd = !hasBody;
    this.host.call(this.id, 'proxy_on_response_headers', [this.id, headers.size, hasBody ? 0 : 1]);
    let action: number = Action.Continue;
    if (hasBody) {
      this.responseBody = body;
      this.responseEnd = true;
      // A module need not export it.
      action = this.host.call(this.id, 'proxy_on_response_body', [this.id, body.length, 1], true);
    }
    if (action !== Action.Continue)
      throw new Error(`stream ${this.id}: the filter held the end of a reply back`);
    const carrier = this.responseTrailers?.has('grpc-status') === true ? this.responseTrailers : headers;
    this.answer = {
      status: Number(headers.get(':status')),
      headers,
      body: this.responseBody ?? Buffer.alloc(0),
      trailers: this.responseTrailers,
      grpcStatus: Number(carrier.get('grpc-status') ?? -1),
      grpcMessage: decoded(carrier.get('grpc-message') ?? ''),
    };
    if (!this.unread) this.finish();
  }

  private finish(): void {
    if (this.gone) return;
    this.host.call(this.id, 'proxy_on_log', [this.id], true);
    this.host.call(this.id, 'proxy_on_done', [this.id], true);
    this.host.call(this.id, 'proxy_on_delete', [this.id]);
    this.gone = true;
    this.host.streams.delete(this.id);
  }
}

/** A percent-encoded text, whose bytes need not be UTF-8. */
function decoded(text: string): string {
  const bytes = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
