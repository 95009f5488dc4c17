// Configuration as Dapr's gRPC API spells it (dapr.proto.runtime.v1.Dapr).

import { Code } from '../../dialects/codes';
import { DaprDetails } from '../../dialects/dapr-details';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { addDetails } from '../../dialects/grpc';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { Refusal, refusalCode } from '../../dialects/store-refusal';
import * as dapr from '../../wire/gen/dapr/proto/runtime/v1/configuration';
import {
  GetConfigurationRequest,
  GetConfigurationResponse,
  UnsubscribeConfigurationRequest,
} from '../../wire/gen/layotto/bridge/v1/configuration';
import { View } from '../../wire/view';
import {
  ERR_CONFIGURATION_GET,
  ERR_CONFIGURATION_UNSUBSCRIBE,
  getFailure,
  refusalReason,
  refusalText,
  shownKeys,
} from './dapr-texts';
import { checkStore, GET_CONFIGURATION, UNSUBSCRIBE_CONFIGURATION } from './operations';

class GetConfiguration extends Handler {
  /** For error texts. */
  private store: View = 0;
  private keys: View = 0;

  start(exchange: Exchange): Step {
    const asked = new dapr.GetConfigurationRequest();
    const decoded = asked.decode(exchange.body);
    const refusal = decoded ? checkStore(exchange, asked.storeName) : Refusal.Malformed;
    if (refusal != Refusal.None) {
      const text = refusalText(exchange, refusal, clip(asked.storeName));
      fail(exchange, refusalCode(refusal), text, refusalReason(refusal));
      return Step.Answer;
    }
    this.store = exchange.keep(clip(asked.storeName));
    this.keys = shownKeys(exchange, asked.keys);
    const request = new GetConfigurationRequest();
    request.storeName = asked.storeName;
    request.keys = asked.keys;
    request.metadata = asked.metadata;
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
    const answer = new dapr.GetConfigurationResponse();
    for (let i = 0; i < response.items.length; i++) {
      const item = response.items[i];
      const value = new dapr.ConfigurationItem();
      value.value = item.content;
      value.version = item.version;
      value.metadata = item.metadata;
      const entry = new dapr.ConfigurationEntry();
      entry.key = item.key;
      entry.value = value;
      answer.items.push(entry);
    }
    const w = exchange.writer();
    answer.encode(w);
    exchange.answerMessage(w.view());
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const text = getFailure(exchange, this.keys, this.store, clip(message));
    fail(exchange, code, text, ERR_CONFIGURATION_GET);
  }
}

class UnsubscribeConfiguration extends Handler {
  start(exchange: Exchange): Step {
    const request = new UnsubscribeConfigurationRequest();
    const decoded = request.decode(exchange.body);
    const refusal = decoded ? checkStore(exchange, request.storeName) : Refusal.Malformed;
    if (refusal != Refusal.None) {
      const text = refusalText(exchange, refusal, clip(request.storeName));
      fail(exchange, refusalCode(refusal), text, refusalReason(refusal));
      return Step.Answer;
    }
    exchange.operation = UNSUBSCRIBE_CONFIGURATION;
    return Step.Ask;
  }

  /** Dapr's message is the bridge's. */
  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    fail(exchange, code, clip(message), ERR_CONFIGURATION_UNSUBSCRIBE);
  }
}

function fail(exchange: Exchange, code: i32, text: View, reason: View): void {
  const details = new DaprDetails(code, text);
  details.errorInfo(reason);
  addDetails(exchange, details.encode(exchange));
  exchange.reply.grpcError(code, text);
}

const P = 'configuration';
const NOT_CONFIGURED = 'configuration stores not configured';
const SERVICE = '/dapr.proto.runtime.v1.Dapr/';

/** Enters Dapr's configuration methods. */
export function installDaprConfiguration(router: Router): void {
  const get = (): Handler => new GetConfiguration();
  router.grpc(P, 'GetConfiguration', SERVICE + 'GetConfiguration', get);
  router.grpc(P, 'GetConfiguration', SERVICE + 'GetConfigurationAlpha1', get);
  const unsubscribe = (): Handler => new UnsubscribeConfiguration();
  router.grpc(P, 'UnsubscribeConfiguration', SERVICE + 'UnsubscribeConfiguration', unsubscribe);
  router.grpc(P, 'UnsubscribeConfiguration', SERVICE + 'UnsubscribeConfigurationAlpha1', unsubscribe);
  const name = 'SubscribeConfiguration';
  router.stream(P, name, SERVICE + name, Code.FAILED_PRECONDITION, NOT_CONFIGURED);
  router.stream(P, name, SERVICE + name + 'Alpha1', Code.FAILED_PRECONDITION, NOT_CONFIGURED);
}
