// Dapr's words for what goes wrong with publishing: reasons and codes, and the
// rich errors of both its APIs.

import { Code, httpStatusOf } from '../../dialects/codes';
import { DaprDetails } from '../../dialects/dapr-details';
import { answerError } from '../../dialects/dapr-http';
import { Exchange } from '../../dialects/exchange';
import { addDetails } from '../../dialects/grpc';
import { jsonString } from '../../wire/json-writer';
import { literal, View } from '../../wire/view';
import { BAD_ENTRIES, BAD_METADATA, NO_EVENT, Refusal, refusedWith } from './operations';

export const ERR_PUBSUB_PUBLISH_MESSAGE = literal('ERR_PUBSUB_PUBLISH_MESSAGE');
const RESOURCE = literal('pubsub');

/** One kind of failure. */
class Kind {
  readonly reason: View;
  readonly errorCode: View;

  constructor(
    reason: string,
    errorCode: string,
    /** HTTP status; 0: the one of the gRPC code. */
    readonly status: i32,
    /** Whether the details name the broker. */
    readonly named: bool = true,
  ) {
    this.reason = literal(reason);
    this.errorCode = literal(errorCode);
  }
}

const NOT_FOUND = new Kind('DAPR_PUBSUB_NOT_FOUND', 'ERR_PUBSUB_NOT_FOUND', 404, false);
const NO_NAME = new Kind('DAPR_PUBSUB_NAME_EMPTY', 'ERR_PUBSUB_EMPTY', 404);
const NO_TOPIC = new Kind('DAPR_PUBSUB_TOPIC_NAME_EMPTY', 'ERR_TOPIC_NAME_EMPTY', 404);
const FORBIDDEN = new Kind('DAPR_PUBSUB_FORBIDDEN', 'ERR_PUBSUB_FORBIDDEN', 403);
const METADATA = new Kind('DAPR_PUBSUB_METADATA_DESERIALIZATION', 'ERR_PUBSUB_REQUEST_METADATA', 400);
const EVENT = new Kind('DAPR_PUBSUB_CLOUD_EVENT_CREATION', 'ERR_PUBSUB_CLOUD_EVENTS_SER', 500);
const ENTRIES = new Kind('DAPR_PUBSUB_UNMARSHAL_EVENTS', 'ERR_PUBSUB_EVENTS_SER', 400);
const PUBLISH = new Kind('DAPR_PUBSUB_PUBLISH_MESSAGE', 'ERR_PUBSUB_PUBLISH_MESSAGE', 0);

function kindOf(code: i32, message: View): Kind {
  if (refusedWith(code, message, NO_EVENT)) return EVENT;
  if (refusedWith(code, message, BAD_METADATA)) return METADATA;
  if (refusedWith(code, message, BAD_ENTRIES)) return ENTRIES;
  return code == Code.PERMISSION_DENIED ? FORBIDDEN : PUBLISH;
}

function refusalKind(refusal: Refusal): Kind {
  if (refusal == Refusal.NoName) return NO_NAME;
  if (refusal == Refusal.NoTopic) return NO_TOPIC;
  return refusal == Refusal.NotFound ? NOT_FOUND : PUBLISH;
}

/** @param text what callers are told @param component the broker */
export function refuseGrpc(exchange: Exchange, refusal: Refusal, text: View, component: View): void {
  answerGrpc(exchange, refusalKind(refusal), Code.INVALID_ARGUMENT, text, component);
}

/** The same over HTTP. */
export function refuseHttp(exchange: Exchange, refusal: Refusal, text: View, component: View): void {
  answerHttp(exchange, refusalKind(refusal), Code.INVALID_ARGUMENT, text, component);
}

/** @param code google.rpc.Code @param text what callers are told @param component the broker */
export function failGrpc(exchange: Exchange, code: i32, text: View, component: View): void {
  answerGrpc(exchange, kindOf(code, text), code, text, component);
}

/** The same over HTTP. */
export function failHttp(exchange: Exchange, code: i32, text: View, component: View): void {
  answerHttp(exchange, kindOf(code, text), code, text, component);
}

function answerGrpc(exchange: Exchange, kind: Kind, code: i32, text: View, component: View): void {
  const details = new DaprDetails(code, text);
  if (kind.named) details.resourceInfo(RESOURCE, component);
  details.errorInfo(kind.reason);
  addDetails(exchange, details.encode(exchange));
  exchange.reply.grpcError(code, text);
}

function answerHttp(exchange: Exchange, kind: Kind, code: i32, text: View, component: View): void {
  const w = exchange.writer();
  w.text('[');
  if (kind.named) {
    w.text('{"@type":"type.googleapis.com/google.rpc.ResourceInfo","description":"","owner":"",');
    w.text('"resource_name":');
    jsonString(w, component);
    w.text(',"resource_type":"pubsub"},');
  }
  w.text('{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":null,"reason":');
  jsonString(w, kind.reason);
  w.text('}]');
  const status = kind.status == 0 ? httpStatusOf(code) : kind.status;
  answerError(exchange, status, kind.errorCode, text, w.view());
}
