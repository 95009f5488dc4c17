import { create, toBinary } from '@bufbuild/protobuf';
import type { JsonObject } from '@bufbuild/protobuf';

import * as dapr from '../../gen/dapr/proto/runtime/v1/appcallback_pb.js';
import * as layotto from '../../gen/spec/proto/runtime/v1/appcallback_pb.js';
import { AppStatus } from '../app-channel.js';
import type { AppCall, AppChannel } from '../app-channel.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { IncomingMessage } from './broker.js';
import { binaryHeaders } from './binary-mode.js';
import type { OpenedEvent } from './envelope.js';
import type { Subscription } from './subscription.js';

/** How long the app may take for one delivery, in milliseconds. */
export const DELIVERY_MS = 60_000;

/** What the app made of an event, and why if that is worth telling. */
export interface Verdict {
  readonly status: 'success' | 'retry' | 'drop';
  readonly why?: string;
}

/** One event on its way to the app. */
export interface Sent {
  readonly subscription: Subscription;
  readonly message: IncomingMessage;
  readonly event: OpenedEvent;
  /** Where its route leads; empty: nowhere in particular. */
  readonly path: string;
  readonly traceparent: string | undefined;
}

const SUCCESS: Verdict = { status: 'success' };
const BY_NUMBER: readonly Verdict[] = [SUCCESS, { status: 'retry' }, { status: 'drop' }];

/** Headers that are the call's own, whatever a broker has beside a message. */
const OWN_HEADERS =
  /^(?:content-.*|host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|http2-settings|proxy-.*|x-envoy-.*|x-forwarded-.*|traceparent|tracestate|dapr-api-token|grpc-.*)$/;

/**
 * Tells the app of one event, in the words of the API that it subscribed by.
 *
 * @throws AppError if there is no answer of the app
 */
export function tell(channel: AppChannel, sent: Sent): Promise<Verdict> {
  const { callback } = sent.subscription;
  if (callback === 'dapr-http') return tellOverHttp(channel, sent);
  if (callback === 'function') return tellFunction(channel, sent);
  return callback === 'layotto' ? tellLayotto(channel, sent) : tellDapr(channel, sent);
}

/** A status of a gRPC answer, by its number. */
export function verdictOf(status: number): Verdict {
  return BY_NUMBER[status] ?? { status: 'retry', why: `the app answers with the unknown status ${status}` };
}

/** A status of an HTTP answer, by its name; an empty one is success. */
export function verdictNamed(status: string): Verdict {
  if (status === '' || status === 'SUCCESS') return SUCCESS;
  if (status === 'RETRY') return { status: 'retry' };
  if (status === 'DROP') return { status: 'drop' };
  return {
    status: 'retry',
    why: `the app answers with the unknown status ${JSON.stringify(status.slice(0, 50))}`,
  };
}

/** What a gRPC error of the app means, or an answer that is none. @throws AppError */
export function verdictOfError(error: unknown): Verdict {
  if (error instanceof OperationError) return { status: 'retry', why: `the app's answer: ${error.message}` };
  if (!(error instanceof AppStatus)) throw error;
  const why = `the app answers with ${Code[error.code] ?? error.code}: ${error.message.slice(0, 300)}`;
  return { status: error.code === Code.UNIMPLEMENTED ? 'drop' : 'retry', why };
}

/** Whether an HTTP status is no success, and what that means. */
export function verdictOfStatus(status: number): Verdict | undefined {
  if (status >= 200 && status < 300) return undefined;
  return { status: status === 404 ? 'drop' : 'retry', why: `the app answers with status ${status}` };
}

function tellOverHttp(channel: AppChannel, { message, event, path, traceparent }: Sent): Promise<Verdict> {
  const headers = { ...headersOf(message.metadata), 'content-type': 'application/cloudevents+json' };
  return told(channel, { path, headers, body: event.envelope, timeoutMs: DELIVERY_MS, traceparent });
}

/** A function need not read JSON: it gets the event's data as its body, and the attributes in headers. */
function tellFunction(
  channel: AppChannel,
  { subscription, event, path, traceparent }: Sent,
): Promise<Verdict> {
  const headers = binaryHeaders(event, subscription);
  return told(channel, { path, headers, body: event.data, timeoutMs: DELIVERY_MS, traceparent });
}

async function told(channel: AppChannel, call: AppCall): Promise<Verdict> {
  const { status, body } = await channel.http(call);
  return verdictOfStatus(status) ?? verdictNamed(statusIn(body));
}

/** `status` of an answer in JSON; empty if there is none. */
function statusIn(body: Buffer): string {
  if (body.length === 0) return '';
  try {
    const status = (JSON.parse(body.toString()) as { status?: unknown } | null)?.status;
    return typeof status === 'string' ? status : '';
  } catch {
    return '';
  }
}

/** What a broker has beside a message, as far as it can be headers. */
function headersOf(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) {
    const name = key.toLowerCase();
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(name) || OWN_HEADERS.test(name)) continue;
    if (/^[\x20-\x7e]{0,1000}$/.test(value)) headers[name] = value;
  }
  return headers;
}

async function tellLayotto(
  channel: AppChannel,
  { subscription, message, event, traceparent }: Sent,
): Promise<Verdict> {
  const body = toBinary(layotto.TopicEventRequestSchema, layottoEvent(subscription, message, event));
  const path = '/spec.proto.runtime.v1.AppCallback/OnTopicEvent';
  try {
    const answer = await channel.grpc({ path, body, timeoutMs: DELIVERY_MS, traceparent });
    return verdictOf(decode(layotto.TopicEventResponseSchema, answer).status);
  } catch (error) {
    return verdictOfError(error);
  }
}

async function tellDapr(
  channel: AppChannel,
  { subscription, event, path: route, traceparent }: Sent,
): Promise<Verdict> {
  const body = toBinary(dapr.TopicEventRequestSchema, daprEvent(subscription, event, route));
  const path = '/dapr.proto.runtime.v1.AppCallback/OnTopicEvent';
  try {
    const answer = await channel.grpc({ path, body, timeoutMs: DELIVERY_MS, traceparent });
    return verdictOf(decode(dapr.TopicEventResponseSchema, answer).status);
  } catch (error) {
    return verdictOfError(error);
  }
}

/** An event as Layotto's API has it; what its broker has beside it is its metadata. */
export function layottoEvent(
  { topic, pubsubName }: Pick<Subscription, 'topic' | 'pubsubName'>,
  { metadata }: IncomingMessage,
  { id, source, type, specVersion, dataContentType, data }: OpenedEvent,
): layotto.TopicEventRequest {
  const fields = { id, source, type, specVersion, dataContentType, data, topic, pubsubName };
  return create(layotto.TopicEventRequestSchema, { ...fields, metadata: { ...metadata } });
}

/** An event as Dapr's API has it. */
export function daprEvent(
  { topic, pubsubName }: Pick<Subscription, 'topic' | 'pubsubName'>,
  event: OpenedEvent,
  path: string,
): dapr.TopicEventRequest {
  const { id, source, type, specVersion, dataContentType, data } = event;
  const fields = { id, source, type, specVersion, dataContentType, data, topic, pubsubName, path };
  return create(dapr.TopicEventRequestSchema, { ...fields, extensions: extensionsOf(event) });
}

/** The event's other attributes. */
export function extensionsOf({ extensions }: OpenedEvent): JsonObject {
  return Object.fromEntries(extensions);
}
