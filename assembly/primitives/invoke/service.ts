// InvokeService, whose messages are the same in Layotto's and in Dapr's gRPC
// API: the request becomes an HTTP request to the callee.

import { Callee } from '../../config/invocation';
import { Code } from '../../dialects/codes';
import { Exchange, Step } from '../../dialects/exchange';
import { Forward, Wrapping } from '../../dialects/forward';
import { Handler } from '../../dialects/handler';
import { wayTo } from '../../dialects/invocations';
import { HttpExtension, InvokeRequest, InvokeServiceRequest } from '../../wire/gen/layotto/bridge/v1/invoke';
import { parseTimeout } from '../../wire/grpc';
import { isHeaderValue } from '../../wire/header-value';
import { literal, View, viewByte, viewIndexOf, viewLen, viewPtr, viewSlice } from '../../wire/view';

const INVOKE = literal('invoke');
const MALFORMED = literal('the request message is not valid protobuf');
const NOT_SERVED = literal('service invocation is not served by this version');
const BAD_METHOD = literal('the method cannot stand in a path: it has spaces or control characters');
const BAD_CONTENT_TYPE = literal('the content type cannot stand in a header: it has control characters');
const METHOD_WAY = literal('/method/');
const ON_INVOKE = literal('/method/dapr.proto.runtime.v1.AppCallback/OnInvoke');
const APPLICATION_GRPC = literal('application/grpc');
const GRPC_TIMEOUT = literal('grpc-timeout');
const SLASH: u8 = 0x2f;
const QUESTION_MARK: u8 = 0x3f;

const POST = literal('POST');
const VERBS: StaticArray<View> = [
  literal('NONE'),
  literal('GET'),
  literal('HEAD'),
  POST,
  literal('PUT'),
  literal('DELETE'),
  literal('CONNECT'),
  literal('OPTIONS'),
  literal('TRACE'),
  literal('PATCH'),
];
const NONE: i32 = 0;
const GET: i32 = 1;
const CONNECT: i32 = 6;

export abstract class InvokeService extends Handler {
  /** How the answer is told. */
  protected abstract get wrapping(): Wrapping;

  /** How long a callee may take of which nothing else is said, in milliseconds. */
  protected abstract defaultTimeoutMs(exchange: Exchange): i64;

  /** What the caller says of that. @param usual what holds if it says nothing */
  protected timeoutOf(exchange: Exchange, usual: i64): i64 {
    return usual;
  }

  /** Whether this API serves the call at all. The refusal is filled in if not. */
  protected serves(exchange: Exchange): bool {
    return true;
  }

  /** Whether a request without a verb stands for none. */
  protected abstract refuseUnknown(exchange: Exchange, id: View): void;

  /** The header `id`. */
  protected idHeader(id: View): View {
    return 0;
  }

  start(exchange: Exchange): Step {
    const request = new InvokeServiceRequest();
    const message = new InvokeRequest();
    const invocation = exchange.configuration.invocation;
    if (!invocation.served) return refuse(exchange, Code.UNIMPLEMENTED, NOT_SERVED);
    if (!this.serves(exchange)) return Step.Answer;
    if (!request.decode(exchange.body) || !message.decode(request.message))
      return refuse(exchange, Code.INVALID_ARGUMENT, MALFORMED);
    const found = exchange.findComponent(INVOKE, request.id);
    if (found === null) {
      this.refuseUnknown(exchange, request.id);
      return Step.Answer;
    }
    const callee = <Callee>found;
    const forward = new Forward(callee, request.id, this.wrapping);
    const usual = callee.timeoutMs == 0 ? this.defaultTimeoutMs(exchange) : callee.timeoutMs;
    forward.timeoutMs = this.withinDeadline(exchange, this.timeoutOf(exchange, usual));
    if (callee.grpc) return this.asItIs(exchange, forward, request.message);
    const problem = this.fill(exchange, forward, message);
    if (problem != 0) return refuse(exchange, Code.INVALID_ARGUMENT, problem);
    forward.id = this.idHeader(request.id);
    exchange.forward = forward;
    return Step.Forward;
  }

  /** To a callee that speaks gRPC: its OnInvoke takes the very message. */
  private asItIs(exchange: Exchange, forward: Forward, message: View): Step {
    const way = wayTo(exchange, forward.callee, forward.named);
    way.raw(ON_INVOKE);
    forward.way = way.view();
    forward.method = POST;
    forward.contentType = APPLICATION_GRPC;
    forward.body = message;
    forward.grpc = true;
    exchange.forward = forward;
    return Step.Forward;
  }

  /** @returns what is wrong with the request; no bytes if nothing */
  private fill(exchange: Exchange, forward: Forward, message: InvokeRequest): View {
    if (!isVisible(message.method)) return BAD_METHOD;
    if (!isHeaderValue(message.contentType)) return BAD_CONTENT_TYPE;
    const extension = message.httpExtension;
    // Without an extension it is a GET, as Layotto has it; Dapr wants one.
    let verb = GET;
    let query: View = 0;
    if (extension !== null) {
      verb = extension.verb;
      query = extension.querystring;
      // A literal NONE, as Layotto sends, is no method of HTTP.
      if (<u32>verb >= <u32>VERBS.length || verb == NONE || verb == CONNECT)
        verb = viewLen(bodyOf(message)) > 0 ? 3 : GET;
    }
    if (!isVisible(query)) return BAD_METHOD;
    const way = wayTo(exchange, forward.callee, forward.named);
    way.raw(METHOD_WAY);
    const rooted = viewByte(message.method, 0) == SLASH;
    way.raw(rooted ? viewSlice(message.method, 1, viewLen(message.method)) : message.method);
    if (query != 0) {
      way.u8(viewIndexOf(message.method, QUESTION_MARK) < 0 ? QUESTION_MARK : 0x26);
      way.raw(query);
    }
    forward.way = way.view();
    forward.method = VERBS[verb];
    forward.contentType = message.contentType;
    forward.body = bodyOf(message);
    return 0;
  }

  private withinDeadline(exchange: Exchange, timeoutMs: i64): i64 {
    const deadline = parseTimeout(exchange.headers.get(GRPC_TIMEOUT));
    return deadline > 0 && deadline < timeoutMs ? deadline : timeoutMs;
  }
}

function bodyOf(message: InvokeRequest): View {
  const data = message.data;
  return data === null ? 0 : data.value;
}

function refuse(exchange: Exchange, code: i32, message: View): Step {
  exchange.reply.grpcError(code, message);
  return Step.Answer;
}

/** Visible ASCII or beyond, so that a path stays one. */
function isVisible(text: View): bool {
  const start = viewPtr(text);
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const c = load<u8>(start + i);
    if (c <= 0x20 || c == 0x7f) return false;
  }
  return true;
}
