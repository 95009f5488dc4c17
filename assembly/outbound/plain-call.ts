// A call of the app to somebody else, which passes as it is: nothing is held
// back and no body is looked at. The policy is asked about its head, and how it
// ends is counted.

import { monotonicUs } from '../host/clock';
import { HttpContext } from '../host/context';
import { Action, HeaderMap } from '../host/enums';
import { getHeader } from '../host/headers';
import { succeeded } from '../host/log';
import { release } from '../host/memory';
import { sendLocalResponse } from '../host/stream';
import { grpcStatusIn } from '../envoy-replies';
import { isGrpc } from '../dialects/grpc';
import { Code } from '../dialects/codes';
import { Route } from '../dialects/router';
import { usualStatus } from '../metrics/http-status';
import { literal } from '../wire/view';
import { Outbound } from './outbound';

const STATUS = literal(':status');
const CONTENT_TYPE = literal('content-type');

/** For a caller that went away before its answer; the usual number for it, and never sent. */
const CLIENT_CLOSED_REQUEST: i32 = 499;

export class PlainCall extends HttpContext {
  private route: Route;
  private callee: i32 = 0;
  /** When its head came, in microseconds; 0: it has not. */
  private started: i64 = 0;
  /** A google.rpc.Code or an HTTP status. */
  private code: i32 = CLIENT_CLOSED_REQUEST;
  /** Its answer is gRPC, whose code comes at the end. */
  private grpc: bool = false;

  constructor(
    id: u32,
    private readonly site: Outbound,
  ) {
    super(id);
    this.route = site.other;
  }

  /** Makes a call that is over ready for another stream. */
  begin(id: u32): PlainCall {
    this.id = id;
    this.started = 0;
    this.code = CLIENT_CLOSED_REQUEST;
    this.grpc = false;
    return this;
  }

  onRequestHeaders(count: u32, endOfStream: bool): Action {
    this.started = monotonicUs();
    const site = this.site;
    this.route = site.routeOfRequest();
    const cluster = site.cluster();
    const callee = site.calleeOf(cluster);
    this.callee = site.callees.indexOf(callee);
    const passes = site.passes(this.route, callee);
    release(cluster);
    if (passes) return Action.Continue;
    const reply = site.exchange.reply;
    const sent = sendLocalResponse(reply.status, reply.headers, reply.body, reply.grpcStatus);
    succeeded(sent, 'send_local_response');
    site.exchange.free();
    return Action.Pause;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    const status = getHeader(HeaderMap.ResponseHeaders, STATUS);
    this.code = usualStatus(status);
    release(status);
    const type = getHeader(HeaderMap.ResponseHeaders, CONTENT_TYPE);
    this.grpc = isGrpc(type);
    release(type);
    if (!this.grpc) return Action.Continue;
    // Without a status its caller has reset it, or its callee was lost on the way.
    this.code = Code.CANCELLED;
    if (endOfStream) this.ended(HeaderMap.ResponseHeaders);
    return Action.Continue;
  }

  onResponseTrailers(count: u32): Action {
    if (this.grpc) this.ended(HeaderMap.ResponseTrailers);
    return Action.Continue;
  }

  private ended(map: HeaderMap): void {
    const code = grpcStatusIn(map);
    this.code = code < 0 || code > <i32>Code.UNAUTHENTICATED ? <i32>Code.UNKNOWN : code;
  }

  onDone(): void {
    const site = this.site;
    if (this.started != 0) site.called(this.route, this.callee, this.code, monotonicUs() - this.started);
    site.retire(this);
  }
}
