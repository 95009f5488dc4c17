// State as Dapr's HTTP API spells it: /v1.0/state/….

import { answerEmpty, answerError, answerJson, QueryMetadata } from '../../dialects/dapr-http';
import { Code, httpStatusOf } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import {
  BulkStateItem,
  DeleteStateRequest,
  Etag,
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetBulkStateResponse,
  GetStateRequest,
  GetStateResponse,
  SaveStateRequest,
  StateItem,
  StateOptions,
  TransactionalStateOperation,
} from '../../wire/gen/layotto/bridge/v1/state';
import { JsonKind, JsonReader } from '../../wire/json';
import { jsonString } from '../../wire/json-writer';
import { ByteWriter } from '../../wire/bytes';
import { literal, View, viewEquals, viewLen, viewOf } from '../../wire/view';
import { ERR_MALFORMED_REQUEST, ERR_NOT_SUPPORTED_STATE_OPERATION, failureReason } from './dapr-grpc';
import { illegalKey, notTransactional, queryUnsupported, storeRefused } from './dapr-http-errors';
import { failureText, Method, refusalText } from './grpc';
import { consistencyOf, overrideMetadata, readOptions, StateBody } from './json-items';
import {
  checkStore,
  checkTransactional,
  DELETE,
  DELETE_STATE,
  EXECUTE_STATE_TRANSACTION,
  GET_BULK_STATE,
  GET_STATE,
  isIllegalKey,
  Refusal,
  SAVE_STATE,
  UPSERT,
} from './operations';

const ETAG = literal('etag');
const IF_MATCH = literal('if-match');
const METADATA_HEADER = literal('metadata.');
const KEY_REQUIRED = literal('"key" is a required field');
const MALFORMED_ANSWER = literal('the components bridge sent an answer that cannot be read');
const NOT_JSON = literal('the stored value is not JSON: read it with GET /v1.0/state/{store}/{key}');

const KEYS = literal('keys');
const PARALLELISM = literal('parallelism');
const METADATA = literal('metadata');
const OPERATIONS = literal('operations');
const OPERATION = literal('operation');
const REQUEST = literal('request');

abstract class StateHandler extends Handler {
  private key: View = 0;
  protected store: View = 0;

  constructor(private readonly method: Method) {
    super();
  }

  /** Takes the store from the path; false when the call is answered. */
  protected enter(exchange: Exchange): bool {
    this.store = exchange.params[0];
    const refusal =
      this.method == Method.Transaction
        ? checkTransactional(exchange.configuration, this.store)
        : checkStore(exchange.configuration, this.store);
    if (refusal == Refusal.None) return true;
    if (refusal == Refusal.NotTransactional) notTransactional(exchange, this.store);
    else storeRefused(exchange, refusal, this.store);
    return false;
  }

  /** Takes the key from the path; false when the call is answered. */
  protected enterKey(exchange: Exchange): bool {
    if (!this.enter(exchange)) return false;
    this.key = exchange.params[1];
    return !this.refusedKey(exchange, this.key);
  }

  protected refusedKey(exchange: Exchange, key: View): bool {
    if (!isIllegalKey(key)) return false;
    const text = refusalText(exchange, Refusal.IllegalKey, this.store, key);
    illegalKey(exchange, this.store, this.method == Method.Transaction ? 0 : key, text);
    return true;
  }

  protected malformed(exchange: Exchange, message: View): Step {
    answerError(exchange, 400, ERR_MALFORMED_REQUEST, message);
    return Step.Answer;
  }

  protected malformedText(exchange: Exchange, prefix: string, problem: string): Step {
    const w = exchange.writer();
    w.text(prefix);
    w.text(problem);
    return this.malformed(exchange, w.view());
  }

  /** An option with an unknown value fails like the operation it belongs to. */
  protected badOption(exchange: Exchange, option: string, value: View): Step {
    const w = exchange.writer();
    w.text('unrecognized ' + option + " model '");
    w.raw(clip(value));
    w.text("'");
    this.onFailure(exchange, Code.INTERNAL, w.view());
    return Step.Answer;
  }

  /** Checks what a body said about its items; false when the call is answered. */
  protected checkBody(exchange: Exchange, body: StateBody, prefix: string): bool {
    const problem = body.finish();
    if (problem.length == 0) return this.checkItems(exchange, body);
    this.malformedText(exchange, prefix, problem);
    return false;
  }

  /** Checks keys and options of a body's items; false when the call is answered. */
  protected checkItems(exchange: Exchange, body: StateBody): bool {
    if (body.keyMissing) this.malformed(exchange, KEY_REQUIRED);
    else if (body.badOption.length > 0) this.badOption(exchange, body.badOption, body.badOptionValue);
    else return true;
    return false;
  }

  onResult(exchange: Exchange, payload: View): void {
    answerEmpty(exchange);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const text = failureText(exchange, this.method, this.store, clip(this.key), message);
    // A stale ETag in a transaction is 500 in Dapr, everywhere else 409.
    const status = this.method == Method.Transaction && code == Code.ABORTED ? 500 : httpStatusOf(code);
    answerError(exchange, status, failureReason(this.method), text);
  }
}

/** GET /v1.0/state/{store}/{key} */
class Get extends StateHandler {
  constructor() {
    super(Method.Get);
  }

  start(exchange: Exchange): Step {
    if (!this.enterKey(exchange)) return Step.Answer;
    const query = new QueryMetadata(exchange);
    const request = new GetStateRequest();
    request.storeName = this.store;
    request.key = exchange.params[1];
    request.consistency = consistencyOf(query.consistency);
    overrideMetadata(request.metadata, query);
    request.encode(exchange.requestWriter());
    exchange.operation = GET_STATE;
    exchange.idempotent = true;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new GetStateResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, MALFORMED_ANSWER);
      return;
    }
    if (viewLen(response.data) == 0) {
      answerEmpty(exchange);
      return;
    }
    if (viewLen(response.etag) > 0) exchange.reply.headers.add(ETAG, response.etag);
    for (let i = 0; i < response.metadata.size; i++) {
      const name = exchange.writer();
      name.raw(METADATA_HEADER);
      name.raw(response.metadata.keys[i]);
      exchange.reply.headers.add(name.view(), response.metadata.values[i]);
    }
    answerJson(exchange, 200, response.data);
  }
}

/** POST or PUT /v1.0/state/{store} */
class Save extends StateHandler {
  constructor() {
    super(Method.Save);
  }

  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const body = new StateBody(exchange, 'SetRequest');
    const items: Array<StateItem> = [];
    if (body.array('', '[]state.SetRequest')) while (body.reader.nextItem()) items.push(body.item());
    if (!this.checkBody(exchange, body, '')) return Step.Answer;
    if (items.length == 0) {
      answerEmpty(exchange);
      return Step.Answer;
    }
    const query = new QueryMetadata(exchange);
    for (let i = 0; i < items.length; i++) {
      if (this.refusedKey(exchange, items[i].key)) return Step.Answer;
      overrideMetadata(items[i].metadata, query);
    }
    const request = new SaveStateRequest();
    request.storeName = this.store;
    request.states = items;
    request.encode(exchange.requestWriter());
    exchange.operation = SAVE_STATE;
    return Step.Ask;
  }
}

/** DELETE /v1.0/state/{store}/{key} */
class Delete extends StateHandler {
  constructor() {
    super(Method.Delete);
  }

  start(exchange: Exchange): Step {
    if (!this.enterKey(exchange)) return Step.Answer;
    const query = new QueryMetadata(exchange);
    const request = new DeleteStateRequest();
    request.storeName = this.store;
    request.key = exchange.params[1];
    const options = new StateOptions();
    const bad = readOptions(query.concurrency, query.consistency, options);
    if (bad.length > 0) {
      return this.badOption(exchange, bad, bad == 'concurrency' ? query.concurrency : query.consistency);
    }
    request.options = options;
    const match = exchange.headers.get(IF_MATCH);
    if (match != 0) {
      const etag = new Etag();
      etag.value = match;
      request.etag = etag;
    }
    overrideMetadata(request.metadata, query);
    request.encode(exchange.requestWriter());
    exchange.operation = DELETE_STATE;
    return Step.Ask;
  }
}

const DESERIALIZING = 'failed deserializing HTTP body: ';

/** POST or PUT /v1.0/state/{store}/bulk */
class BulkGet extends StateHandler {
  constructor() {
    super(Method.BulkGet);
  }

  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const body = new StateBody(exchange, 'BulkGetRequest');
    const request = new GetBulkStateRequest();
    request.storeName = this.store;
    if (body.object('', 'http.BulkGetRequest')) {
      while (body.reader.nextKey()) {
        if (body.at(KEYS)) {
          if (body.array('BulkGetRequest.keys', '[]string')) {
            while (body.reader.nextItem()) request.keys.push(body.text('BulkGetRequest.keys'));
          }
        } else if (body.at(PARALLELISM) && body.reader.peek() == JsonKind.NUMBER) {
          request.parallelism = <i32>body.reader.integer();
        } else if (body.at(METADATA)) body.metadata(request.metadata);
        else body.reader.skip();
      }
    }
    if (!this.checkBody(exchange, body, DESERIALIZING)) return Step.Answer;
    for (let i = 0; i < request.keys.length; i++) {
      if (this.refusedKey(exchange, request.keys[i])) return Step.Answer;
    }
    if (request.keys.length == 0) {
      const empty = exchange.writer();
      empty.text('[]');
      answerJson(exchange, 200, empty.view());
      return Step.Answer;
    }
    overrideMetadata(request.metadata, new QueryMetadata(exchange));
    request.encode(exchange.requestWriter());
    exchange.operation = GET_BULK_STATE;
    exchange.idempotent = true;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new GetBulkStateResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, MALFORMED_ANSWER);
      return;
    }
    const w = exchange.writer();
    w.text('[');
    for (let i = 0; i < response.items.length; i++) {
      if (i > 0) w.text(',');
      writeBulkItem(w, response.items[i]);
    }
    w.text(']');
    answerJson(exchange, 200, w.view());
  }
}

/** An absent key is its name alone. */
function writeBulkItem(w: ByteWriter, item: BulkStateItem): void {
  w.text('{"key":');
  jsonString(w, item.key);
  let error = item.error;
  if (viewLen(item.data) > 0) {
    if (isJson(item.data)) {
      w.text(',"data":');
      w.raw(item.data);
    } else if (viewLen(error) == 0) error = NOT_JSON;
  }
  if (viewLen(item.etag) > 0) {
    w.text(',"etag":');
    jsonString(w, item.etag);
  }
  if (viewLen(error) > 0) {
    w.text(',"error":');
    jsonString(w, error);
  }
  if (item.metadata.size > 0) {
    w.text(',"metadata":{');
    for (let i = 0; i < item.metadata.size; i++) {
      if (i > 0) w.text(',');
      jsonString(w, item.metadata.keys[i]);
      w.text(':');
      jsonString(w, item.metadata.values[i]);
    }
    w.text('}');
  }
  w.text('}');
}

/** Values saved over gRPC may be any bytes; inside a JSON array only JSON can stand. */
function isJson(data: View): bool {
  const reader = new JsonReader();
  reader.reset(data);
  reader.raw();
  return reader.ok && viewLen(reader.rest()) == 0;
}

/** POST or PUT /v1.0/state/{store}/transaction */
class Transaction extends StateHandler {
  constructor() {
    super(Method.Transaction);
  }

  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const body = new StateBody(exchange, 'TransactionalRequest');
    const request = new ExecuteStateTransactionRequest();
    request.storeName = this.store;
    if (body.object('', 'state.TransactionalRequest')) {
      while (body.reader.nextKey()) {
        if (body.at(OPERATIONS)) {
          if (body.array('TransactionalRequest.operations', '[]state.Operation')) {
            while (body.reader.nextItem()) request.operations.push(this.operation(exchange, body));
          }
        } else if (body.at(METADATA)) body.metadata(request.metadata);
        else body.reader.skip();
      }
    }
    const problem = body.finish();
    if (problem.length > 0) return this.malformedText(exchange, DESERIALIZING, problem);
    const query = new QueryMetadata(exchange);
    for (let i = 0; i < request.operations.length; i++) {
      const operation = request.operations[i];
      if (!viewEquals(operation.operationType, UPSERT) && !viewEquals(operation.operationType, DELETE)) {
        const text = refusalText(exchange, Refusal.UnknownOperation, this.store, operation.operationType);
        answerError(exchange, 400, ERR_NOT_SUPPORTED_STATE_OPERATION, text);
        return Step.Answer;
      }
      const item = operation.request!;
      if (this.refusedKey(exchange, item.key)) return Step.Answer;
      overrideMetadata(item.metadata, query);
    }
    if (!this.checkItems(exchange, body)) return Step.Answer;
    if (request.operations.length == 0) {
      answerEmpty(exchange);
      return Step.Answer;
    }
    overrideMetadata(request.metadata, query);
    request.encode(exchange.requestWriter());
    exchange.operation = EXECUTE_STATE_TRANSACTION;
    return Step.Ask;
  }

  private operation(exchange: Exchange, body: StateBody): TransactionalStateOperation {
    const operation = new TransactionalStateOperation();
    let item: StateItem | null = null;
    if (body.object('TransactionalRequest.operations', 'state.Operation')) {
      while (body.reader.nextKey()) {
        if (body.at(OPERATION)) operation.operationType = body.text('Operation.operation');
        else if (body.at(REQUEST)) item = body.item();
        else body.reader.skip();
      }
    }
    if (item === null) {
      body.keyMissing = true;
      item = new StateItem();
    }
    operation.request = item;
    return operation;
  }
}

/** POST or PUT /v1.0-alpha1/state/{store}/query: no store here can. */
class Query extends StateHandler {
  constructor() {
    super(Method.Get);
  }

  start(exchange: Exchange): Step {
    if (this.enter(exchange)) queryUnsupported(exchange, this.store);
    return Step.Answer;
  }
}

/** Enters the state routes of Dapr's HTTP API. */
export function installDaprHttpState(router: Router): void {
  router.http('GET', '/v1.0/state/{}/{}', (): Handler => new Get());
  router.http('DELETE', '/v1.0/state/{}/{}', (): Handler => new Delete());
  for (let i = 0; i < 2; i++) {
    const method = i == 0 ? 'POST' : 'PUT';
    router.http(method, '/v1.0/state/{}', (): Handler => new Save());
    router.http(method, '/v1.0/state/{}/bulk', (): Handler => new BulkGet());
    router.http(method, '/v1.0/state/{}/transaction', (): Handler => new Transaction());
    router.http(method, '/v1.0-alpha1/state/{}/query', (): Handler => new Query());
  }
}
