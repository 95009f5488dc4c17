// New settings for a component while the runtime runs, as Layotto's Lifecycle
// service takes them. Which components there are, and whether the settings are
// good, the bridge knows; it is the one that has to use them.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Code } from '../../dialects/codes';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { DynamicConfiguration } from '../../wire/gen/layotto/bridge/v1/lifecycle';
import { literal, View, viewLen } from '../../wire/view';

const APPLY_CONFIGURATION = bridgeMethod('layotto.bridge.v1.Lifecycle/ApplyConfiguration');
const MALFORMED = literal('the request message is not valid protobuf');
const NO_KIND = literal('field kind is not configured');
const NO_NAME = literal('field name is not configured');
const NO_METADATA = literal('field metadata is not configured');

class ApplyConfiguration extends Handler {
  start(exchange: Exchange): Step {
    const request = new DynamicConfiguration();
    const problem = request.decode(exchange.body) ? this.problem(request) : MALFORMED;
    if (problem != 0) {
      exchange.reply.grpcError(Code.INVALID_ARGUMENT, problem);
      return Step.Answer;
    }
    exchange.operation = APPLY_CONFIGURATION;
    return Step.Ask;
  }

  private problem(request: DynamicConfiguration): View {
    const settings = request.componentConfig;
    if (settings === null || viewLen(settings.kind) == 0) return NO_KIND;
    if (viewLen(settings.name) == 0) return NO_NAME;
    return settings.metadata.size == 0 ? NO_METADATA : 0;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.grpcError(code, message);
  }
}

/** Enters Layotto's Lifecycle service. */
export function installLifecycle(router: Router): void {
  const path = '/spec.proto.runtime.v1.Lifecycle/ApplyConfiguration';
  router.grpc('lifecycle', 'ApplyConfiguration', path, (): Handler => new ApplyConfiguration());
}
