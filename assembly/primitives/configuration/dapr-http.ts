// Configuration as Dapr's HTTP API spells it: /v1.0/configuration/….

import { Code, httpStatusOf } from '../../dialects/codes';
import {
  answerEmpty,
  answerError,
  answerJson,
  overrideMetadata,
  QueryMetadata,
  queryValues,
} from '../../dialects/dapr-http';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { ByteWriter } from '../../wire/bytes';
import {
  ConfigurationItem,
  GetConfigurationRequest,
  GetConfigurationResponse,
} from '../../wire/gen/layotto/bridge/v1/configuration';
import { jsonString, jsonStringMap } from '../../wire/json-writer';
import { literal, View, viewLen } from '../../wire/view';
import { ERR_CONFIGURATION_GET, getFailure, refusalReason, refusalText, shownKeys } from './dapr-texts';
import { checkStore, GET_CONFIGURATION, Refusal } from './operations';

const KEY = literal('key');

/** GET /v1.0/configuration/{store} */
class Get extends Handler {
  private store: View = 0;
  private keys: View = 0;

  start(exchange: Exchange): Step {
    const store = exchange.params[0];
    this.store = clip(store);
    const refusal = checkStore(exchange, store);
    if (refusal != Refusal.None) {
      const status = refusal == Refusal.NotConfigured ? 500 : 400;
      answerError(exchange, status, refusalReason(refusal), refusalText(exchange, refusal, this.store));
      return Step.Answer;
    }
    const request = new GetConfigurationRequest();
    request.storeName = store;
    request.keys = queryValues(exchange, KEY);
    this.keys = shownKeys(exchange, request.keys);
    overrideMetadata(request.metadata, new QueryMetadata(exchange));
    request.encode(exchange.requestWriter());
    exchange.operation = GET_CONFIGURATION;
    exchange.idempotent = true;
    exchange.readsLive(exchange.builtMessage);
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new GetConfigurationResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    if (response.items.length == 0) {
      answerEmpty(exchange);
      return;
    }
    const w = exchange.writer();
    w.text('{');
    for (let i = 0; i < response.items.length; i++) {
      if (i > 0) w.text(',');
      jsonString(w, response.items[i].key);
      w.text(':');
      writeItem(w, response.items[i]);
    }
    w.text('}');
    answerJson(exchange, 200, w.view());
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const text = getFailure(exchange, this.keys, this.store, clip(message));
    answerError(exchange, httpStatusOf(code), ERR_CONFIGURATION_GET, text);
  }
}

/** An item as JSON, without what is empty. */
function writeItem(w: ByteWriter, item: ConfigurationItem): void {
  w.text('{"value":');
  jsonString(w, item.content);
  if (viewLen(item.version) > 0) {
    w.text(',"version":');
    jsonString(w, item.version);
  }
  if (item.metadata.size > 0) {
    w.text(',"metadata":');
    jsonStringMap(w, item.metadata);
  }
  w.text('}');
}

/** Enters the configuration routes of Dapr's HTTP API. */
export function installDaprHttpConfiguration(router: Router): void {
  const get = (): Handler => new Get();
  router.http('configuration', 'GetConfiguration', 'GET', '/v1.0/configuration/{}', get);
  router.http('configuration', 'GetConfiguration', 'GET', '/v1.0-alpha1/configuration/{}', get);
}
