// The filter half of rate-counter: what is checked inside Envoy, and how each
// door spells requests and answers. The JSON door needs nothing but its table.

import { bridgeMethod } from 'layotto/dialects/bridge-method';
import { Code, httpStatusOf } from 'layotto/dialects/codes';
import { answerError, answerJson } from 'layotto/dialects/dapr-http';
import { clip, Exchange, Step } from 'layotto/dialects/exchange';
import { Handler, UNREADABLE } from 'layotto/dialects/handler';
import { Router } from 'layotto/dialects/router';
import { registerRoot, RootContext } from 'layotto/host/context';
import { Runtime } from 'layotto/root';
import { literal, View, viewLen } from 'layotto/wire/view';
import { JSON_OPERATIONS } from './gen/json-operations';
import { IncrementRequest, IncrementResponse } from './gen/rate_counter';

export * from 'layotto/host/exports-answering';
export { layotto_describe } from 'layotto/describe';

const INCREMENT = bridgeMethod('rate_counter.v1.RateCounter/Increment');
const PRIMITIVE = literal('rate-counter');
const MALFORMED = literal('the request message is not valid protobuf');
const NO_COMPONENT = literal('there is no rate-counter component of this name');
const NO_KEY = literal('key is empty');
const FAILED = literal('ERR_RATE_COUNTER');

/** What is wrong with a request; no bytes if nothing is. Envoy answers that by itself. */
function problemOf(exchange: Exchange, request: IncrementRequest): View {
  if (exchange.findComponent(PRIMITIVE, request.componentName) === null) return NO_COMPONENT;
  return viewLen(request.key) == 0 ? NO_KEY : 0;
}

/** gRPC: the message goes to the bridge as it came. */
class Increment extends Handler {
  start(exchange: Exchange): Step {
    const request = new IncrementRequest();
    const problem = request.decode(exchange.body) ? problemOf(exchange, request) : MALFORMED;
    exchange.operation = INCREMENT;
    if (viewLen(problem) == 0) return Step.Ask;
    exchange.reply.grpcError(Code.INVALID_ARGUMENT, problem);
    return Step.Answer;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.grpcError(code, clip(message));
  }
}

/** POST /v1.0/rate-counter/{component}/{key}, in the manner of Dapr's HTTP API. */
class HttpIncrement extends Handler {
  start(exchange: Exchange): Step {
    const request = new IncrementRequest();
    request.componentName = exchange.params[0];
    request.key = exchange.params[1];
    const problem = problemOf(exchange, request);
    if (viewLen(problem) > 0) {
      answerError(exchange, 400, FAILED, problem);
      return Step.Answer;
    }
    request.encode(exchange.requestWriter());
    exchange.operation = INCREMENT;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new IncrementResponse();
    if (!response.decode(payload)) return this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
    const body = exchange.writer();
    body.text('{"count":');
    body.decimal(response.count);
    body.text('}');
    answerJson(exchange, 200, body.view());
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    answerError(exchange, httpStatusOf(code), FAILED, clip(message));
  }
}

function install(router: Router): void {
  const grpc = '/rate_counter.v1.RateCounter/Increment';
  router.grpc('rate-counter', 'Increment', grpc, (): Handler => new Increment());
  const http = '/v1.0/rate-counter/{}/{}';
  router.http('rate-counter', 'Increment', 'POST', http, (): Handler => new HttpIncrement());
}

registerRoot((id: u32): RootContext => new Runtime(id, install, JSON_OPERATIONS));
