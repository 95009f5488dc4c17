// How much the bridge logs.

import { bridgeMethod } from '../../dialects/bridge-method';
import { httpStatusOf } from '../../dialects/codes';
import { answerJson } from '../../dialects/dapr-http';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import {
  GetLogLevelsResponse,
  SetLogLevelRequest,
  SetLogLevelResponse,
} from '../../wire/gen/layotto/bridge/v1/actuator';
import { JsonKind, JsonReader } from '../../wire/json';
import { jsonString, JsonWriter } from '../../wire/json-writer';
import { literal, View, viewEquals, viewLen } from '../../wire/view';

const GET_LOG_LEVELS = bridgeMethod('layotto.bridge.v1.Actuator/GetLogLevels');
const SET_LOG_LEVEL = bridgeMethod('layotto.bridge.v1.Actuator/SetLogLevel');
const LEVELS = literal('levels');
const LOGGERS = literal('loggers');
const COMPONENT = literal('component');
const LEVEL = literal('level');
const NOTHING = literal('{}');
const NO_LOGGER = literal('no logger is called so; GET /actuator/logger lists them');
const NO_BODY = literal('expected a body such as {"component":"statestore","level":"debug"}, found none');
const NO_LEVEL = literal('expected "level": trace, debug, info, warn, error or fatal; found none');
const NO_OBJECT = literal('expected a JSON object such as {"component":"statestore","level":"debug"}');

const NAMES: StaticArray<View> = [
  literal('trace'),
  literal('debug'),
  literal('info'),
  literal('warn'),
  literal('error'),
  literal('fatal'),
];

/** Says what is wrong. */
function answerProblem(exchange: Exchange, status: i32, key: string, text: View): void {
  const w = exchange.writer();
  w.text('{"');
  w.text(key);
  w.text('":');
  jsonString(w, text);
  w.text('}');
  answerJson(exchange, status, w.view());
}

/** GET /actuator/logger: the levels there are, and each logger's. */
export class GetLoggers extends Handler {
  start(exchange: Exchange): Step {
    exchange.operation = GET_LOG_LEVELS;
    exchange.idempotent = true;
    // The request has no fields, whatever came along.
    exchange.body = 0;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new GetLogLevelsResponse();
    if (!response.decode(payload)) {
      answerProblem(exchange, 500, 'error', UNREADABLE);
      return;
    }
    const body = exchange.writer();
    const w = new JsonWriter(body);
    w.beginObject();
    w.key(LEVELS);
    w.beginArray();
    for (let i = 0; i < NAMES.length; i++) w.string(NAMES[i]);
    w.endArray();
    w.key(LOGGERS);
    w.beginObject();
    for (let i = 0; i < response.loggers.length; i++) {
      w.key(response.loggers[i].logger);
      w.string(response.loggers[i].level);
    }
    w.endObject();
    w.endObject();
    answerJson(exchange, 200, body.view());
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    answerProblem(exchange, httpStatusOf(code), 'error', clip(message));
  }
}

/** POST /actuator/logger with {"component": …, "level": …}; without a component it is meant for all. */
export class SetLogger extends Handler {
  start(exchange: Exchange): Step {
    const request = new SetLogLevelRequest();
    const problem = this.read(exchange, request);
    if (problem != 0) {
      // Layotto's status for a body that it cannot use.
      answerProblem(exchange, 500, 'error', problem);
      return Step.Answer;
    }
    exchange.operation = SET_LOG_LEVEL;
    exchange.idempotent = true;
    request.encode(exchange.requestWriter());
    return Step.Ask;
  }

  /** @returns what is wrong with the body, or no bytes */
  private read(exchange: Exchange, request: SetLogLevelRequest): View {
    if (viewLen(exchange.body) == 0) return NO_BODY;
    const reader = new JsonReader();
    reader.reset(exchange.body);
    if (reader.peek() != JsonKind.OBJECT || !reader.enterObject()) return NO_OBJECT;
    while (reader.nextKey()) {
      const text = reader.peek() == JsonKind.STRING;
      if (text && viewEquals(reader.key, COMPONENT)) request.component = exchange.keep(reader.string());
      else if (text && viewEquals(reader.key, LEVEL)) request.level = exchange.keep(reader.string());
      else reader.skip();
    }
    const ok = reader.ok;
    reader.reset(0);
    if (!ok) return NO_OBJECT;
    return viewLen(request.level) == 0 ? NO_LEVEL : 0;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new SetLogLevelResponse();
    if (!response.decode(payload)) answerProblem(exchange, 500, 'error', UNREADABLE);
    else if (response.loggers.length == 0) answerProblem(exchange, 200, 'warning', NO_LOGGER);
    else answerJson(exchange, 200, NOTHING);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    answerProblem(exchange, httpStatusOf(code), 'error', clip(message));
  }
}
