// How a call is answered: the reply on its way out, and what of Envoy's own
// replies is dressed in the door's words.

import { CachedCall } from './cache/cached-call';
import { LiveCall } from './cache/live-call';
import { CallSite } from './call-site';
import { Door } from './dialects/door';
import { Exchange } from './dialects/exchange';
import { dressBody, dressHeaders, envoyReplyCode } from './envoy-replies';
import { monotonicUs } from './host/clock';
import { HttpContext } from './host/context';
import { Action, Buffer, HeaderMap, LogLevel } from './host/enums';
import { addHeader, removeHeader, replaceHeader } from './host/headers';
import { log, succeeded } from './host/log';
import { failStream, GRPC_STATUS_NONE, replaceBuffer, sendLocalResponse } from './host/stream';
import { NO_COMPONENT, UNKNOWN_COMPONENT } from './metrics/call-metrics';
import { SERVER_TIMING, writeServerTiming } from './metrics/server-timing';
import { NO_REPLY_FILTER } from './refusals';
import { writePrefix } from './wire/grpc';
import { literal, view, viewLen, viewPtr, viewToString } from './wire/view';

const GRPC_STATUS = literal('grpc-status');
const GRPC_MESSAGE = literal('grpc-message');
const ZERO = literal('0');
const INTERNAL = literal('13');
const PREFIX_LENGTH: i32 = 5;

export enum Stage {
  /** Taking in the request. */
  Receiving,
  /** The bridge has the operation. */
  Asking,
  /** Our reply is on its way out. */
  Answering,
  /** Envoy answered by itself (deadline, overflow); its reply gets the door's error shape. */
  Dressing,
}

/** What every part of a call knows of it, and its way out. */
export abstract class AnsweredCall extends HttpContext {
  protected readonly exchange: Exchange;
  protected door: Door;
  protected stage: Stage = Stage.Receiving;
  /** Bytes this call holds in the budget; those of a sent operation are the operation's. */
  protected charged: i32 = 0;
  /** What one of Envoy's own replies says: a google.rpc.Code or an HTTP status. */
  private replied: i32 = 0;
  /** When the request came, in microseconds. */
  protected started: i64 = 0;
  protected counted: bool = false;
  /** Microseconds that the bridge took, and those of them that it waited for the backend. */
  protected bridgeUs: u32 = 0;
  protected backendUs: u32 = 0;
  protected readonly cached: CachedCall = new CachedCall();
  protected readonly live: LiveCall = new LiveCall();

  constructor(
    id: u32,
    protected readonly runtime: CallSite,
  ) {
    super(id);
    this.exchange = new Exchange(runtime.configuration, runtime);
    this.door = runtime.httpDoor;
  }

  protected charge(size: i32): bool {
    if (!this.runtime.budget.take(size)) return false;
    this.charged += size;
    return true;
  }

  protected respond(): Action {
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
  protected count(code: i32): i64 {
    const elapsed = monotonicUs() - this.started;
    if (this.counted) return elapsed;
    this.counted = true;
    const exchange = this.exchange;
    const component = exchange.component;
    const index =
      component !== null ? component.index : exchange.componentUnknown ? UNKNOWN_COMPONENT : NO_COMPONENT;
    this.runtime.called(this.door.routeOf(exchange), index, code, elapsed);
    return elapsed;
  }

  onTrap(): void {
    if (this.stage <= Stage.Asking && this.activate()) failStream();
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
    succeeded(reply.trailers.addTo(HeaderMap.ResponseTrailers), 'add_header_map_value');
    // The host has its copy; only the byte count stays, until the caller has read it.
    this.exchange.own(0);
    return Action.Continue;
  }
}
