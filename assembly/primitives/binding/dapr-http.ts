// Output bindings as Dapr's HTTP API spells them: POST or PUT /v1.0/bindings/{name}.

import { Code, httpStatusOf } from '../../dialects/codes';
import { addMetadataHeaders, answerEmpty, answerError, answerJson } from '../../dialects/dapr-http';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { JsonBody } from '../../dialects/json-body';
import { Router } from '../../dialects/router';
import { InvokeBindingRequest, InvokeBindingResponse } from '../../wire/gen/layotto/bridge/v1/binding';
import { literal, View, viewLen } from '../../wire/view';
import { ERR_INVOKE_OUTPUT_BINDING, FAILING } from './dapr-grpc';
import { INVOKE_BINDING, refusal } from './operations';

const ERR_MALFORMED_REQUEST = literal('ERR_MALFORMED_REQUEST');
const OPERATION = literal('operation');
const DATA = literal('data');
const METADATA = literal('metadata');
const NULL = literal('null');

class Invoke extends Handler {
  private name: View = 0;

  start(exchange: Exchange): Step {
    this.name = exchange.params[0];
    const request = new InvokeBindingRequest();
    request.name = this.name;
    // What is not there is null in Dapr, and data goes on as JSON.
    request.data = NULL;
    const body = new JsonBody(exchange, 'OutputBindingRequest');
    if (body.object('', 'http.OutputBindingRequest')) {
      while (body.reader.nextKey()) {
        if (body.at(OPERATION)) request.operation = body.text('OutputBindingRequest.operation');
        else if (body.at(DATA)) request.data = body.reader.raw();
        else if (body.at(METADATA)) body.metadata(request.metadata);
        else body.reader.skip();
      }
    }
    const problem = body.finish();
    if (problem.length > 0) {
      const w = exchange.writer();
      w.text('failed deserializing HTTP body: ');
      w.text(problem);
      answerError(exchange, 400, ERR_MALFORMED_REQUEST, w.view());
      return Step.Answer;
    }
    const reason = refusal(exchange, this.name, request.operation);
    if (viewLen(reason) > 0) {
      this.onFailure(exchange, Code.INTERNAL, reason);
      return Step.Answer;
    }
    request.encode(exchange.requestWriter());
    exchange.operation = INVOKE_BINDING;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new InvokeBindingResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addMetadataHeaders(exchange, response.metadata);
    if (viewLen(response.data) == 0) answerEmpty(exchange);
    else answerJson(exchange, 200, response.data);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const w = exchange.writer();
    w.text(FAILING);
    w.raw(clip(this.name));
    w.text(': ');
    w.raw(clip(message));
    answerError(exchange, httpStatusOf(code), ERR_INVOKE_OUTPUT_BINDING, w.view());
  }
}

/** Enters the binding routes of Dapr's HTTP API. */
export function installDaprHttpBinding(router: Router): void {
  router.http('binding', 'InvokeBinding', 'POST', '/v1.0/bindings/{}', (): Handler => new Invoke());
  router.http('binding', 'InvokeBinding', 'PUT', '/v1.0/bindings/{}', (): Handler => new Invoke());
}
