// Secrets as Dapr's HTTP API spells them: /v1.0/secrets/….

import { Code, httpStatusOf } from '../../dialects/codes';
import {
  answerEmpty,
  answerError,
  answerJson,
  overrideMetadata,
  QueryMetadata,
} from '../../dialects/dapr-http';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { Refusal } from '../../dialects/store-refusal';
import {
  GetBulkSecretRequest,
  GetBulkSecretResponse,
  GetSecretRequest,
  GetSecretResponse,
} from '../../wire/gen/layotto/bridge/v1/secret';
import { jsonString, jsonStringMap } from '../../wire/json-writer';
import { literal, View } from '../../wire/view';
import { DAPR_SPELLING } from './dapr-grpc';
import { checkStore, failureCode, GET_BULK_SECRET, GET_SECRET } from './operations';

const ERR_SECRET_STORES_NOT_CONFIGURED = literal('ERR_SECRET_STORES_NOT_CONFIGURED');
const ERR_SECRET_STORE_NOT_FOUND = literal('ERR_SECRET_STORE_NOT_FOUND');
const ERR_PERMISSION_DENIED = literal('ERR_PERMISSION_DENIED');
const ERR_SECRET_GET = literal('ERR_SECRET_GET');

abstract class SecretHandler extends Handler {
  protected store: View = 0;

  /** Takes the store from the path; false when the call is answered. */
  protected enter(exchange: Exchange): bool {
    const store = exchange.params[0];
    this.store = clip(store);
    const refusal = checkStore(exchange, store);
    if (refusal == Refusal.None) return true;
    const text = DAPR_SPELLING.refusal(exchange, refusal, this.store);
    if (refusal == Refusal.NotConfigured) {
      answerError(exchange, 500, ERR_SECRET_STORES_NOT_CONFIGURED, text);
    } else answerError(exchange, 401, ERR_SECRET_STORE_NOT_FOUND, text);
    return false;
  }

  protected ask(exchange: Exchange, operation: View): Step {
    exchange.operation = operation;
    exchange.idempotent = true;
    return Step.Ask;
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    if (code == Code.PERMISSION_DENIED) answerError(exchange, 403, ERR_PERMISSION_DENIED, clip(message));
    else {
      const text = this.failureText(exchange, clip(message));
      answerError(exchange, httpStatusOf(failureCode(code)), ERR_SECRET_GET, text);
    }
  }

  protected abstract failureText(exchange: Exchange, reason: View): View;
}

/** GET /v1.0/secrets/{store}/{name} */
class Get extends SecretHandler {
  private key: View = 0;

  start(exchange: Exchange): Step {
    exchange.asksFor(exchange.params[1]);
    if (!this.enter(exchange)) return Step.Answer;
    const request = new GetSecretRequest();
    request.storeName = exchange.params[0];
    request.key = exchange.params[1];
    this.key = clip(request.key);
    overrideMetadata(request.metadata, new QueryMetadata(exchange));
    request.encode(exchange.requestWriter());
    return this.ask(exchange, GET_SECRET);
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new GetSecretResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    if (response.data.size == 0) {
      answerEmpty(exchange);
      return;
    }
    const w = exchange.writer();
    jsonStringMap(w, response.data);
    answerJson(exchange, 200, w.view());
  }

  protected failureText(exchange: Exchange, reason: View): View {
    return DAPR_SPELLING.get(exchange, this.store, this.key, reason);
  }
}

/** GET /v1.0/secrets/{store}/bulk */
class GetBulk extends SecretHandler {
  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const request = new GetBulkSecretRequest();
    request.storeName = exchange.params[0];
    overrideMetadata(request.metadata, new QueryMetadata(exchange));
    request.encode(exchange.requestWriter());
    return this.ask(exchange, GET_BULK_SECRET);
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new GetBulkSecretResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    const w = exchange.writer();
    w.text('{');
    for (let i = 0; i < response.data.length; i++) {
      const entry = response.data[i];
      const value = entry.value;
      if (i > 0) w.text(',');
      jsonString(w, entry.key);
      w.text(':');
      if (value === null) w.text('{}');
      else jsonStringMap(w, value.secrets);
    }
    w.text('}');
    answerJson(exchange, 200, w.view());
  }

  protected failureText(exchange: Exchange, reason: View): View {
    return DAPR_SPELLING.getBulk(exchange, this.store, reason);
  }
}

/** Enters the secret routes of Dapr's HTTP API; a secret of the name "bulk" cannot be asked for alone, as in Dapr. */
export function installDaprHttpSecret(router: Router): void {
  router.http('secret', 'GetBulkSecret', 'GET', '/v1.0/secrets/{}/bulk', (): Handler => new GetBulk());
  router.http('secret', 'GetSecret', 'GET', '/v1.0/secrets/{}/{}', (): Handler => new Get());
}
