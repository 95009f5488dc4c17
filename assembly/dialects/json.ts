// The JSON door: the canonical operations as proto3 JSON over HTTP,
// POST /v1.0-layotto/{primitive}/{Method}. The filter finds out what a call is
// about; the bridge turns JSON into the operation's message and back.

import { bridgeMethod } from './bridge-method';
import { codeName, Code, httpStatusOf } from './codes';
import { answerError, answerJson } from './dapr-http';
import { Door } from './door';
import { clip, Exchange, Step } from './exchange';
import { Handler } from './handler';
import { AnswerReader, JsonOperation, JsonPath } from './json-operation';
import { JsonRequest } from './json-request';
import { Route, Router, splitPath } from './router';
import { unservedHttp, unservedText } from './unserved';
import { literal, View, viewEquals, viewLen } from '../wire/view';

/** What paths behind this door begin with. */
export const JSON_PREFIX = literal('/v1.0-layotto/');

const GET = literal('GET');
const POST = literal('POST');
const ALLOW = literal('allow');
const OPENAPI_PATH = literal('/v1.0-layotto/openapi.json');
const EMPTY_OBJECT = literal('{}');
const OPENAPI = bridgeMethod('layotto.bridge.v1.Json/OpenApi');
const ASYNCAPI_PATH = literal('/v1.0-layotto/asyncapi.json');
const ASYNCAPI = bridgeMethod('layotto.bridge.v1.Json/AsyncApi');

/** Answers with an error: the code's name, and what happened. @param status HTTP status, if not the code's own */
function answerCode(exchange: Exchange, code: i32, message: View, status: i32 = 0): void {
  answerError(exchange, status == 0 ? httpStatusOf(code) : status, nameOf(exchange, code), message);
}

function nameOf(exchange: Exchange, code: i32): View {
  const w = exchange.writer();
  w.text(codeName(code));
  return w.view();
}

abstract class JsonHandler extends Handler {
  onResult(exchange: Exchange, payload: View): void {
    answerJson(exchange, 200, payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    answerCode(exchange, code, message);
  }
}

/** Any operation of the table: the body goes to the bridge as it came. */
class Perform extends JsonHandler {
  constructor(
    private readonly operation: JsonOperation,
    private readonly reader: AnswerReader | null,
  ) {
    super();
  }

  start(exchange: Exchange): Step {
    const operation = this.operation;
    const request = new JsonRequest(exchange);
    const component = operation.component;
    const good = request.check(component) && (component === null || this.find(exchange, request, component));
    if (!good) {
      const text = exchange.writer();
      text.text(request.problem);
      if (viewLen(request.subject) > 0) {
        text.text(' "');
        text.raw(clip(request.subject));
        text.text('"');
      }
      answerCode(exchange, request.code, text.view());
    } else {
      exchange.operation = operation.method;
      exchange.idempotent = operation.idempotent;
    }
    request.free();
    return good ? Step.Ask : Step.Answer;
  }

  onResult(exchange: Exchange, payload: View): void {
    const reader = this.reader;
    if (reader !== null) reader.read(exchange, payload);
    super.onResult(exchange, payload);
  }

  /** Finds the component and the keys written, or says what is wrong. */
  private find(exchange: Exchange, request: JsonRequest, path: JsonPath): bool {
    const operation = this.operation;
    const primitive = operation.primitive;
    if (exchange.findComponent(operation.primitiveName, request.component) === null) {
      if (!exchange.configuration.serves(operation.primitiveName)) {
        return request.refuse(Code.FAILED_PRECONDITION, 'no ' + primitive + ' component is configured');
      }
      if (viewLen(request.component) == 0) {
        return request.refuse(
          Code.INVALID_ARGUMENT,
          path.text + ' is missing: it names the ' + primitive + ' component',
        );
      }
      request.subject = request.component;
      return request.refuse(Code.INVALID_ARGUMENT, path.text + ': there is no ' + primitive + ' component');
    }
    if (operation.writesAll) exchange.writesLive();
    const writes = operation.writes;
    if (writes !== null && exchange.component!.nearCacheMs > 0) request.noteWrites(writes);
    return true;
  }
}

/** A description that the bridge holds: of every HTTP door, or of the topics. */
class Document extends JsonHandler {
  constructor(private readonly method: View) {
    super();
  }

  start(exchange: Exchange): Step {
    exchange.requestWriter().raw(EMPTY_OBJECT);
    exchange.operation = this.method;
    exchange.idempotent = true;
    return Step.Ask;
  }
}

/** Its operations are those of the table whose primitive the module serves through a gRPC door. */
export class JsonDoor extends Door {
  /** By place in the table; null for what the module does not serve. */
  private readonly routes: Array<Route | null> = [];
  private readonly readers: Array<AnswerReader | null> = [];
  private readonly openApi: Route;
  private readonly asyncApi: Route;
  private readonly unknownRoute: Route;

  constructor(
    router: Router,
    private readonly operations: StaticArray<JsonOperation>,
  ) {
    super();
    this.openApi = router.json('metadata', 'GetOpenApi');
    this.asyncApi = router.json('metadata', 'GetAsyncApi');
    this.unknownRoute = router.unknownJson;
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i];
      const served = router.serves(operation.primitive);
      this.routes.push(served ? router.json(operation.primitive, operation.name) : null);
      this.readers.push(router.jsonAnswerReader(operation.primitive));
    }
  }

  route(exchange: Exchange): bool {
    const openApi = viewEquals(exchange.path, OPENAPI_PATH);
    if (openApi || viewEquals(exchange.path, ASYNCAPI_PATH)) {
      exchange.route = openApi ? this.openApi : this.asyncApi;
      exchange.handler = new Document(openApi ? OPENAPI : ASYNCAPI);
      return this.checkMethod(exchange, GET);
    }
    for (let i = 0; i < this.operations.length; i++) {
      const operation = this.operations[i];
      if (!viewEquals(exchange.path, operation.path)) continue;
      const route = this.routes[i];
      if (route === null) {
        this.refusePath(exchange, Code.UNIMPLEMENTED, 'this module does not serve ');
        return false;
      }
      exchange.route = route;
      exchange.handler = new Perform(operation, this.readers[i]);
      return this.checkMethod(exchange, POST);
    }
    const segments = splitPath(exchange.path);
    const missing = segments.length > 1 ? unservedHttp(segments[1]) : '';
    if (missing.length > 0) answerCode(exchange, Code.UNIMPLEMENTED, unservedText(exchange, missing));
    else this.refusePath(exchange, Code.NOT_FOUND, 'there is no operation ');
    return false;
  }

  private refusePath(exchange: Exchange, code: i32, problem: string): void {
    const text = exchange.writer();
    text.text(problem);
    text.raw(clip(exchange.path));
    text.text('; GET ');
    text.raw(OPENAPI_PATH);
    text.text(' tells what there is');
    answerCode(exchange, code, text.view());
  }

  private checkMethod(exchange: Exchange, method: View): bool {
    if (viewEquals(exchange.method, method)) return true;
    const text = exchange.writer();
    text.text('the method must be ');
    text.raw(method);
    exchange.reply.headers.add(ALLOW, method);
    answerCode(exchange, Code.UNIMPLEMENTED, text.view(), 405);
    return false;
  }

  protected get unknown(): Route {
    return this.unknownRoute;
  }

  open(exchange: Exchange, body: View): bool {
    exchange.body = body;
    return true;
  }

  refuse(exchange: Exchange, code: i32, message: View): void {
    answerCode(exchange, code, message);
  }

  errorCode(exchange: Exchange, code: i32): View {
    return nameOf(exchange, code);
  }

  tooLarge(exchange: Exchange): void {
    const text = exchange.writer();
    text.text('the request body is too large: limits.message is ');
    text.decimal(exchange.configuration.messageBytes);
    text.text(' bytes');
    answerCode(exchange, Code.RESOURCE_EXHAUSTED, text.view(), 413);
  }

  bodyLimit(messageBytes: i32): u32 {
    return <u32>messageBytes;
  }
}
