// Publishing as Dapr's HTTP API spells it: /v1.0/publish/{pubsub}/{topic}, where
// the topic may have slashes in it, and /v1.0/publish/bulk/{pubsub}/{topic}.

import { Code } from '../../dialects/codes';
import { answerEmpty, answerJson, overrideMetadata, QueryMetadata } from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { jsonString } from '../../wire/json-writer';
import { StringMap } from '../../wire/string-map';
import {
  BulkPublishEventRequest,
  BulkPublishEventResponse,
  FailedEntry,
  PublishEventRequest,
  PublishEventResponse,
} from '../../wire/gen/layotto/bridge/v1/pubsub';
import { literal, View, viewLen } from '../../wire/view';
import { BulkBody } from './bulk-body';
import { ERR_PUBSUB_PUBLISH_MESSAGE, failHttp, refuseHttp } from './dapr-errors';
import { DAPR_SPELLING } from './dapr-grpc';
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

const CONTENT_TYPE = literal('content-type');

abstract class HttpPublish extends Handler {
  protected readonly target: Target = new Target();

  /** Takes broker and topic from the path; false when the call is answered. */
  protected enter(exchange: Exchange): bool {
    const params = exchange.params;
    const name = params.length > 0 ? params[0] : 0;
    const topic = params.length > 1 ? params[1] : 0;
    this.target.note(exchange, name, topic);
    const refusal = check(exchange, name, topic);
    if (refusal == Refusal.None) return true;
    refuseHttp(exchange, refusal, DAPR_SPELLING.refusal(exchange, refusal, name), this.target.name);
    return false;
  }

  /** What the call says beside its body: its tracestate, which metadata override, and the query's metadata. */
  protected addMetadata(exchange: Exchange, metadata: StringMap): void {
    const tracestate = exchange.headers.get(TRACESTATE);
    if (viewLen(tracestate) > 0) metadata.append(EVENT_TRACESTATE, tracestate);
    overrideMetadata(metadata, new QueryMetadata(exchange));
  }

  onDenied(exchange: Exchange, message: View): bool {
    failHttp(exchange, Code.PERMISSION_DENIED, message, this.target.name);
    return true;
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    failHttp(exchange, code, this.target.failure(exchange, code, message), this.target.name);
  }
}

/** POST or PUT /v1.0/publish/{pubsub}/{topic} */
class Publish extends HttpPublish {
  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const request = new PublishEventRequest();
    request.pubsubName = exchange.params[0];
    request.topic = exchange.params[1];
    request.data = exchange.body;
    request.dataContentType = exchange.headers.get(CONTENT_TYPE);
    request.envelope = ENVELOPE_DAPR;
    this.addMetadata(exchange, request.metadata);
    request.encode(exchange.requestWriter());
    exchange.operation = PUBLISH_EVENT;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new PublishEventResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addPublished(exchange, response.messageId, response.persisted);
    answerEmpty(exchange);
  }
}

/** POST or PUT /v1.0/publish/bulk/{pubsub}/{topic} */
class PublishBulk extends HttpPublish {
  start(exchange: Exchange): Step {
    if (!this.enter(exchange)) return Step.Answer;
    const request = new BulkPublishEventRequest();
    request.pubsubName = exchange.params[0];
    request.topic = exchange.params[1];
    request.envelope = ENVELOPE_DAPR;
    const body = new BulkBody(exchange);
    body.readEntries(request.entries);
    const problem = body.finish();
    if (problem.length > 0) {
      const w = exchange.writer();
      w.text('error when unmarshaling the request for topic ');
      w.raw(this.target.topic);
      w.text(' pubsub ');
      w.raw(this.target.name);
      w.text(': ');
      w.text(problem);
      failHttp(exchange, Code.INVALID_ARGUMENT, w.view(), this.target.name);
      return Step.Answer;
    }
    this.addMetadata(exchange, request.metadata);
    request.encode(exchange.requestWriter());
    exchange.operation = BULK_PUBLISH_EVENT;
    return Step.Ask;
  }

  onResult(exchange: Exchange, payload: View): void {
    const response = new BulkPublishEventResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addAllPublished(exchange, response.publishedEntries);
    if (response.failedEntries.length == 0) answerEmpty(exchange);
    else answerFailed(exchange, response.failedEntries);
  }
}

function answerFailed(exchange: Exchange, entries: Array<FailedEntry>): void {
  const w = exchange.writer();
  w.text('{"failedEntries":[');
  for (let i = 0; i < entries.length; i++) {
    w.text(i > 0 ? ',{"entryId":' : '{"entryId":');
    jsonString(w, entries[i].entryId);
    w.text(',"error":');
    jsonString(w, entries[i].error);
    w.text('}');
  }
  w.text('],"errorCode":');
  jsonString(w, ERR_PUBSUB_PUBLISH_MESSAGE);
  w.text('}');
  answerJson(exchange, 500, w.view());
}

/** Enters the publishing routes of Dapr's HTTP API. A broker called "bulk" is met by topics of one segment, as in Dapr. */
export function installDaprHttpPubSub(router: Router): void {
  const bulk = '/v1.0/publish/bulk/{}/{*}';
  router.http('pubsub', 'BulkPublishEvent', 'POST', bulk, (): Handler => new PublishBulk());
  router.http('pubsub', 'BulkPublishEvent', 'PUT', bulk, (): Handler => new PublishBulk());
  const alpha = '/v1.0-alpha1/publish/bulk/{}/{*}';
  router.http('pubsub', 'BulkPublishEvent', 'POST', alpha, (): Handler => new PublishBulk());
  router.http('pubsub', 'BulkPublishEvent', 'PUT', alpha, (): Handler => new PublishBulk());
  const publish = '/v1.0/publish/{}/{*}';
  router.http('pubsub', 'PublishEvent', 'POST', publish, (): Handler => new Publish());
  router.http('pubsub', 'PublishEvent', 'PUT', publish, (): Handler => new Publish());
  // What lacks a topic, or a broker too, is told so.
  router.http('pubsub', 'PublishEvent', 'POST', '/v1.0/publish/{}', (): Handler => new Publish());
  router.http('pubsub', 'PublishEvent', 'POST', '/v1.0/publish', (): Handler => new Publish());
}
