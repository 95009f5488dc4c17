// Publishing as Layotto's gRPC API spells it: PublishEvent of
// spec.proto.runtime.v1.Runtime, and the delay queue of its extension.

import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import {
  PublishDelayMessageRequest,
  PublishDelayMessageResponse,
} from '../../wire/gen/layotto/bridge/v1/pubsub';
import { View } from '../../wire/view';
import { PublishEvent, Spelling } from './grpc';
import { addPublished, check, PUBLISH_DELAY_MESSAGE, Refusal } from './operations';

class LayottoSpelling extends Spelling {
  get dapr(): bool {
    return false;
  }

  protected get notFound(): string {
    return ' not found';
  }

  refuse(exchange: Exchange, refusal: Refusal, text: View, component: View): void {
    exchange.reply.grpcError(Code.INVALID_ARGUMENT, text);
  }

  fail(exchange: Exchange, code: i32, text: View, component: View): void {
    exchange.reply.grpcError(code, text);
  }
}

const SPELLING = new LayottoSpelling();

/** Never sent twice. What is not served by the broker itself, the bridge keeps until it is time. */
class PublishDelayMessage extends Handler {
  start(exchange: Exchange): Step {
    const request = new PublishDelayMessageRequest();
    const refusal = request.decode(exchange.body)
      ? check(exchange, request.componentName, request.topic)
      : Refusal.Malformed;
    if (refusal == Refusal.None) {
      exchange.operation = PUBLISH_DELAY_MESSAGE;
      return Step.Ask;
    }
    const text = refused(exchange, refusal, request.componentName);
    SPELLING.refuse(exchange, refusal, text, 0);
    return Step.Answer;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new PublishDelayMessageResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addPublished(exchange, response.messageId, response.persisted);
    // That is no part of the API's message.
    response.persisted = false;
    const w = exchange.writer();
    response.encode(w);
    exchange.answerMessage(w.view());
  }

  /** The reason of a failure stands alone in Layotto's extensions. */
  onFailure(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.grpcError(code, clip(message));
  }
}

function refused(exchange: Exchange, refusal: Refusal, name: View): View {
  if (refusal != Refusal.NotFound && refusal != Refusal.NoName)
    return SPELLING.refusal(exchange, refusal, name);
  const w = exchange.writer();
  w.text('component not found. kind: delay_queue , name: ');
  w.raw(clip(name));
  return w.view();
}

/** Enters Layotto's publishing methods. */
export function installLayottoPubSub(router: Router): void {
  const publish = '/spec.proto.runtime.v1.Runtime/PublishEvent';
  router.grpc('pubsub', 'PublishEvent', publish, (): Handler => new PublishEvent(SPELLING));
  const delay = '/spec.proto.extension.v1.delay_queue.DelayQueue/PublishDelayMessage';
  router.grpc('pubsub', 'PublishDelayMessage', delay, (): Handler => new PublishDelayMessage());
}
