// The JSON door: POST /v1.0-layotto/{primitive}/{Method} with a request in
// proto3's JSON. The filter checks that it is JSON and that its component is
// there; the bridge turns it into the message, and the answer into JSON.

import { literal, View, viewEquals, viewLen, viewPtr } from '../wire/view';
import { JsonKind, JsonReader } from '../wire/json';
import { Code, codeName, httpStatusOf } from './codes';
import { answerError, answerJson } from './dapr-http';
import { clip, Exchange, Step } from './exchange';
import { JSON_OPERATIONS } from './gen/json-operations';
import { Handler } from './handler';
import { JsonOperation } from './json-operation';
import { Route, Router } from './router';

export const JSON_DOOR = 'json';
const GET_DOCUMENT = literal('layotto.bridge.v1.Json/GetOpenApi');

/** Says why a call was refused or failed: "ERR_" and the code's name. */
export function refuseJson(exchange: Exchange, code: i32, message: View): void {
  const name = exchange.writer();
  name.text('ERR_');
  name.text(codeName(code));
  answerError(exchange, httpStatusOf(code), name.view(), message);
}

function operationOf(route: Route): JsonOperation {
  for (let i = 0; i < JSON_OPERATIONS.length; i++) {
    const operation = JSON_OPERATIONS[i];
    if (operation.primitive == route.primitive && operation.name == route.operation) return operation;
  }
  // Routes are made of these operations.
  return unreachable();
}

class JsonCall extends Handler {
  private reader: JsonReader = new JsonReader();
  private component: View = 0;
  private found: i32 = 0;

  start(exchange: Exchange): Step {
    const operation = operationOf(exchange.route!);
    const problem = this.read(exchange, operation);
    if (problem.length > 0) return refuse(exchange, problem);
    if (viewLen(operation.component) > 0 && !this.check(exchange, operation)) return Step.Answer;
    exchange.operation = operation.method;
    exchange.idempotent = operation.idempotent;
    if (!operation.idempotent) exchange.writesAny();
    return Step.Ask;
  }

  /** Reads the whole body, and finds the component in it. @returns what is wrong, or an empty string */
  private read(exchange: Exchange, operation: JsonOperation): string {
    const reader = this.reader;
    reader.reset(exchange.body);
    if (viewLen(exchange.body) == 0) return 'expected a JSON object, found no body';
    if (reader.peek() == JsonKind.OBJECT) {
      const nested = viewLen(operation.parent) > 0;
      reader.enterObject();
      while (reader.nextKey()) {
        if (!nested) this.member(exchange, operation);
        else if (isCalled(reader.key, operation.parent, operation.parentCamel))
          this.inner(exchange, operation);
        else reader.skip();
      }
    } else {
      reader.skip();
      if (reader.ok) return 'expected a JSON object, found another value';
    }
    let problem = reader.ok ? '' : reader.errorText();
    if (problem.length == 0 && !isBlank(reader.rest()))
      problem = 'expected one JSON object, found more behind it';
    reader.reset(0);
    return this.found > 1 ? 'the component is named more than once' : problem;
  }

  private inner(exchange: Exchange, operation: JsonOperation): void {
    const reader = this.reader;
    if (reader.peek() != JsonKind.OBJECT) {
      reader.skip();
      return;
    }
    reader.enterObject();
    while (reader.nextKey()) this.member(exchange, operation);
  }

  private member(exchange: Exchange, operation: JsonOperation): void {
    const reader = this.reader;
    if (!isCalled(reader.key, operation.component, operation.componentCamel)) {
      reader.skip();
      return;
    }
    this.found++;
    if (reader.peek() == JsonKind.STRING) this.component = exchange.keep(reader.string());
    else reader.skip();
  }

  private check(exchange: Exchange, operation: JsonOperation): bool {
    const text = exchange.writer();
    if (viewLen(this.component) == 0) {
      text.text('expected the name of a component in ');
      if (viewLen(operation.parent) > 0) {
        text.raw(operation.parentCamel);
        text.text('.');
      }
      text.raw(operation.componentCamel);
      text.text(', found none');
    } else if (exchange.findComponent(operation.primitiveName, this.component) === null) {
      text.raw(operation.primitiveName);
      text.text(' component ');
      text.raw(clip(this.component));
      text.text(' is not found');
    } else return true;
    refuseJson(exchange, Code.INVALID_ARGUMENT, text.view());
    return false;
  }

  onResult(exchange: Exchange, payload: View): void {
    answerJson(exchange, 200, payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    refuseJson(exchange, code, clip(message));
  }
}

/** Nothing but JSON's white space. */
function isBlank(text: View): bool {
  const start = viewPtr(text);
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const c = load<u8>(start + i);
    if (c != 0x20 && c != 0x0a && c != 0x0d && c != 0x09) return false;
  }
  return true;
}

function isCalled(key: View, name: View, camel: View): bool {
  return viewEquals(key, camel) || viewEquals(key, name);
}

function refuse(exchange: Exchange, problem: string): Step {
  const text = exchange.writer();
  text.text(problem);
  refuseJson(exchange, Code.INVALID_ARGUMENT, text.view());
  return Step.Answer;
}

/** GET /v1.0-layotto/openapi.json */
class OpenApi extends Handler {
  start(exchange: Exchange): Step {
    exchange.operation = GET_DOCUMENT;
    exchange.idempotent = true;
    // The request has no fields, whatever came along.
    exchange.body = 0;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    answerJson(exchange, 200, payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    refuseJson(exchange, code, clip(message));
  }
}

/** Enters the JSON routes of every primitive that the router serves, and the document of all HTTP routes. */
export function installJson(router: Router): void {
  for (let i = 0; i < JSON_OPERATIONS.length; i++) {
    const operation = JSON_OPERATIONS[i];
    if (!router.serves(operation.primitive)) continue;
    router.http(
      operation.primitive,
      operation.name,
      'POST',
      operation.path,
      (): Handler => new JsonCall(),
      JSON_DOOR,
    );
  }
  router.http(
    'openapi',
    'GetOpenApi',
    'GET',
    '/v1.0-layotto/openapi.json',
    (): Handler => new OpenApi(),
    JSON_DOOR,
  );
}
