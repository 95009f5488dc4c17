// The order of a call: door, policy, answer here or ask the bridge, door
// again. Every call goes this way, so nothing can skip policy or limits.

import { CachedCall } from './cache/cached-call';
import { LiveCall } from './cache/live-call';
import { CallSite } from './call-site';
import { Code } from './dialects/codes';
import { Door } from './dialects/door';
import { Exchange, Step } from './dialects/exchange';
import { isGrpc } from './dialects/grpc';
import { JSON_PREFIX } from './dialects/json';
import { Route } from './dialects/router';
import { dressBody, dressHeaders, envoyReplyCode } from './envoy-replies';
import { bytes, bytesPtr } from './host/bytes';
import { monotonicUs } from './host/clock';
import { handOver, HttpContext } from './host/context';
import { Action, Buffer, HeaderMap, LogLevel } from './host/enums';
import { addHeader, removeHeader, replaceHeader } from './host/headers';
import { log, succeeded } from './host/log';
import { release } from './host/memory';
import { getBuffer, GRPC_STATUS_NONE, replaceBuffer, sendLocalResponse } from './host/stream';
import { NO_COMPONENT, UNKNOWN_COMPONENT } from './metrics/call-metrics';
import { SERVER_TIMING, writeServerTiming } from './metrics/server-timing';
import { mayPass, PassedStream } from './passed-stream';
import { Access, checkAccess } from './policy/access';
import { BUSY, NO_REPLY_FILTER, NO_SESSION, refuseAccess, RESULT_TOO_LARGE } from './refusals';
import { isTraceparent } from './session/frame';
import { Operation, Waiter } from './session/operation';
import { Submitted } from './session/session';
import { parseTimeout, writePrefix } from './wire/grpc';
import {
  literal,
  View,
  view,
  viewIndexOf,
  viewLen,
  viewPtr,
  viewSlice,
  viewStartsWith,
  viewToString,
} from './wire/view';

const METHOD = literal(':method');
const PATH = literal(':path');
const CONTENT_TYPE = literal('content-type');
const GRPC_STATUS = literal('grpc-status');
const GRPC_MESSAGE = literal('grpc-message');
const GRPC_TIMEOUT = literal('grpc-timeout');
const TRACEPARENT = literal('traceparent');
/** How old a configuration is that was read, in milliseconds. */
const AGE = literal('layotto-configuration-age');
const ZERO = literal('0');
const ONE = literal('1');
const INTERNAL = literal('13');
/** Tells the Lua filter to hold this request until its body is here. */
const HOLD = literal('x-layotto-hold');

const QUESTION_MARK: u8 = 0x3f;
const PREFIX_LENGTH: i32 = 5;

/**
 * What a call whose body is waited for counts in the budget, besides its headers: whoever starts calls and never ends
 * them is refused before they take much. Such a call was seen to take 14 KiB in Envoy, and two times its headers.
 */
const CALL_BYTES: i32 = 4096;

/** Bodies over this size are taken out of Envoy's buffer once the filter has them. */
const DRAIN_OVER: u32 = 64 * 1024;

/** HTTP status in metrics for a caller that went away before its answer; the usual number for it, and never sent. */
const CLIENT_CLOSED_REQUEST: i32 = 499;

enum Stage {
  /** Taking in the request. */
  Receiving,
  /** The bridge has the operation. */
  Asking,
  /** Our reply is on its way out. */
  Answering,
  /** Envoy answered by itself (deadline, overflow); its reply gets the door's error shape. */
  Dressing,
}

/** One call. */
export class Call extends HttpContext implements Waiter {
  private readonly exchange: Exchange;
  private door: Door;
  private stage: Stage = Stage.Receiving;
  private operation: Operation | null = null;
  /** Bytes this call holds in the budget; those of a sent operation are the operation's. */
  private charged: i32 = 0;
  /** Bytes that the call counts in the budget because its body was waited for. */
  private waiting: i32 = 0;
  /** Bytes of request body seen so far. */
  private received: u32 = 0;
  /** What one of Envoy's own replies says: a google.rpc.Code or an HTTP status. */
  private replied: i32 = 0;
  /** When the request came, in microseconds. */
  private started: i64 = 0;
  private counted: bool = false;
  /** Microseconds that the bridge took, and those of them that it waited for the backend. */
  private bridgeUs: u32 = 0;
  private backendUs: u32 = 0;
  private readonly cached: CachedCall = new CachedCall();
  private readonly live: LiveCall = new LiveCall();

  constructor(
    id: u32,
    private readonly runtime: CallSite,
  ) {
    super(id);
    this.exchange = new Exchange(runtime.configuration, runtime);
    this.door = runtime.httpDoor;
  }

  /** Makes a retired call ready for another stream. */
  begin(id: u32): Call {
    this.id = id;
    this.door = this.runtime.httpDoor;
    this.stage = Stage.Receiving;
    this.received = 0;
    this.counted = false;
    this.bridgeUs = 0;
    this.backendUs = 0;
    return this;
  }

  // Request

  onRequestHeaders(count: u32, endOfStream: bool): Action {
    this.started = monotonicUs();
    const exchange = this.exchange;
    const headers = exchange.headers;
    headers.fetch(HeaderMap.RequestHeaders);
    if (headers.has(HOLD)) removeHeader(HeaderMap.RequestHeaders, HOLD);
    exchange.method = headers.get(METHOD);
    const target = headers.get(PATH);
    const mark = viewIndexOf(target, QUESTION_MARK, 0);
    exchange.path = mark < 0 ? target : viewSlice(target, 0, mark);
    exchange.query = mark < 0 ? 0 : viewSlice(target, mark + 1, viewLen(target));
    exchange.ready = this.runtime.ready;
    exchange.started = this.runtime.started;
    if (isGrpc(headers.get(CONTENT_TYPE))) this.door = this.runtime.grpcDoor;
    else if (viewStartsWith(exchange.path, JSON_PREFIX)) this.door = this.runtime.jsonDoor;

    const access = checkAccess(this.runtime.configuration, headers, exchange.method, exchange.path);
    if (access != Access.Allowed) {
      refuseAccess(this.door, exchange, access);
      return this.respond();
    }
    if (!this.door.route(exchange)) return this.respond();
    if (exchange.route!.passing !== null) return this.pass(exchange.route!);
    if (endOfStream) return this.receive();
    const waiting = exchange.headers.size + CALL_BYTES;
    if (!this.runtime.budget.takeWaiting(waiting)) {
      this.door.refuse(exchange, Code.RESOURCE_EXHAUSTED, BUSY);
      return this.respond();
    }
    this.waiting = waiting;
    if (!this.runtime.configuration.hold) return Action.Pause;
    addHeader(HeaderMap.RequestHeaders, HOLD, ONE);
    return Action.Continue;
  }

  /** Lets a stream pass, if it may. From then on this call has nothing to do with it. */
  private pass(route: Route): Action {
    if (!mayPass(this.runtime, this.door, this.exchange, route)) return this.respond();
    handOver(new PassedStream(this.id, this.runtime, route, this.started));
    this.exchange.free();
    this.runtime.retire(this);
    return Action.Continue;
  }

  onRequestBody(size: u32, endOfStream: bool): Action {
    if (this.stage != Stage.Receiving) return Action.Pause;
    if (size > this.door.bodyLimit(this.runtime.configuration.messageBytes)) {
      this.runtime.refusedMessages++;
      this.door.tooLarge(this.exchange);
      return this.respond();
    }
    if (!this.charge(size - this.received)) {
      this.door.refuse(this.exchange, Code.RESOURCE_EXHAUSTED, BUSY);
      return this.respond();
    }
    this.received = size;
    return endOfStream ? this.receive() : Action.Pause;
  }

  /** A request that ends in trailers has no end of stream in its body. */
  onRequestTrailers(count: u32): Action {
    return this.stage == Stage.Receiving ? this.receive() : Action.Pause;
  }

  private charge(size: i32): bool {
    if (!this.runtime.budget.take(size)) return false;
    this.charged += size;
    return true;
  }

  private receive(): Action {
    const exchange = this.exchange;
    const body = getBuffer(Buffer.RequestBody, 0, this.received);
    exchange.own(body);
    if (this.received > DRAIN_OVER) replaceBuffer(Buffer.RequestBody, this.received, 0);
    if (!this.door.open(exchange, body)) return this.respond();
    const step = exchange.handler!.start(exchange);
    if (exchange.strayed) {
      exchange.strayed = false;
      this.activate();
    }
    if (step == Step.Answer) return this.respond();
    return this.answerFromCache() || this.answerLive(false) ? this.respond() : this.ask();
  }

  /** Answers a read out of Envoy's memory, if that is allowed and there is something good. */
  private answerFromCache(): bool {
    const cache = this.runtime.cache;
    const exchange = this.exchange;
    const component = exchange.component;
    if (cache === null || component === null) return false;
    this.cached.writes(cache, component, exchange.writtenKeys);
    if (exchange.cacheKey == 0) return false;
    return this.give(this.cached.find(cache, component, exchange.cacheKey, this.started));
  }

  /** Answers a read by what the bridge keeps up to date. @param substitute the bridge cannot answer */
  private answerLive(substitute: bool): bool {
    const live = this.runtime.live;
    const exchange = this.exchange;
    const component = exchange.component;
    if (live === null || component === null || exchange.liveRequest == 0) return false;
    const now = monotonicUs();
    if (!this.give(this.live.find(live, component, exchange.liveRequest, now, substitute))) return false;
    this.tellAge(this.live.ageMs);
    return true;
  }

  /** Answers with a message out of Envoy's memory; false if there is none. */
  private give(message: View): bool {
    if (message == 0) return false;
    const exchange = this.exchange;
    if (this.charge(viewLen(message))) exchange.handler!.onResult(exchange, message);
    else exchange.handler!.onFailure(exchange, Code.RESOURCE_EXHAUSTED, BUSY);
    return true;
  }

  private tellAge(ms: i64): void {
    const w = this.exchange.writer();
    w.decimal(ms);
    this.exchange.reply.headers.add(AGE, w.view());
  }

  private ask(): Action {
    const exchange = this.exchange;
    const built = exchange.hasBuilt;
    let payload = exchange.takeRequest();
    let buffer = payload;
    if (built && payload == 0) {
      this.runtime.refusedMessages++;
      this.door.tooLarge(exchange);
      return this.respond();
    }
    if (!built) {
      payload = exchange.body;
      buffer = exchange.disown();
    } else {
      // The message was built from the body, which is not needed any more.
      exchange.own(0);
      this.runtime.budget.give(this.charged);
      this.charged = 0;
      if (!this.charge(viewLen(payload))) {
        release(buffer);
        return this.fail(Code.RESOURCE_EXHAUSTED, BUSY);
      }
    }
    const traceparent = exchange.headers.get(TRACEPARENT);
    const operation = new Operation(
      this,
      exchange.operation,
      buffer,
      payload,
      exchange.idempotent,
      this.deadline(),
      isTraceparent(traceparent) ? traceparent : 0,
    );
    operation.charged = this.charged;
    const submitted = this.runtime.submit(operation);
    if (submitted == Submitted.Sent) {
      this.charged = 0;
      this.operation = operation;
      this.stage = Stage.Asking;
      return Action.Pause;
    }
    // The session made the root context effective.
    this.activate();
    const action =
      submitted == Submitted.Busy
        ? this.fail(Code.RESOURCE_EXHAUSTED, BUSY)
        : this.fail(Code.UNAVAILABLE, NO_SESSION);
    operation.drop();
    return action;
  }

  /** Milliseconds the caller waits: its grpc-timeout, or the default. */
  private deadline(): u32 {
    const timeout = this.exchange.headers.get(GRPC_TIMEOUT);
    if (timeout != 0) {
      const ms = parseTimeout(timeout);
      if (ms > 0 && ms < <i64>u32.MAX_VALUE) return <u32>ms;
    }
    return this.runtime.configuration.deadlineMs;
  }

  private fail(code: i32, message: View): Action {
    if (code == Code.UNAVAILABLE && this.answerLive(true)) return this.respond();
    this.exchange.handler!.onFailure(this.exchange, code, message);
    return this.respond();
  }

  // The bridge's answer

  onResult(buffer: View, payload: View): void {
    const keepable = this.answered();
    if (!this.activate()) {
      release(buffer);
      return;
    }
    const size = viewLen(payload);
    // An empty message has no place of its own in the frame, but its answer needs the room in front.
    const message = size == 0 ? bytes(bytesPtr(buffer), 0) : payload;
    const tooLarge = size > this.runtime.configuration.messageBytes;
    if (tooLarge || !keepable || !this.keep(buffer, message)) this.exchange.own(buffer);
    if (tooLarge) {
      this.runtime.refusedMessages++;
      this.fail(Code.RESOURCE_EXHAUSTED, RESULT_TOO_LARGE);
    } else if (!this.charge(size)) this.fail(Code.RESOURCE_EXHAUSTED, BUSY);
    else {
      this.exchange.handler!.onResult(this.exchange, message);
      if (this.exchange.liveRequest != 0) this.tellAge(0);
      this.respond();
    }
  }

  onFailure(code: i32, message: View): void {
    this.answered();
    if (this.activate()) this.fail(code, message);
  }

  /** The operation is over. @returns whether its result may be kept */
  private answered(): bool {
    const operation = this.operation;
    this.operation = null;
    if (operation === null) return false;
    this.bridgeUs = operation.bridgeUs;
    this.backendUs = operation.backendUs;
    const cache = this.runtime.cache;
    const component = this.exchange.component;
    if (cache !== null && component !== null) this.cached.written(cache, component);
    const live = this.runtime.live;
    if (live !== null && component !== null && this.exchange.liveWrite) live.written(component.index);
    return operation.keepable;
  }

  /** Keeps a result for the next who asks; false if it is not kept, and the buffer is still the call's. */
  private keep(buffer: View, message: View): bool {
    const cache = this.runtime.cache;
    const exchange = this.exchange;
    const component = exchange.component;
    if (cache === null || component === null || exchange.cacheKey == 0) return false;
    return this.cached.keep(cache, component, exchange.cacheKey, buffer, message, this.started);
  }

  // Reply

  private respond(): Action {
    this.stage = Stage.Answering;
    const reply = this.exchange.reply;
    const elapsed = this.count(reply.grpcStatus >= 0 ? reply.grpcStatus : reply.status);
    if (reply.grpcStatus < 0) {
      const w = this.exchange.writer();
      writeServerTiming(w, elapsed, this.bridgeUs, this.backendUs, this.cached.hit || this.live.hit);
      reply.headers.add(SERVER_TIMING, w.view());
    }
    const body = reply.isMessage ? 0 : reply.body;
    const grpcStatus = reply.grpcStatus >= 0 ? reply.grpcStatus : GRPC_STATUS_NONE;
    succeeded(sendLocalResponse(reply.status, reply.headers, body, grpcStatus), 'send_local_response');
    if (reply.isMessage) return Action.Pause;
    // The host has copied it all; only a message is still to be put in.
    this.exchange.free();
    return Action.Pause;
  }

  /** Counts this call, once. @param code google.rpc.Code or HTTP status @returns microseconds since it came */
  private count(code: i32): i64 {
    const elapsed = monotonicUs() - this.started;
    if (this.counted) return elapsed;
    this.counted = true;
    const exchange = this.exchange;
    const component = exchange.component;
    const index =
      component !== null ? component.index : exchange.componentUnknown ? UNKNOWN_COMPONENT : NO_COMPONENT;
    this.runtime.calls.called(this.door.routeOf(exchange), index, code, elapsed);
    return elapsed;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    if (this.stage != Stage.Answering) {
      this.replied = envoyReplyCode(this.door == this.runtime.grpcDoor);
      this.count(this.replied);
    }
    if (this.stage == Stage.Answering) {
      if (this.exchange.reply.isMessage) {
        if (endOfStream) {
          // Nothing opened the reply for the message: say so instead of ending it without a status.
          log(LogLevel.Error, 'layotto: ' + viewToString(NO_REPLY_FILTER));
          replaceHeader(HeaderMap.ResponseHeaders, GRPC_STATUS, INTERNAL);
          replaceHeader(HeaderMap.ResponseHeaders, GRPC_MESSAGE, NO_REPLY_FILTER);
          return Action.Continue;
        }
        removeHeader(HeaderMap.ResponseHeaders, GRPC_STATUS);
      }
    } else if (this.door != this.runtime.grpcDoor && !endOfStream) {
      this.stage = Stage.Dressing;
      dressHeaders(this.replied);
    }
    return Action.Continue;
  }

  onResponseBody(size: u32, endOfStream: bool): Action {
    const dressing = this.stage == Stage.Dressing;
    const reply = this.exchange.reply;
    if (!dressing && !(this.stage == Stage.Answering && reply.isMessage)) return Action.Continue;
    if (!endOfStream) return Action.Pause;
    if (dressing) {
      dressBody(this.door, this.exchange, size, this.replied);
      return Action.Continue;
    }
    const at = viewPtr(reply.body) - <usize>PREFIX_LENGTH;
    writePrefix(at, viewLen(reply.body));
    const framed = view(at, viewLen(reply.body) + PREFIX_LENGTH);
    succeeded(replaceBuffer(Buffer.ResponseBody, size, framed), 'set_buffer_bytes');
    succeeded(addHeader(HeaderMap.ResponseTrailers, GRPC_STATUS, ZERO), 'add_header_map_value');
    // The host has its copy; only the byte count stays, until the caller has read it.
    this.exchange.own(0);
    return Action.Continue;
  }

  onDone(): void {
    if (!this.counted)
      this.count(this.door == this.runtime.grpcDoor ? <i32>Code.CANCELLED : CLIENT_CLOSED_REQUEST);
    const operation = this.operation;
    this.operation = null;
    if (operation !== null) {
      this.exchange.handler!.onGone();
      this.runtime.forget(operation);
    }
    this.runtime.budget.give(this.charged);
    this.charged = 0;
    this.runtime.budget.giveWaiting(this.waiting);
    this.waiting = 0;
    this.exchange.free();
    this.cached.release();
    this.live.release();
    this.runtime.retire(this);
  }
}
