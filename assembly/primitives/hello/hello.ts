// The greeting of Layotto's gRPC API (spec.proto.runtime.v1.Runtime), which
// neither of Dapr's has.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { SayHelloRequest } from '../../wire/gen/layotto/bridge/v1/hello';
import { literal, View } from '../../wire/view';

const SAY_HELLO = bridgeMethod('layotto.bridge.v1.Hellos/SayHello');
const HELLO = literal('hello');
const NO_INSTANCE = literal('no instance found');
const MALFORMED = literal('the request message is not valid protobuf');

class SayHello extends Handler {
  start(exchange: Exchange): Step {
    const request = new SayHelloRequest();
    if (!request.decode(exchange.body)) {
      exchange.reply.grpcError(Code.INVALID_ARGUMENT, MALFORMED);
      return Step.Answer;
    }
    if (exchange.findComponent(HELLO, request.serviceName) === null) {
      exchange.reply.grpcError(Code.INVALID_ARGUMENT, NO_INSTANCE);
      return Step.Answer;
    }
    exchange.operation = SAY_HELLO;
    exchange.idempotent = true;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.grpcError(code, clip(message));
  }
}

/** Enters the greeting. */
export function installHello(router: Router): void {
  router.grpc('hello', 'SayHello', '/spec.proto.runtime.v1.Runtime/SayHello', (): Handler => new SayHello());
}
