import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import type { IncomingHttpHeaders } from 'node:http2';

import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/pubsub_pb.js';
import { Code } from '../primitives/errors.js';
import { DAPR, forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { Answer, Behind, Failure, UnaryMethod } from './method.js';
import { plainly, withDetails } from './refused.js';
import type { Refuse, Refused } from './refused.js';

const PUBSUB = 'pubsub';
const DELAY = '/spec.proto.extension.v1.delay_queue.DelayQueue/PublishDelayMessage';

/** The ids of a bulk call are told if they are no longer than this together. */
const LONGEST_IDS = 4_096;

/** Visible ASCII without the comma, which stands between ids. */
const HEADER_VALUE = /^[!-+\--~]+$/;

/** Where a request publishes to. */
interface Target {
  pubsub: string;
  topic: string;
}

/** How one API says what is wrong. */
interface Spelling {
  refuse: Refuse;
  notFound: string;
  dapr: boolean;
}

const OF_LAYOTTO: Spelling = { refuse: plainly, notFound: ' not found', dapr: false };
const OF_DAPR: Spelling = { refuse: withDetails, notFound: ' is not found', dapr: true };

/** The publishing methods of both APIs: their messages are the bridge's. */
export function pubsubMethods(): UnaryMethod[] {
  return [
    publishMethod(OF_LAYOTTO, `${LAYOTTO}PublishEvent`),
    publishMethod(OF_DAPR, `${DAPR}PublishEvent`),
    bulkMethod(`${DAPR}BulkPublishEvent`),
    bulkMethod(`${DAPR}BulkPublishEventAlpha1`),
    delayMethod(),
  ];
}

function publishMethod(spelling: Spelling, path: string): UnaryMethod {
  const of = ({ pubsubName, topic }: pb.PublishEventRequest): Target => ({ pubsub: pubsubName, topic });
  return forwarded({
    path,
    primitive: PUBSUB,
    operation: `${pb.PubSub.typeName}/PublishEvent`,
    request: pb.PublishEventRequestSchema,
    malformed: malformed(spelling),
    component: (request) => named(of(request))?.pubsub,
    subject: (request) => request.topic,
    denied: ({ message }, request) => forbidden(spelling, message, of(request)),
    check: (request, behind) => check(spelling, of(request), behind),
    build: (_, payload, head) => enveloped(spelling, pb.PublishEventRequestSchema, payload, head),
    // Both APIs answer with an empty message.
    answer: (payload) => {
      const { messageId, persisted } = fromBinary(pb.PublishEventResponseSchema, payload);
      return told(new Uint8Array(0), [{ messageId, persisted }]);
    },
    failed: (failed, request) => failure(spelling, failed, of(request)),
  });
}

function bulkMethod(path: string): UnaryMethod {
  const spelling = OF_DAPR;
  const of = ({ pubsubName, topic }: pb.BulkPublishEventRequest): Target => ({ pubsub: pubsubName, topic });
  return forwarded({
    path,
    primitive: PUBSUB,
    operation: `${pb.PubSub.typeName}/BulkPublishEvent`,
    request: pb.BulkPublishEventRequestSchema,
    malformed: malformed(spelling),
    component: (request) => named(of(request))?.pubsub,
    subject: (request) => request.topic,
    denied: ({ message }, request) => forbidden(spelling, message, of(request)),
    check: (request, behind) => check(spelling, of(request), behind),
    build: (_, payload, head) => enveloped(spelling, pb.BulkPublishEventRequestSchema, payload, head),
    answer: (payload, request) => {
      const { failedEntries, publishedEntries, code } = fromBinary(
        pb.BulkPublishEventResponseSchema,
        payload,
      );
      const [first] = failedEntries;
      if (code !== 0 && first !== undefined)
        return failure(spelling, { code, message: first.error }, of(request));
      const message = create(pb.BulkPublishEventResponseSchema, { failedEntries, code });
      return told(toBinary(pb.BulkPublishEventResponseSchema, message), publishedEntries);
    },
    failed: (failed, request) => failure(spelling, failed, of(request)),
  });
}

function delayMethod(): UnaryMethod {
  const of = ({ componentName, topic }: pb.PublishDelayMessageRequest): Target => {
    return { pubsub: componentName, topic };
  };
  return forwarded({
    path: DELAY,
    primitive: PUBSUB,
    operation: `${pb.PubSub.typeName}/PublishDelayMessage`,
    request: pb.PublishDelayMessageRequestSchema,
    malformed: malformed(OF_LAYOTTO),
    component: (request) => named(of(request))?.pubsub,
    subject: (request) => request.topic,
    check: (request, behind) => {
      const refused = check(OF_LAYOTTO, of(request), behind);
      if (refused === undefined || (request.componentName !== '' && request.topic === '')) return refused;
      const message = `component not found. kind: delay_queue , name: ${clip(request.componentName)}`;
      return { ...refused, message };
    },
    answer: (payload) => {
      const { messageId, persisted } = fromBinary(pb.PublishDelayMessageResponseSchema, payload);
      const message = create(pb.PublishDelayMessageResponseSchema, { messageId });
      return told(toBinary(pb.PublishDelayMessageResponseSchema, message), [{ messageId, persisted }]);
    },
    failed: ({ code, message }) => ({ code, message: clip(message) }),
  });
}

/** What a request names; undefined if that is not enough to ask for it. */
function named(target: Target): Target | undefined {
  return target.pubsub === '' || target.topic === '' ? undefined : target;
}

/** The first thing wrong with a call, in the order of both APIs. */
function check(
  { refuse, notFound }: Spelling,
  { pubsub, topic }: Target,
  behind: Behind,
): Refused | undefined {
  const resource = { type: PUBSUB, name: clip(pubsub) };
  const refused = (message: string, reason: string, ofBroker = true): Refused =>
    refuse(Code.INVALID_ARGUMENT, message, { reason, ...(ofBroker ? { resource } : {}) });
  if (pubsub === '') return refused('pubsub name is empty', 'DAPR_PUBSUB_NAME_EMPTY');
  if (topic === '') {
    return refused(`topic is empty in pubsub ${clip(pubsub)}`, 'DAPR_PUBSUB_TOPIC_NAME_EMPTY');
  }
  if (behind.find(PUBSUB, pubsub) !== undefined) return undefined;
  return refused(`pubsub ${clip(pubsub)}${notFound}`, 'DAPR_PUBSUB_NOT_FOUND', false);
}

function malformed({ refuse }: Spelling): Refused {
  const details = { reason: 'DAPR_PUBSUB_PUBLISH_MESSAGE', resource: { type: PUBSUB, name: '' } };
  return refuse(Code.INVALID_ARGUMENT, NOT_PROTOBUF, details);
}

/** What stands with the broker denies it. */
function forbidden({ refuse }: Spelling, message: string, { pubsub }: Target): Refused {
  const resource = { type: PUBSUB, name: clip(pubsub) };
  return refuse(Code.PERMISSION_DENIED, message, { resource, reason: 'DAPR_PUBSUB_FORBIDDEN' });
}

/** What the bridge refuses of the request itself, it tells by itself. */
function failure({ refuse }: Spelling, { code, message }: Failure, { pubsub, topic }: Target): Refused {
  const itself = code === Code.INVALID_ARGUMENT || code === Code.PERMISSION_DENIED;
  const before = itself ? '' : `error when publish to topic ${clip(topic)} in pubsub ${clip(pubsub)}: `;
  const resource = { type: PUBSUB, name: clip(pubsub) };
  return refuse(code, before + clip(message), { resource, reason: reasonOf(code, message) });
}

function reasonOf(code: Code, message: string): string {
  if (code === Code.PERMISSION_DENIED) return 'DAPR_PUBSUB_FORBIDDEN';
  if (code !== Code.INVALID_ARGUMENT) return 'DAPR_PUBSUB_PUBLISH_MESSAGE';
  if (message.startsWith('cannot create cloudevent')) return 'DAPR_PUBSUB_CLOUD_EVENT_CREATION';
  if (message.startsWith('failed deserializing metadata')) return 'DAPR_PUBSUB_METADATA_DESERIALIZATION';
  if (message.startsWith('error when unmarshaling the request')) return 'DAPR_PUBSUB_UNMARSHAL_EVENTS';
  return 'DAPR_PUBSUB_PUBLISH_MESSAGE';
}

/** The request as it came, between its call's tracestate, which its own metadata override, and whose envelope it wants. */
function enveloped<Desc extends DescMessage>(
  { dapr }: Spelling,
  schema: Desc,
  payload: Uint8Array,
  head: IncomingHttpHeaders,
): Uint8Array {
  if (!dapr) return payload;
  const tracestate = String(head['tracestate'] ?? '');
  const metadata = tracestate === '' ? {} : { 'cloudevent.tracestate': tracestate };
  const before = create(schema, { metadata } as unknown as MessageInitShape<Desc>);
  const behind = create(schema, { envelope: pb.Envelope.DAPR } as unknown as MessageInitShape<Desc>);
  return Buffer.concat([toBinary(schema, before), payload, toBinary(schema, behind)]);
}

/** Tells the broker's names for messages, and whether a crash can lose any: as header and as trailer. */
function told(message: Uint8Array, published: readonly { messageId: string; persisted: boolean }[]): Answer {
  if (published.length === 0) return { message };
  const ids = published.map(({ messageId }) => messageId);
  const known = ids.every((id) => HEADER_VALUE.test(id)) && ids.join(',').length <= LONGEST_IDS;
  const headers = {
    ...(known ? { 'layotto-message-id': ids.join(',') } : {}),
    'layotto-message-persisted': String(published.every(({ persisted }) => persisted)),
  };
  return { message, headers, trailers: headers };
}
