// Publishing behind a gRPC door. Layotto's and Dapr's messages are the bridge's:
// a request is checked and goes on as it came, with whose envelope it wants
// behind it.

import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { ByteWriter } from '../../wire/bytes';
import { StringMap } from '../../wire/string-map';
import {
  BulkPublishEventRequest,
  BulkPublishEventResponse,
  PublishEventRequest,
  PublishEventResponse,
} from '../../wire/gen/layotto/bridge/v1/pubsub';
import { View, viewLen } from '../../wire/view';
import {
  addAllPublished,
  addPublished,
  BULK_PUBLISH_EVENT,
  check,
  ENVELOPE_DAPR,
  EVENT_TRACESTATE,
  PUBLISH_EVENT,
  Refusal,
  Target,
  TRACESTATE,
} from './operations';

/** Tags of `metadata` in the two requests, and of `envelope` in both. */
const PUBLISH_METADATA: u32 = (5 << 3) | 2;
const BULK_METADATA: u32 = (4 << 3) | 2;
const ENVELOPE: u32 = 15 << 3;

/** How one API says what is wrong. */
export abstract class Spelling {
  /** Whether Dapr's envelope goes around events. */
  abstract get dapr(): bool;
  /** What stands behind the name of a broker that is not there. */
  protected abstract get notFound(): string;
  /** Ends the call. @param component for error details */
  abstract refuse(exchange: Exchange, refusal: Refusal, text: View, component: View): void;
  abstract fail(exchange: Exchange, code: i32, text: View, component: View): void;

  denied(exchange: Exchange, message: View, component: View): bool {
    return false;
  }

  /** The text of a refusal. */
  refusal(exchange: Exchange, refusal: Refusal, name: View): View {
    const w = exchange.writer();
    if (refusal == Refusal.Malformed) w.text('the request message is not valid protobuf');
    else if (refusal == Refusal.NoName) w.text('pubsub name is empty');
    else if (refusal == Refusal.NoTopic) {
      w.text('topic is empty in pubsub ');
      w.raw(clip(name));
    } else {
      w.text('pubsub ');
      w.raw(clip(name));
      w.text(this.notFound);
    }
    return w.view();
  }
}

abstract class GrpcPublish extends Handler {
  protected readonly target: Target = new Target();

  constructor(protected readonly spelling: Spelling) {
    super();
  }

  /** Answers with the refusal, or asks the bridge for the operation. */
  protected enter(
    exchange: Exchange,
    refusal: Refusal,
    name: View,
    topic: View,
    operation: View,
    metadata: u32,
  ): Step {
    this.target.note(exchange, name, topic);
    if (refusal != Refusal.None) {
      const text = this.spelling.refusal(exchange, refusal, name);
      this.spelling.refuse(exchange, refusal, text, this.target.name);
      return Step.Answer;
    }
    if (this.spelling.dapr) wantDaprEnvelope(exchange, metadata);
    exchange.operation = operation;
    return Step.Ask;
  }

  onDenied(exchange: Exchange, message: View): bool {
    return this.spelling.denied(exchange, message, this.target.name);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    const text = this.target.failure(exchange, code, message);
    this.spelling.fail(exchange, code, text, this.target.name);
  }
}

/** The caller's message as it came, between the tracestate of its call (which its own metadata override) and the envelope. */
function wantDaprEnvelope(exchange: Exchange, metadata: u32): void {
  const w = exchange.requestWriter();
  const tracestate = exchange.headers.get(TRACESTATE);
  if (viewLen(tracestate) > 0) {
    const map = new StringMap();
    map.append(EVENT_TRACESTATE, tracestate);
    map.write(w, metadata);
  }
  w.raw(exchange.body);
  w.varint(ENVELOPE);
  w.varint(ENVELOPE_DAPR);
}

/** Never sent twice: it would be there twice. */
export class PublishEvent extends GrpcPublish {
  start(exchange: Exchange): Step {
    const request = new PublishEventRequest();
    const refusal = request.decode(exchange.body)
      ? check(exchange, request.pubsubName, request.topic)
      : Refusal.Malformed;
    const name = request.pubsubName;
    return this.enter(exchange, refusal, name, request.topic, PUBLISH_EVENT, PUBLISH_METADATA);
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new PublishEventResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addPublished(exchange, response.messageId, response.persisted);
    // Both APIs answer with an empty message.
    exchange.answerMessage(0);
  }
}

export class BulkPublishEvent extends GrpcPublish {
  start(exchange: Exchange): Step {
    const request = new BulkPublishEventRequest();
    const refusal = request.decode(exchange.body)
      ? check(exchange, request.pubsubName, request.topic)
      : Refusal.Malformed;
    const name = request.pubsubName;
    return this.enter(exchange, refusal, name, request.topic, BULK_PUBLISH_EVENT, BULK_METADATA);
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new BulkPublishEventResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    const failed = response.failedEntries;
    if (response.code != Code.OK && failed.length > 0) {
      this.onFailure(exchange, response.code, failed[0].error);
      return;
    }
    addAllPublished(exchange, response.publishedEntries);
    // What was published is no part of the API's message.
    response.publishedEntries = [];
    const w: ByteWriter = exchange.writer();
    response.encode(w);
    exchange.answerMessage(w.view());
  }
}
