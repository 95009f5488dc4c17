// Output bindings behind a gRPC door. Layotto's and Dapr's messages are the
// bridge's, so a request is checked and forwarded as it came.

import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { InvokeBindingRequest } from '../../wire/gen/layotto/bridge/v1/binding';
import { literal, View, viewLen } from '../../wire/view';
import { INVOKE_BINDING, refusal } from './operations';

const MALFORMED = literal('the request message is not valid protobuf');

/** InvokeBinding; the doors differ in the words around a failure and in what they add to an answer. */
export abstract class InvokeBinding extends Handler {
  /** For error texts. */
  protected name: View = 0;

  start(exchange: Exchange): Step {
    const request = new InvokeBindingRequest();
    if (!request.decode(exchange.body)) {
      this.refuse(exchange, Code.INVALID_ARGUMENT, MALFORMED);
      return Step.Answer;
    }
    // The request is given back once sent: an invocation is never repeated.
    this.name = exchange.keep(clip(request.name));
    const reason = refusal(exchange, request.name, request.operation);
    if (viewLen(reason) > 0) {
      this.onFailure(exchange, Code.INTERNAL, reason);
      return Step.Answer;
    }
    exchange.operation = INVOKE_BINDING;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const w = exchange.writer();
    w.text(this.failing);
    w.raw(this.name);
    w.text(': ');
    w.raw(clip(message));
    this.refuse(exchange, code, w.view());
  }

  /** What the text of a failure begins with. */
  protected abstract get failing(): string;

  protected abstract refuse(exchange: Exchange, code: i32, text: View): void;
}
