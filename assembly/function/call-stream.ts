// The life of a call of a function: policy and limits, the function's methods one
// after the other, its answer, and its end.

import { Code } from '../dialects/codes';
import { Exchange, takeRequest } from '../dialects/exchange';
import { Route } from '../dialects/router';
import { monotonicUs } from '../host/clock';
import { HttpContext } from '../host/context';
import { Action, Buffer, HeaderMap, LogLevel } from '../host/enums';
import { getHeader, HeaderList } from '../host/headers';
import { log, succeeded } from '../host/log';
import { release } from '../host/memory';
import { failStream, getBuffer, GRPC_STATUS_NONE, replaceBuffer, sendLocalResponse } from '../host/stream';
import { NO_COMPONENT, UNKNOWN_COMPONENT } from '../metrics/call-metrics';
import { isTraceparent } from '../session/frame';
import { Operation } from '../session/operation';
import { Submitted } from '../session/session';
import { ByteWriter } from '../wire/bytes';
import { literal, View, viewIndexOf, viewLen, viewSlice, viewToString } from '../wire/view';
import { Ask } from './ask';
import { Call } from './call';
import { guardBegins } from './guard';
import { Handler, makeHandler } from './handler';
import { REFUSED } from './in-flight';
import { FunctionRoot } from './root';

const METHOD = literal(':method');
const PATH = literal(':path');
const STATUS = literal(':status');
const CONTENT_TYPE = literal('content-type');
const TRACEPARENT = literal('traceparent');
const QUESTION_MARK: u8 = 0x3f;

const PAYLOAD_TOO_LARGE: i32 = 413;
/** The usual number for a caller that went away; never sent. */
const CLIENT_CLOSED_REQUEST: i32 = 499;
/** What a call counts in the budget while its body is waited for, besides its headers. */
const CALL_BYTES: i32 = 4096;
/** Bodies over this size are taken out of Envoy's buffer once the function has them. */
const DRAIN_OVER: u32 = 64 * 1024;
/** What one call may wait for at the same time. */
const MOST_ASKS: i32 = 64;

const BUSY = 'too busy: limits.operations or limits.bytes is reached; try again later';
const NO_SESSION = 'the components bridge is not connected; calls are refused until it is back';
const SILENT = 'the function has neither answered nor asked for anything';

enum Stage {
  Receiving,
  Running,
  Answered,
  Over,
}

export abstract class CallStream extends HttpContext {
  /** The function's object for this call; null until the whole request is here. */
  handler: Handler | null = null;
  protected exchange: Exchange;
  private stage: Stage = Stage.Receiving;
  private started: i64 = 0;
  private counted: bool = false;
  private received: u32 = 0;
  private charged: i32 = 0;
  private waiting: i32 = 0;
  /** Of the count of calls under way. */
  private span: i64 = REFUSED;
  /** What is waited for, and what was refused at once and is not told yet. */
  private readonly asks: Array<Ask> = [];
  private readonly refusals: Array<Ask> = [];

  constructor(
    id: u32,
    protected readonly site: FunctionRoot,
  ) {
    super(id);
    this.exchange = site.exchange();
  }

  onRequestHeaders(count: u32, endOfStream: bool): Action {
    this.started = monotonicUs();
    const site = this.site;
    const exchange = this.exchange;
    const headers = exchange.headers;
    headers.fetch(HeaderMap.RequestHeaders);
    exchange.method = headers.get(METHOD);
    const target = headers.get(PATH);
    const mark = viewIndexOf(target, QUESTION_MARK, 0);
    exchange.path = mark < 0 ? target : viewSlice(target, 0, mark);
    exchange.query = mark < 0 ? 0 : viewSlice(target, mark + 1, viewLen(target));
    exchange.route = site.entry;
    if (!site.policy.access(site.door, exchange)) return this.refuse();
    if (!site.policy.passes(site.door, exchange, site.settings.id)) return this.refuse();
    this.span = site.inFlight.enter(this.started / 1000);
    if (this.span == REFUSED) {
      const most = site.settings.inFlight.toString();
      const text = 'function "' + site.name + '" has ' + most + ' calls under way already; try again later';
      return this.refuseWith(429, text);
    }
    if (endOfStream) return this.run();
    const waiting = headers.size + CALL_BYTES;
    if (!site.budget.takeWaiting(waiting)) return this.refuseWith(429, BUSY);
    this.waiting = waiting;
    return Action.Pause;
  }

  onRequestBody(size: u32, endOfStream: bool): Action {
    if (this.stage != Stage.Receiving) return Action.Pause;
    const site = this.site;
    if (size > <u32>site.settings.bodyBytes) {
      const text = 'function "' + site.name + '" takes bodies of at most ';
      return this.refuseWith(PAYLOAD_TOO_LARGE, text + site.settings.bodyBytes.toString() + ' bytes');
    }
    if (!this.charge(<i32>(size - this.received))) return this.refuseWith(429, BUSY);
    this.received = size;
    return endOfStream ? this.run() : Action.Pause;
  }

  onRequestTrailers(count: u32): Action {
    return this.stage == Stage.Receiving ? this.run() : Action.Pause;
  }

  private charge(size: i32): bool {
    if (!this.site.budget.take(size)) return false;
    this.charged += size;
    return true;
  }

  private run(): Action {
    const site = this.site;
    const exchange = this.exchange;
    const body: View = this.received == 0 ? 0 : getBuffer(Buffer.RequestBody, 0, this.received);
    exchange.own(body);
    exchange.body = body;
    if (this.received > DRAIN_OVER) replaceBuffer(Buffer.RequestBody, this.received, 0);
    this.stage = Stage.Running;
    // Before its object is made, whose constructor may turn loops, too.
    guardBegins(site.settings.turnMs);
    const handler = makeHandler();
    this.handler = handler;
    handler.onRequest(<Call>this);
    this.settle();
    return Action.Pause;
  }

  private refuse(): Action {
    const reply = this.exchange.reply;
    this.send(reply.status, reply.headers, reply.body);
    return Action.Pause;
  }

  private refuseWith(status: i32, text: string): Action {
    const body = this.exchange.writer();
    body.text(text);
    this.exchange.reply.http(status, body.view());
    return this.refuse();
  }

  /** A method of the function has returned: tells it of what was refused meanwhile, and sees that something comes of it. */
  settle(): void {
    const refusals = this.refusals;
    while (refusals.length > 0 && this.stage == Stage.Running) refusals.shift().tellRefusal();
    if (this.stage != Stage.Running || this.asks.length > 0) return;
    log(LogLevel.Error, 'function ' + this.site.name + ': ' + SILENT);
    this.answerBytes(500, String.UTF8.encode(SILENT), 'text/plain; charset=utf-8');
  }

  /** Answers the call; only the first answer counts. */
  protected answerBytes(status: i32, body: ArrayBuffer, contentType: string): void {
    if (this.stage != Stage.Running) return;
    const type = this.exchange.writer();
    type.text(contentType);
    const headers = this.exchange.reply.headers;
    headers.add(CONTENT_TYPE, type.view());
    // What it asked for last made the root context effective.
    if (!this.activate()) return;
    this.send(status, headers, ((<u64>body.byteLength) << 32) | changetype<usize>(body));
    this.forgetAsks();
  }

  private send(status: i32, headers: HeaderList, body: View): void {
    this.stage = Stage.Answered;
    this.count(status);
    succeeded(sendLocalResponse(status, headers, body, GRPC_STATUS_NONE), 'send_local_response');
  }

  private count(status: i32): void {
    if (this.counted) return;
    this.counted = true;
    const site = this.site;
    site.calls.called(site.entry, site.ownLabel, status, monotonicUs() - this.started);
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    if (this.stage == Stage.Answered) return Action.Continue;
    // Envoy's own, at the deadline.
    const status = getHeader(HeaderMap.ResponseHeaders, STATUS);
    this.count(<i32>parseInt(viewToString(status)));
    release(status);
    return Action.Continue;
  }

  onTrap(): void {
    if (this.stage <= Stage.Running && this.activate()) failStream();
  }

  onDone(): void {
    this.count(CLIENT_CLOSED_REQUEST);
    this.stage = Stage.Over;
    this.forgetAsks();
    const site = this.site;
    site.budget.give(this.charged);
    site.budget.giveWaiting(this.waiting);
    site.inFlight.leave(this.span, monotonicUs() / 1000);
    this.handler = null;
    const exchange = this.exchange;
    this.exchange = site.nobody;
    site.takeBack(exchange);
  }

  // What the function asks for

  /** Milliseconds that are left of the call's deadline. */
  protected get left(): u32 {
    const gone = (monotonicUs() - this.started) / 1000;
    return <u32>max(1, <i64>this.site.settings.deadlineMs - gone);
  }

  /** Whether one more thing may be asked for; the refusal is noted if not. */
  protected mayAsk(ask: Ask, component: View, topic: View): bool {
    if (this.stage != Stage.Running) return false;
    const site = this.site;
    if (this.asks.length + this.refusals.length >= MOST_ASKS) {
      ask.refuse(Code.RESOURCE_EXHAUSTED, 'a call waits for at most ' + MOST_ASKS.toString() + ' answers');
      return false;
    }
    if (site.allows(ask.route, component, topic)) {
      site.asking.free();
      return true;
    }
    const message = viewToString(site.asking.reply.body);
    site.asking.free();
    ask.refuse(site.refusal, message);
    return false;
  }

  /**
   * Asks the bridge.
   *
   * @param component the name of the component that is asked
   * @param request the message, in a writer of `requestWriter`
   */
  protected askBridge(
    ask: Ask,
    component: View,
    topic: View,
    method: View,
    request: ByteWriter,
    idempotent: bool,
  ): void {
    const site = this.site;
    const payload = takeRequest(request);
    const found = site.configuration.find(ask.route.primitiveName, component);
    ask.component = found === null ? UNKNOWN_COMPONENT : found.index;
    if (!this.mayAsk(ask, component, topic)) return release(payload);
    if (payload == 0) return ask.refuse(Code.RESOURCE_EXHAUSTED, 'it is larger than limits.message');
    if (found === null) {
      release(payload);
      const what = ask.route.primitive + ' component "' + viewToString(component) + '"';
      return ask.refuse(Code.NOT_FOUND, 'there is no ' + what + '; add it to components in layotto.yaml');
    }
    const traceparent = this.exchange.headers.get(TRACEPARENT);
    const operation = new Operation(
      ask,
      method,
      payload,
      payload,
      idempotent,
      this.left,
      isTraceparent(traceparent) ? traceparent : 0,
    );
    const size = viewLen(payload);
    if (!site.budget.take(size)) {
      operation.drop();
      return ask.refuse(Code.RESOURCE_EXHAUSTED, BUSY);
    }
    operation.charged = size;
    const submitted = site.submit(operation);
    if (submitted == Submitted.Sent) {
      ask.operation = operation;
      this.asks.push(ask);
      return;
    }
    site.budget.give(size);
    operation.drop();
    if (submitted == Submitted.Busy) ask.refuse(Code.RESOURCE_EXHAUSTED, BUSY);
    else ask.refuse(Code.UNAVAILABLE, NO_SESSION);
  }

  /** Something was sent that is waited for. */
  protected waitFor(ask: Ask): void {
    this.asks.push(ask);
  }

  /** Something was not sent: the function is told when its method has returned. */
  refused(ask: Ask, code: i32): void {
    this.countAsk(ask, code);
    this.refusals.push(ask);
  }

  /** An answer is there. @returns whether the function waits for it */
  resume(ask: Ask, code: i32): bool {
    this.countAsk(ask, code);
    const at = this.asks.indexOf(ask);
    if (at < 0) return false;
    this.asks.splice(at, 1);
    if (this.stage != Stage.Running || !this.activate()) return false;
    guardBegins(this.site.settings.turnMs);
    return true;
  }

  private countAsk(ask: Ask, code: i32): void {
    const component = ask.component;
    this.site.calls.called(ask.route, component, code, monotonicUs() - ask.started);
  }

  /** Nobody waits for anything any more. */
  private forgetAsks(): void {
    const asks = this.asks;
    while (asks.length > 0) {
      const operation = asks.pop().operation;
      if (operation !== null) this.site.forget(operation);
    }
    this.refusals.length = 0;
  }

  /** What is asked for is about no component. */
  protected get noComponent(): i32 {
    return NO_COMPONENT;
  }
}
