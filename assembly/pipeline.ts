// The order of a call: door, policy, answer here or ask the bridge, door
// again. Every call that the filter gets goes this way, so nothing can skip
// policy or limits.

import { AskingCall } from './call-asking';
import { Stage } from './call-reply';
import { CallSite } from './call-site';
import { Callee } from './config/invocation';
import { Code } from './dialects/codes';
import { Step } from './dialects/exchange';
import { isGrpc } from './dialects/grpc';
import { JSON_PREFIX } from './dialects/json';
import { Route } from './dialects/router';
import { monotonicUs } from './host/clock';
import { handOver, HttpContext } from './host/context';
import { Action, Buffer, HeaderMap } from './host/enums';
import { addHeader, removeHeader } from './host/headers';
import { getBuffer, replaceBuffer } from './host/stream';
import { onInvokeCall } from './on-invoke-call';
import { invokedCall, mayInvoke } from './passed-invocation';
import { mayPass, PassedStream } from './passed-stream';
import { BUSY } from './refusals';
import { forwardRequest, WrappedCall } from './wrapped-call';
import { literal, viewIndexOf, viewLen, viewSlice, viewStartsWith } from './wire/view';

const METHOD = literal(':method');
const PATH = literal(':path');
const CONTENT_TYPE = literal('content-type');
const ONE = literal('1');
/** Tells the Lua filter to hold this request until its body is here. */
const HOLD = literal('x-layotto-hold');

const QUESTION_MARK: u8 = 0x3f;

/**
 * What a call whose body is waited for counts in the budget, besides its headers: whoever starts calls and never ends
 * them is refused before they take much. Such a call was seen to take 14 KiB in Envoy, and two times its headers.
 */
const CALL_BYTES: i32 = 4096;

/** Bodies over this size are taken out of Envoy's buffer once the filter has them. */
const DRAIN_OVER: u32 = 64 * 1024;

/** HTTP status in metrics for a caller that went away before its answer; the usual number for it, and never sent. */
const CLIENT_CLOSED_REQUEST: i32 = 499;

/** A call that is for another module. */
class PassedOn extends HttpContext {}

/** What every module could answer, and the runtime behind the others does. */
const EVERYWHERE: StaticArray<string> = ['actuator', 'health', 'metadata'];

/** Whether a route is of a primitive that this module is there for. */
function isOwn(route: Route): bool {
  return !EVERYWHERE.includes(route.primitive);
}

/** One call, from its head to its end. */
export class Call extends AskingCall {
  /** Bytes that the call counts in the budget because its body was waited for. */
  private waiting: i32 = 0;
  /** Bytes of request body seen so far. */
  private received: u32 = 0;

  constructor(id: u32, runtime: CallSite) {
    super(id, runtime);
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

    const policy = this.runtime.policy;
    const passOn = this.runtime.configuration.passOn;
    if (!passOn && !policy.access(this.door, exchange)) return this.respond();
    const routed = this.door.route(exchange);
    if (passOn) {
      if (!routed || !isOwn(exchange.route!)) return this.passOn();
      if (!policy.access(this.door, exchange)) return this.respond();
    }
    if (!routed) return this.respond();
    if (!policy.enter(this.door, exchange)) return this.respond();
    if (exchange.passesTo != 0) return this.passToApp();
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

  /** The call is for a module behind this one. */
  private passOn(): Action {
    handOver(new PassedOn(this.id));
    this.exchange.free();
    this.runtime.retire(this);
    return Action.Continue;
  }

  /** Lets a stream pass, if it may. From then on this call has nothing to do with it. */
  private pass(route: Route): Action {
    if (!mayPass(this.runtime, this.door, this.exchange, route)) return this.respond();
    if (!this.runtime.policy.spend(this.door, this.exchange)) return this.respond();
    this.runtime.policy.vouch(this.exchange);
    handOver(new PassedStream(this.id, this.runtime, route, this.started));
    this.exchange.free();
    this.runtime.retire(this);
    return Action.Continue;
  }

  /** Lets a call pass to the app that it names, if it may. */
  private passToApp(): Action {
    const exchange = this.exchange;
    if (!mayInvoke(this.runtime, this.door, exchange)) return this.respond();
    const grpc = this.door == this.runtime.grpcDoor;
    handOver(
      !grpc && (<Callee>exchange.component!).grpc
        ? onInvokeCall(this.id, this.runtime, this.door, exchange, this.started)
        : invokedCall(this.id, this.runtime, exchange, grpc, this.started),
    );
    exchange.free();
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
    if (!this.runtime.policy.leave(this.door, exchange, step)) return this.respond();
    if (step == Step.Answer) return this.respond();
    if (step == Step.Forward) return this.forward();
    return this.answerFromCache() || this.answerLive(false) ? this.respond() : this.ask();
  }

  /** Sends the request on as one to another app. From then on this call has nothing to do with it. */
  private forward(): Action {
    const exchange = this.exchange;
    const forward = exchange.forward!;
    forwardRequest(exchange, forward, this.received);
    handOver(
      forward.grpc
        ? invokedCall(this.id, this.runtime, exchange, true, this.started)
        : new WrappedCall(this.id, this.runtime, exchange, this.started),
    );
    this.counted = true;
    this.letGo();
    return Action.Continue;
  }

  onDone(): void {
    if (!this.counted)
      this.count(this.door == this.runtime.grpcDoor ? <i32>Code.CANCELLED : CLIENT_CLOSED_REQUEST);
    this.abandon();
    this.letGo();
  }

  /** It serves no other stream. */
  dispose(): void {
    this.exchange.dispose();
  }

  /** Gives back everything the call held, and the call itself. */
  private letGo(): void {
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
