// Configuration as Layotto's gRPC API spells it (spec.proto.runtime.v1.Runtime).
// Its messages are the bridge's, so a request is checked and forwarded as it came.

import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { Refusal, refusalCode } from '../../dialects/store-refusal';
import {
  DeleteConfigurationRequest,
  GetConfigurationRequest,
  SaveConfigurationRequest,
} from '../../wire/gen/layotto/bridge/v1/configuration';
import { View } from '../../wire/view';
import { checkStore, DELETE_CONFIGURATION, GET_CONFIGURATION, SAVE_CONFIGURATION } from './operations';

abstract class ConfigurationHandler extends Handler {
  protected read(exchange: Exchange, decoded: bool, store: View, operation: View): Step {
    const refusal = decoded ? checkStore(exchange, store) : Refusal.Malformed;
    if (refusal != Refusal.None) {
      exchange.reply.grpcError(refusalCode(refusal), this.refusal(exchange, refusal, clip(store)));
      return Step.Answer;
    }
    exchange.operation = operation;
    return Step.Ask;
  }

  /** Layotto does not tell a store that is not there from none at all. */
  private refusal(exchange: Exchange, refusal: Refusal, store: View): View {
    const w = exchange.writer();
    if (refusal == Refusal.Malformed) w.text('the request message is not valid protobuf');
    else {
      w.text('configure store [');
      w.raw(store);
      w.text("] don't support now");
    }
    return w.view();
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.grpcError(code, clip(message));
  }
}

class GetConfiguration extends ConfigurationHandler {
  start(exchange: Exchange): Step {
    const request = new GetConfigurationRequest();
    const decoded = request.decode(exchange.body);
    const step = this.read(exchange, decoded, request.storeName, GET_CONFIGURATION);
    exchange.idempotent = true;
    if (step == Step.Ask) exchange.readsLive(exchange.body);
    return step;
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const w = exchange.writer();
    w.text('get configuration failed with error: ');
    w.raw(clip(message));
    exchange.reply.grpcError(code, w.view());
  }
}

class SaveConfiguration extends ConfigurationHandler {
  start(exchange: Exchange): Step {
    const request = new SaveConfigurationRequest();
    const decoded = request.decode(exchange.body);
    const step = this.read(exchange, decoded, request.storeName, SAVE_CONFIGURATION);
    if (step == Step.Ask) exchange.writesLive();
    return step;
  }
}

class DeleteConfiguration extends ConfigurationHandler {
  start(exchange: Exchange): Step {
    const request = new DeleteConfigurationRequest();
    const decoded = request.decode(exchange.body);
    const step = this.read(exchange, decoded, request.storeName, DELETE_CONFIGURATION);
    if (step == Step.Ask) exchange.writesLive();
    return step;
  }
}

const P = 'configuration';
const SERVICE = '/spec.proto.runtime.v1.Runtime/';

/** Enters Layotto's configuration methods. */
export function installLayottoConfiguration(router: Router): void {
  router.grpc(P, 'GetConfiguration', SERVICE + 'GetConfiguration', (): Handler => new GetConfiguration());
  router.grpc(P, 'SaveConfiguration', SERVICE + 'SaveConfiguration', (): Handler => new SaveConfiguration());
  router.grpc(
    P,
    'DeleteConfiguration',
    SERVICE + 'DeleteConfiguration',
    (): Handler => new DeleteConfiguration(),
  );
  router.stream(
    P,
    'SubscribeConfiguration',
    SERVICE + 'SubscribeConfiguration',
    Code.INVALID_ARGUMENT,
    'no configuration store is configured; add a component of a type that starts with configuration.',
  );
}
