// A call that passes to another app and back as it is: its head has been
// checked, its bytes are not looked at, and how it ends is counted. Who gets it,
// how often it is tried and how long it may take is in Envoy's routes.

import { CallSite } from './call-site';
import { Callee, Invocation } from './config/invocation';
import { Code } from './dialects/codes';
import { ERR_DIRECT_INVOKE, errorBody } from './dialects/dapr-http';
import { Door } from './dialects/door';
import { clip, Exchange } from './dialects/exchange';
import { refuseInvocation, writeFailure } from './dialects/invoke-failures';
import { Route } from './dialects/router';
import { grpcStatusIn, httpStatusIn } from './envoy-replies';
import { monotonicUs } from './host/clock';
import { HttpContext } from './host/context';
import { Action, Buffer, HeaderMap } from './host/enums';
import { getHeader, removeHeader, replaceHeader } from './host/headers';
import { release } from './host/memory';
import { getProperty } from './host/properties';
import { getBuffer, replaceBuffer } from './host/stream';
import { setHead } from './request-head';
import { ByteWriter } from './wire/bytes';
import { literal, View, viewEquals, viewLen } from './wire/view';

const PATH = literal(':path');
const AUTHORITY = literal(':authority');
const STATUS = literal(':status');
const TIMEOUT = literal('x-envoy-upstream-rq-timeout-ms');
const NO_DEADLINE = literal('0');
const CLUSTER = literal('x-layotto-cluster');
const DNS_CLUSTER = 'layotto_invoke';
const CALLEE_ID = literal('dapr-callee-app-id');
const UNANSWERED = literal('x-layotto-unanswered');
const CONTENT_TYPE = literal('content-type');
const CONTENT_LENGTH = literal('content-length');
const APPLICATION_JSON = literal('application/json');
const SERVER_ERROR = literal('500');
const GRPC_STATUS = literal('grpc-status');
const INTERNAL = literal('13');
const GRPC_MESSAGE = literal('grpc-message');
const CODE_DETAILS = literal('response\0code_details');
const VIA_UPSTREAM = literal('via_upstream');
const CLUSTER_NOT_FOUND = literal('cluster_not_found');

const FIRST_SERVER_ERROR: i32 = 500;
/** For a caller that went away before its answer; the usual number for it, and never sent. */
const CLIENT_CLOSED_REQUEST: i32 = 499;
const NO_STATUS: i32 = -1;
/** Calls kept for the next ones. */
const SPARE_CALLS: i32 = 256;

/**
 * Whether a call may pass to the app that it names, and the way there if so: everything that Envoy's route does not add
 * by itself. The refusal is filled in if not.
 */
export function mayInvoke(site: CallSite, door: Door, exchange: Exchange): bool {
  const callee = exchange.component;
  if (callee === null) {
    refuseInvocation(door == site.grpcDoor, exchange, exchange.passesTo);
    return false;
  }
  if (!site.policy.passes(door, exchange, callee.name)) return false;
  const found = <Callee>callee;
  takeWay(exchange, found, exchange.passesTo, exchange.wayThere, null);
  // Envoy looks for the route of a new path, and those that leave this filter out are for calls without a deadline of
  // their own (envoy/direct-calls.ts). 0 is none.
  const anew = exchange.wayThere != 0 && door != site.grpcDoor;
  if (anew && found.timeoutMs == 0 && !exchange.headers.has(TIMEOUT))
    replaceHeader(HeaderMap.RequestHeaders, TIMEOUT, NO_DEADLINE);
  return true;
}

/** Makes the request's head one that Envoy has a route for. @param later see `setHead` */
export function takeWay(
  exchange: Exchange,
  callee: Callee,
  id: View,
  way: View,
  later: ByteWriter | null,
): void {
  const headers = exchange.headers;
  if (callee.found) {
    const invocation = exchange.configuration.invocation;
    const place = exchange.writer();
    invocation.writePlace(id, place);
    if (invocation.usesDns) {
      setHead(later, AUTHORITY, place.view());
      const cluster = exchange.writer();
      cluster.text(DNS_CLUSTER);
      setHead(later, CLUSTER, cluster.view());
    } else {
      setHead(later, CLUSTER, place.view());
      setHead(later, AUTHORITY, Invocation.hostOf(place.view()));
    }
    setHead(later, CALLEE_ID, id);
  }
  if (way != 0) setHead(later, PATH, way);
  if (callee.timeoutMs == 0 || headers.has(TIMEOUT)) return;
  const ms = exchange.writer();
  ms.decimal(callee.timeoutMs);
  setHead(later, TIMEOUT, ms.view());
}

/** The context of a call that passes: one that is over, if there is one. */
export function invokedCall(
  id: u32,
  site: CallSite,
  exchange: Exchange,
  grpc: bool,
  started: i64,
): HttpContext {
  const spare = site.invoked;
  const call = spare.length > 0 ? <InvokedCall>spare.pop() : new InvokedCall(site);
  call.begin(id, exchange.route!, <Callee>exchange.component!, grpc, started);
  return call;
}

export class InvokedCall extends HttpContext {
  protected route: Route;
  protected callee: Callee | null = null;
  private grpc: bool = false;
  protected started: i64 = 0;
  /** A google.rpc.Code or an HTTP status. */
  protected code: i32 = NO_STATUS;
  /** The answer is none of the callee's: its text gets the shape of Dapr's errors. */
  private dressing: bool = false;

  constructor(protected readonly site: CallSite) {
    super(0);
    this.route = site.grpcDoor.noRoute;
  }

  /** @param started when its head came, in microseconds */
  begin(id: u32, route: Route, callee: Callee, grpc: bool, started: i64): void {
    this.id = id;
    this.route = route;
    this.callee = callee;
    this.grpc = grpc;
    this.started = started;
    // Without a status its caller has gone, or its callee was lost on the way.
    this.code = grpc ? <i32>Code.CANCELLED : CLIENT_CLOSED_REQUEST;
    this.dressing = false;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    if (this.grpc) {
      if (!endOfStream) return Action.Continue;
      this.code = grpcStatusIn(HeaderMap.ResponseHeaders);
      if (this.code != Code.UNAVAILABLE || !isEnvoysOwn()) return Action.Continue;
      if (isUnknown()) {
        this.code = Code.INTERNAL;
        replaceHeader(HeaderMap.ResponseHeaders, GRPC_STATUS, INTERNAL);
      }
      this.explain();
      return Action.Continue;
    }
    this.code = httpStatusIn(HeaderMap.ResponseHeaders);
    if (this.code < FIRST_SERVER_ERROR) return Action.Continue;
    // A callee's Envoy says 500 of its app as Dapr does; with another status it has used its own words.
    const said = takeUnanswered();
    if (said ? this.code == FIRST_SERVER_ERROR : !isEnvoysOwn()) return Action.Continue;
    this.code = FIRST_SERVER_ERROR;
    replaceHeader(HeaderMap.ResponseHeaders, STATUS, SERVER_ERROR);
    if (endOfStream) return Action.Continue;
    this.dressing = true;
    replaceHeader(HeaderMap.ResponseHeaders, CONTENT_TYPE, APPLICATION_JSON);
    removeHeader(HeaderMap.ResponseHeaders, CONTENT_LENGTH);
    return Action.Continue;
  }

  onResponseBody(size: u32, endOfStream: bool): Action {
    if (!this.dressing) return Action.Continue;
    if (!endOfStream) return Action.Pause;
    const text = getBuffer(Buffer.ResponseBody, 0, size);
    const message = new ByteWriter();
    writeFailure(message, this.callee!.name);
    message.raw(clip(text));
    const body = new ByteWriter();
    errorBody(body, ERR_DIRECT_INVOKE, message.view(), 0);
    replaceBuffer(Buffer.ResponseBody, size, body.view());
    message.free();
    body.free();
    release(text);
    return Action.Continue;
  }

  onResponseTrailers(count: u32): Action {
    if (this.grpc) this.code = grpcStatusIn(HeaderMap.ResponseTrailers);
    return Action.Continue;
  }

  /** Says of the callee what Envoy's own reply says of an upstream. */
  private explain(): void {
    const text = getHeader(HeaderMap.ResponseHeaders, GRPC_MESSAGE);
    const writer = new ByteWriter();
    writeFailure(writer, this.callee!.name);
    writer.raw(clip(text));
    replaceHeader(HeaderMap.ResponseHeaders, GRPC_MESSAGE, writer.view());
    writer.free();
    release(text);
  }

  onDone(): void {
    this.site.called(this.route, this.callee!.index, this.code, monotonicUs() - this.started);
    if (this.site.invoked.length < SPARE_CALLS) this.site.invoked.push(this);
  }
}

/** Whether a callee's Envoy says that its app gave no answer; the header in which it does goes. */
export function takeUnanswered(): bool {
  const said = getHeader(HeaderMap.ResponseHeaders, UNANSWERED);
  if (said == 0) return false;
  release(said);
  removeHeader(HeaderMap.ResponseHeaders, UNANSWERED);
  return true;
}

/** Whether an answer is none of an upstream's. */
export function isEnvoysOwn(): bool {
  const details = getProperty(CODE_DETAILS);
  const own = viewLen(details) > 0 && !viewEquals(details, VIA_UPSTREAM);
  release(details);
  return own;
}

/** Whether Envoy has answered because nobody knows the app: a pattern made the name of a cluster that there is not. */
export function isUnknown(): bool {
  const details = getProperty(CODE_DETAILS);
  const unknown = viewEquals(details, CLUSTER_NOT_FOUND);
  release(details);
  return unknown;
}
