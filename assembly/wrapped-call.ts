// A message that goes to another app as an HTTP request, and the answer that
// comes back as a message: the unary calls of InvokeService.

import { CallSite } from './call-site';
import { Callee } from './config/invocation';
import { Code } from './dialects/codes';
import { Exchange } from './dialects/exchange';
import { Forward, Wrapping } from './dialects/forward';
import { Route } from './dialects/router';
import { grpcStatusIn, httpStatusIn } from './envoy-replies';
import { monotonicUs } from './host/clock';
import { HttpContext } from './host/context';
import { Action, Buffer, HeaderMap, LogLevel } from './host/enums';
import { addHeader, getHeader, removeHeader, replaceHeader } from './host/headers';
import { log, succeeded } from './host/log';
import { release } from './host/memory';
import { getBuffer, replaceBuffer } from './host/stream';
import { isEnvoysOwn, isUnknown, takeUnanswered, takeWay } from './passed-invocation';
import { BUSY, NO_REPLY_FILTER, RESULT_TOO_LARGE } from './refusals';
import { clearHead, endHead, setHead } from './request-head';
import { ByteWriter } from './wire/bytes';
import { encodeGrpcMessage, GRPC_PREFIX, writePrefix } from './wire/grpc';
import { delimitedSize } from './wire/proto';
import { literal, View, viewByte, viewLen, viewSlice, viewToString } from './wire/view';

const METHOD = literal(':method');
/** The filter's own, to the Lua filter. */
const HOLD = literal('x-layotto-hold');
const STATUS = literal(':status');
const CONTENT_TYPE = literal('content-type');
const CONTENT_LENGTH = literal('content-length');
const APPLICATION_GRPC = literal('application/grpc');
const TE = literal('te');
const GRPC_TIMEOUT = literal('grpc-timeout');
const GRPC_ENCODING = literal('grpc-encoding');
const GRPC_ACCEPT_ENCODING = literal('grpc-accept-encoding');
const GRPC_STATUS = literal('grpc-status');
const GRPC_MESSAGE = literal('grpc-message');
const GRPC_DETAILS = literal('grpc-status-details-bin');
const TIMEOUT = literal('x-envoy-upstream-rq-timeout-ms');
const ID = literal('id');
/** The reply filter has given the answer a body, which it had not. */
const EMPTY = literal('x-layotto-empty');
const OK = literal('200');
const SERVICE_UNAVAILABLE: i32 = 503;
const NO_ANSWER = literal('its Envoy was reached, the app gave no answer');
const ZERO = literal('0');
const INTERNAL = literal('13');

/** What the calls of InvokeService are called in their answers: tags of data, its value and content_type. */
const DATA: u8 = 0x0a;
const VALUE: u8 = 0x12;
const RESPONSE_TYPE: u8 = 0x12;
const SPACE: u8 = 0x20;

/**
 * Makes the request one to the callee.
 *
 * @param held bytes of its body that Envoy holds
 */
export function forwardRequest(exchange: Exchange, forward: Forward, held: u32): void {
  const headers = exchange.headers;
  const later = exchange.configuration.hold ? exchange.writer() : null;
  takeWay(exchange, forward.callee, forward.named, forward.way, later);
  const text = exchange.writer();
  text.decimal(forward.timeoutMs);
  setHead(later, TIMEOUT, text.view());
  let body = forward.body;
  if (forward.grpc) {
    const framed = exchange.writer();
    const at = framed.reserve(GRPC_PREFIX);
    if (at != 0) writePrefix(at, viewLen(body));
    framed.raw(body);
    body = framed.view();
    if (headers.has(CONTENT_LENGTH)) clearHead(later, CONTENT_LENGTH);
  } else {
    setHead(later, METHOD, forward.method);
    clearIfThere(exchange, later, TE);
    clearIfThere(exchange, later, GRPC_TIMEOUT);
    clearIfThere(exchange, later, GRPC_ENCODING);
    clearIfThere(exchange, later, GRPC_ACCEPT_ENCODING);
    if (viewLen(forward.contentType) > 0) setHead(later, CONTENT_TYPE, forward.contentType);
    else clearHead(later, CONTENT_TYPE);
    const length = exchange.writer();
    length.decimal(viewLen(body));
    setHead(later, CONTENT_LENGTH, length.view());
    if (viewLen(forward.id) > 0) setHead(later, ID, forward.id);
  }
  if (later !== null) {
    clearHead(later, HOLD);
    endHead(later);
    later.raw(body);
    body = later.view();
  }
  succeeded(replaceBuffer(Buffer.RequestBody, held, body), 'set_buffer_bytes');
}

function clearIfThere(exchange: Exchange, later: ByteWriter | null, name: View): void {
  if (exchange.headers.has(name)) clearHead(later, name);
}

export class WrappedCall extends HttpContext {
  private readonly route: Route;
  private readonly callee: Callee;
  private readonly wrapping: Wrapping;
  private status: i32 = 0;
  /** A google.rpc.Code. */
  private code: i32 = Code.CANCELLED;
  private contentType: View = 0;
  private empty: bool = false;
  /** The answer is the callee's Envoy's, because the app gave none. */
  private unanswered: bool = false;
  /** Envoy has answered by itself, or the answer is out. */
  private over: bool = false;
  /** Bytes of the answer that are held back, and counted in the budget. */
  private held: u32 = 0;
  private charged: i32 = 0;
  private failure: View = 0;

  /** @param started when its head came, in microseconds */
  constructor(
    id: u32,
    private readonly site: CallSite,
    exchange: Exchange,
    private readonly started: i64,
  ) {
    super(id);
    const forward = exchange.forward!;
    this.route = exchange.route!;
    this.callee = forward.callee;
    this.wrapping = forward.wrapping;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    const map = HeaderMap.ResponseHeaders;
    const said = grpcStatusIn(map);
    if (said >= 0 && isEnvoysOwn()) {
      this.over = true;
      this.code = said;
      this.explain(isUnknown());
      return Action.Continue;
    }
    if (said >= 0) removeHeader(map, GRPC_STATUS);
    // A callee's Envoy says it to HTTP callers, in JSON.
    this.unanswered = takeUnanswered();
    this.status = this.unanswered ? SERVICE_UNAVAILABLE : httpStatusIn(map);
    this.contentType = getHeader(map, CONTENT_TYPE);
    const empty = getHeader(map, EMPTY);
    if (empty != 0) {
      this.empty = true;
      release(empty);
      removeHeader(map, EMPTY);
    }
    this.tellStatus();
    removeHeader(map, CONTENT_LENGTH);
    replaceHeader(map, CONTENT_TYPE, APPLICATION_GRPC);
    replaceHeader(map, STATUS, OK);
    if (!endOfStream) return Action.Continue;
    // Nothing gave the answer a body for the message: say so instead of ending it without a status.
    this.over = true;
    this.code = Code.INTERNAL;
    log(LogLevel.Error, 'layotto: ' + viewToString(NO_REPLY_FILTER));
    replaceHeader(map, GRPC_STATUS, INTERNAL);
    replaceHeader(map, GRPC_MESSAGE, NO_REPLY_FILTER);
    return Action.Continue;
  }

  private tellStatus(): void {
    const name = this.wrapping.statusHeader;
    if (name == 0) return;
    const text = new ByteWriter(8);
    text.decimal(this.status);
    replaceHeader(HeaderMap.ResponseHeaders, name, text.view());
    text.free();
  }

  /** Says of the callee what Envoy's own reply says of an upstream. */
  private explain(unknown: bool): void {
    const text = getHeader(HeaderMap.ResponseHeaders, GRPC_MESSAGE);
    const writer = new ByteWriter();
    if (unknown) {
      this.code = this.wrapping.unknownCode;
      const code = new ByteWriter(4);
      code.decimal(this.code);
      replaceHeader(HeaderMap.ResponseHeaders, GRPC_STATUS, code.view());
      code.free();
      this.wrapping.writeUnknown(writer, this.callee.name, text);
    } else this.wrapping.writeAbsence(writer, this.callee.name, text);
    replaceHeader(HeaderMap.ResponseHeaders, GRPC_MESSAGE, writer.view());
    writer.free();
    release(text);
  }

  onResponseBody(size: u32, endOfStream: bool): Action {
    if (this.over) return Action.Continue;
    this.take(size);
    if (!endOfStream) return Action.Pause;
    this.finish();
    return Action.Continue;
  }

  onResponseTrailers(count: u32): Action {
    if (!this.over) this.finish();
    return Action.Continue;
  }

  /** Counts what is held; what is too much of it is given up at once. */
  private take(size: u32): void {
    const more = <i32>(size - this.held);
    this.held = size;
    if (this.failure != 0) return;
    if (size > <u32>this.site.configuration.messageBytes) {
      this.site.refusedMessages++;
      this.failure = RESULT_TOO_LARGE;
    } else if (this.site.budget.take(more)) this.charged += more;
    else this.failure = BUSY;
  }

  private finish(): void {
    this.over = true;
    if (this.failure != 0) {
      this.code = Code.RESOURCE_EXHAUSTED;
      this.end(0, this.failure);
      return;
    }
    const theirs = this.empty || this.unanswered ? 0 : getBuffer(Buffer.ResponseBody, 0, this.held);
    const body = this.unanswered ? NO_ANSWER : theirs;
    if (this.wrapping.isGood(this.status)) {
      this.code = Code.OK;
      this.end(this.message(body), 0);
    } else {
      this.code = this.wrapping.codeOf(this.status);
      const text = new ByteWriter();
      this.wrapping.writeMessage(text, this.status, body);
      const details = new ByteWriter();
      this.wrapping.writeDetails(details, this.status, body);
      if (details.length > 0) addHeader(HeaderMap.ResponseTrailers, GRPC_DETAILS, details.view());
      this.end(0, text.view());
      text.free();
      details.free();
    }
    release(theirs);
  }

  /** An InvokeResponse with its prefix; in `written`. */
  private message(body: View): View {
    const type = this.contentType;
    const value = viewLen(body) == 0 ? 0 : 1 + delimitedSize(viewLen(body));
    const size = 1 + delimitedSize(value) + (type == 0 ? 0 : 1 + delimitedSize(viewLen(type)));
    const w = new ByteWriter(GRPC_PREFIX + size);
    const at = w.reserve(GRPC_PREFIX);
    if (at != 0) writePrefix(at, size);
    w.u8(DATA);
    w.varint(value);
    if (value > 0) {
      w.u8(VALUE);
      w.delimited(body);
    }
    if (type != 0) {
      w.u8(RESPONSE_TYPE);
      w.delimited(type);
    }
    return w.take();
  }

  /** Puts an answer in the place of what is held. @param framed freed here @param text of an error */
  private end(framed: View, text: View): void {
    succeeded(replaceBuffer(Buffer.ResponseBody, this.held, framed), 'set_buffer_bytes');
    if (framed != 0) heap.free(<usize>(<u32>framed));
    const code = new ByteWriter(4);
    code.decimal(this.code);
    succeeded(
      addHeader(HeaderMap.ResponseTrailers, GRPC_STATUS, this.code == Code.OK ? ZERO : code.view()),
      'add_header_map_value',
    );
    code.free();
    if (text == 0) return;
    const encoded = new ByteWriter();
    // HTTP keeps no space at the end of a header.
    const spaced = viewByte(text, viewLen(text) - 1) == SPACE;
    encodeGrpcMessage(encoded, spaced ? viewSlice(text, 0, viewLen(text) - 1) : text);
    if (spaced) encoded.text('%20');
    addHeader(HeaderMap.ResponseTrailers, GRPC_MESSAGE, encoded.view());
    encoded.free();
  }

  onDone(): void {
    this.site.budget.give(this.charged);
    release(this.contentType);
    this.site.called(this.route, this.callee.index, this.code, monotonicUs() - this.started);
  }
}
