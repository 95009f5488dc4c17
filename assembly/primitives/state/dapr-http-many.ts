// Calls with many keys in Dapr's HTTP API: bulk get and transactions.

import {
  answerEmpty,
  answerError,
  answerJson,
  overrideMetadata,
  QueryMetadata,
} from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import {
  BulkStateItem,
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetBulkStateResponse,
  StateItem,
  TransactionalStateOperation,
} from '../../wire/gen/layotto/bridge/v1/state';
import { JsonKind, JsonReader } from '../../wire/json';
import { jsonString, jsonStringMap } from '../../wire/json-writer';
import { ByteWriter } from '../../wire/bytes';
import { literal, View, viewEquals, viewLen } from '../../wire/view';
import { ERR_NOT_SUPPORTED_STATE_OPERATION } from './dapr-grpc';
import { Method, refusalText } from './grpc';
import { StateBody } from './json-items';
import { DELETE, EXECUTE_STATE_TRANSACTION, GET_BULK_STATE, Refusal, UPSERT } from './operations';

import { StateHandler } from './dapr-http-handler';

const KEYS = literal('keys');
const PARALLELISM = literal('parallelism');
const METADATA = literal('metadata');
const OPERATIONS = literal('operations');
const OPERATION = literal('operation');
const REQUEST = literal('request');
const NOT_JSON = literal('the stored value is not JSON: read it with GET /v1.0/state/{store}/{key}');

const DESERIALIZING = 'failed deserializing HTTP body: ';

/** POST or PUT /v1.0/state/{store}/bulk */
export class BulkGet extends StateHandler {
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
            while (body.nextItem()) request.keys.push(body.text('BulkGetRequest.keys'));
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
      this.unreadable(exchange);
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
    w.text(',"metadata":');
    jsonStringMap(w, item.metadata);
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
export class Transaction extends StateHandler {
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
            while (body.nextItem()) request.operations.push(this.operation(exchange, body));
          }
        } else if (body.at(METADATA)) body.metadata(request.metadata);
        else body.reader.skip();
      }
    }
    const problem = body.finish();
    if (problem.length > 0) return this.malformedText(exchange, DESERIALIZING, problem);
    const query = new QueryMetadata(exchange);
    if (!this.checkQuery(exchange, query, request.operations.length)) return Step.Answer;
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
      exchange.writes(item.key);
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
