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
import { Refusal } from '../../dialects/store-refusal';
import { ByteWriter } from '../../wire/bytes';
import {
  CallAppRequest,
  CallAppResponse,
  ConfigurationItem,
  GetConfigurationRequest,
  GetConfigurationResponse,
  UnsubscribeConfigurationRequest,
  UnsubscribeConfigurationResponse,
} from '../../wire/gen/layotto/bridge/v1/configuration';
import { jsonString, jsonStringMap } from '../../wire/json-writer';
import { literal, View, viewLen } from '../../wire/view';
import {
  ERR_APP_CHANNEL_NIL,
  ERR_CONFIGURATION_GET,
  ERR_CONFIGURATION_SUBSCRIBE,
  getFailure,
  refusalReason,
  refusalText,
  shownKeys,
} from './dapr-texts';
import { CALL_APP, checkStore, GET_CONFIGURATION, UNSUBSCRIBE_CONFIGURATION } from './operations';

const KEY = literal('key');
const OK = literal('{"ok":true}');
const NO_APP = literal(
  'app channel is not initialized: changes are told by calls to the app, so set app.port',
);

abstract class ConfigurationHandler extends Handler {
  protected store: View = 0;

  /** Takes the store from the path; false when the call is answered. */
  protected enter(exchange: Exchange): bool {
    const store = exchange.params[0];
    this.store = clip(store);
    const refusal = checkStore(exchange, store);
    if (refusal == Refusal.None) return true;
    const status = refusal == Refusal.NotConfigured ? 500 : 400;
    answerError(exchange, status, refusalReason(refusal), refusalText(exchange, refusal, this.store));
    return false;
  }
}

/** GET /v1.0/configuration/{store} */
class Get extends ConfigurationHandler {
  private keys: View = 0;

  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const store = exchange.params[0];
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

/** GET /v1.0/configuration/{store}/subscribe: changes are told by calls to the app. */
class Subscribe extends ConfigurationHandler {
  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    if (exchange.configuration.appPort == 0) {
      answerError(exchange, 500, ERR_APP_CHANNEL_NIL, NO_APP);
      return Step.Answer;
    }
    const request = new CallAppRequest();
    request.storeName = exchange.params[0];
    request.keys = queryValues(exchange, KEY);
    overrideMetadata(request.metadata, new QueryMetadata(exchange));
    request.encode(exchange.requestWriter());
    exchange.operation = CALL_APP;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new CallAppResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    const w = exchange.writer();
    w.text('{"id":');
    jsonString(w, response.id);
    w.text('}');
    answerJson(exchange, 200, w.view());
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const w = exchange.writer();
    w.text('failed to subscribe to Configuration store ');
    w.raw(this.store);
    w.text(': ');
    w.raw(clip(message));
    answerError(exchange, httpStatusOf(code), ERR_CONFIGURATION_SUBSCRIBE, w.view());
  }
}

/** GET /v1.0/configuration/{store}/{id}/unsubscribe */
class Unsubscribe extends ConfigurationHandler {
  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const request = new UnsubscribeConfigurationRequest();
    request.storeName = exchange.params[0];
    request.id = exchange.params[1];
    request.encode(exchange.requestWriter());
    exchange.operation = UNSUBSCRIBE_CONFIGURATION;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new UnsubscribeConfigurationResponse();
    if (!response.decode(payload)) this.fail(exchange, 500, UNREADABLE);
    else if (response.ok) answerJson(exchange, 200, OK);
    else this.fail(exchange, 500, response.message);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    this.fail(exchange, httpStatusOf(code), message);
  }

  /** As in Dapr, without an errorCode. */
  private fail(exchange: Exchange, status: i32, reason: View): void {
    const text = exchange.writer();
    text.text('failed to unsubscribe to configuration request ');
    text.raw(clip(exchange.params[1]));
    text.text(': ');
    text.raw(clip(reason));
    const w = exchange.writer();
    w.text('{"message":');
    jsonString(w, text.view());
    w.text('}');
    answerJson(exchange, status, w.view());
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
  installAt(router, '/v1.0/configuration/{}');
  installAt(router, '/v1.0-alpha1/configuration/{}');
}

function installAt(router: Router, path: string): void {
  const p = 'configuration';
  router.http(p, 'GetConfiguration', 'GET', path, (): Handler => new Get());
  router.http(p, 'SubscribeConfiguration', 'GET', path + '/subscribe', (): Handler => new Subscribe());
  const unsubscribe = (): Handler => new Unsubscribe();
  router.http(p, 'UnsubscribeConfiguration', 'GET', path + '/{}/unsubscribe', unsubscribe);
}
