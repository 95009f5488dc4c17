// State as Dapr's HTTP API spells it: /v1.0/state/….

import {
  addMetadataHeaders,
  answerEmpty,
  answerJson,
  overrideMetadata,
  QueryMetadata,
} from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import {
  Consistency,
  DeleteStateRequest,
  Etag,
  GetStateRequest,
  GetStateResponse,
  SaveStateRequest,
  StateItem,
  StateOptions,
} from '../../wire/gen/layotto/bridge/v1/state';
import { literal, View, viewLen } from '../../wire/view';
import { queryUnsupported } from './dapr-http-errors';
import { StateHandler } from './dapr-http-handler';
import { BulkGet, Transaction } from './dapr-http-many';
import { Method } from './grpc';
import { consistencyOf, readOptions, StateBody } from './json-items';
import { DELETE, DELETE_STATE, GET_STATE, SAVE_STATE } from './operations';

const ETAG = literal('etag');
const IF_MATCH = literal('if-match');

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
    exchange.reads(request.key, request.consistency == Consistency.STRONG || request.metadata.size > 0);
    request.encode(exchange.requestWriter());
    exchange.operation = GET_STATE;
    exchange.idempotent = true;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new GetStateResponse();
    if (!response.decode(payload)) {
      this.unreadable(exchange);
      return;
    }
    if (viewLen(response.data) == 0) {
      answerEmpty(exchange);
      return;
    }
    if (viewLen(response.etag) > 0) exchange.reply.headers.add(ETAG, response.etag);
    addMetadataHeaders(exchange, response.metadata);
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
    if (body.array('', '[]state.SetRequest')) while (body.nextItem()) items.push(body.item());
    if (!this.checkBody(exchange, body, '')) return Step.Answer;
    if (items.length == 0) {
      answerEmpty(exchange);
      return Step.Answer;
    }
    const query = new QueryMetadata(exchange);
    if (!this.checkQuery(exchange, query, items.length)) return Step.Answer;
    for (let i = 0; i < items.length; i++) {
      if (this.refusedKey(exchange, items[i].key)) return Step.Answer;
      overrideMetadata(items[i].metadata, query);
      exchange.writes(items[i].key);
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
    exchange.writes(request.key);
    request.encode(exchange.requestWriter());
    exchange.operation = DELETE_STATE;
    return Step.Ask;
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
  router.http('state', 'GetState', 'GET', '/v1.0/state/{}/{}', (): Handler => new Get());
  router.http('state', 'DeleteState', 'DELETE', '/v1.0/state/{}/{}', (): Handler => new Delete());
  for (let i = 0; i < 2; i++) {
    const method = i == 0 ? 'POST' : 'PUT';
    router.http('state', 'SaveState', method, '/v1.0/state/{}', (): Handler => new Save());
    router.http('state', 'GetBulkState', method, '/v1.0/state/{}/bulk', (): Handler => new BulkGet());
    router.http(
      'state',
      'ExecuteStateTransaction',
      method,
      '/v1.0/state/{}/transaction',
      (): Handler => new Transaction(),
    );
    router.http('state', 'QueryState', method, '/v1.0-alpha1/state/{}/query', (): Handler => new Query());
  }
}
