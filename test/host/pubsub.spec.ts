import { fromBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import type { CompiledPolicy } from '../../components-bridge/src/policy/types.js';
import {
  BULK,
  bulk,
  connected,
  DAPR,
  DELAY,
  delayed,
  details,
  DONE,
  EVENT,
  event,
  headers,
  ID,
  json,
  LAYOTTO,
  message,
  PERSISTED,
  published,
  publishedBulk,
} from './pubsub-calls.js';

describe('gRPC', () => {
  test("Layotto's request goes out as it came", async () => {
    const filter = await connected();
    filter.grpc(LAYOTTO, event());
    expect(Buffer.from(filter.bridge.lastRequest().frame.payload)).toEqual(Buffer.from(event()));
    expect(published(filter).envelope).toBe(pb.Envelope.LAYOTTO);
  });

  test("Dapr's wants Dapr's envelope, and has the tracestate of its call", async () => {
    const filter = await connected();
    filter.grpc(DAPR, event({ metadata: { a: 'b' } }), { tracestate: 'v=1' });
    expect(published(filter)).toMatchObject({
      ...EVENT,
      metadata: { a: 'b', 'cloudevent.tracestate': 'v=1' },
      envelope: pb.Envelope.DAPR,
    });
    filter.grpc(DAPR, event({ metadata: { 'cloudevent.tracestate': 'own' } }), { tracestate: 'v=1' });
    expect(published(filter).metadata).toEqual({ 'cloudevent.tracestate': 'own' });
    filter.grpc(BULK, bulk({ metadata: { a: 'b' } }), { tracestate: 'v=1' });
    expect(publishedBulk(filter)).toMatchObject({
      entries: [{ entryId: '1' }],
      metadata: { a: 'b', 'cloudevent.tracestate': 'v=1' },
      envelope: pb.Envelope.DAPR,
    });
  });

  test.each([LAYOTTO, DAPR])('%s tells the id as header and trailer', async (path) => {
    const filter = await connected();
    const stream = filter.grpc(path, event());
    filter.bridge.result(filter.bridge.lastRequest(), pb.PublishEventResponseSchema, DONE);
    expect(stream.answer?.grpcStatus).toBe(0);
    expect(headers(stream)).toMatchObject({ [ID]: '17-0', [PERSISTED]: 'true' });
    expect(stream.answer?.trailers?.object()).toMatchObject({ [ID]: '17-0', [PERSISTED]: 'true' });
    expect(message(stream)).toHaveLength(0);
  });

  test('an id that no header can hold is left out', async () => {
    const filter = await connected();
    for (const messageId of ['', 'a b', 'a,b', 'é', 'a\r\nb', 'a'.repeat(4097)]) {
      const stream = filter.grpc(DAPR, event());
      filter.bridge.result(filter.bridge.lastRequest(), pb.PublishEventResponseSchema, { messageId });
      expect(stream.answer?.grpcStatus).toBe(0);
      expect(headers(stream)).toMatchObject({ [PERSISTED]: 'false' });
      expect(headers(stream)).not.toHaveProperty(ID);
    }
  });

  test('a delayed message has its id in the message too', async () => {
    const filter = await connected();
    const stream = filter.grpc(DELAY, delayed());
    const { frame } = filter.bridge.lastRequest();
    expect(frame.method).toBe('layotto.bridge.v1.PubSub/PublishDelayMessage');
    expect(Buffer.from(frame.payload)).toEqual(Buffer.from(delayed()));
    filter.bridge.result(filter.bridge.lastRequest(), pb.PublishDelayMessageResponseSchema, DONE);
    expect(headers(stream)).toMatchObject({ [ID]: '17-0', [PERSISTED]: 'true' });
    expect(message(stream)).toEqual(Buffer.from('\n\x0417-0'));
  });

  test.each(['BulkPublishEvent', 'BulkPublishEventAlpha1'])('%s tells what failed', async (name) => {
    const filter = await connected();
    const stream = filter.grpc(`/dapr.proto.runtime.v1.Dapr/${name}`, bulk());
    filter.bridge.result(filter.bridge.lastRequest(), pb.BulkPublishEventResponseSchema, {
      failedEntries: [{ entryId: '2', error: 'full' }],
      publishedEntries: [
        { entryId: '1', ...DONE },
        { entryId: '3', messageId: '18-0', persisted: false },
      ],
    });
    expect(stream.answer?.grpcStatus).toBe(0);
    expect(headers(stream)).toMatchObject({ [ID]: '17-0,18-0', [PERSISTED]: 'false' });
    const answer = fromBinary(pb.BulkPublishEventResponseSchema, message(stream));
    expect(answer).toMatchObject({ failedEntries: [{ entryId: '2', error: 'full' }], publishedEntries: [] });
  });

  test('a bulk that the broker took nothing of has failed', async () => {
    const filter = await connected();
    const stream = filter.grpc(BULK, bulk());
    const failedEntries = [{ entryId: '1', error: 'away' }];
    const answer = { failedEntries, code: 14 };
    filter.bridge.result(filter.bridge.lastRequest(), pb.BulkPublishEventResponseSchema, answer);
    expect(stream.answer).toMatchObject({ grpcStatus: 14 });
    expect(stream.answer?.grpcMessage).toBe('error when publish to topic orders in pubsub events: away');
  });

  test('many ids are not told', async () => {
    const filter = await connected();
    const stream = filter.grpc(BULK, bulk());
    const publishedEntries = Array.from({ length: 900 }, (_, i) => ({ entryId: `${i}`, ...DONE }));
    filter.bridge.result(filter.bridge.lastRequest(), pb.BulkPublishEventResponseSchema, {
      publishedEntries,
    });
    expect(headers(stream)).not.toHaveProperty(ID);
    expect(headers(stream)[PERSISTED]).toBe('true');
  });

  test.each([
    [LAYOTTO, event({ pubsubName: '' }), 'pubsub name is empty'],
    [LAYOTTO, event({ topic: '' }), 'topic is empty in pubsub events'],
    [LAYOTTO, event({ pubsubName: 'nope' }), 'pubsub nope not found'],
    [LAYOTTO, event({ pubsubName: 'nope', topic: '' }), 'topic is empty in pubsub nope'],
    [LAYOTTO, Buffer.from('0a', 'hex'), 'the request message is not valid protobuf'],
    [DELAY, delayed({ pubsubName: 'nope' }), 'component not found. kind: delay_queue , name: nope'],
    [DELAY, delayed({ pubsubName: '' }), 'component not found. kind: delay_queue , name: '],
    [DELAY, delayed({ topic: '' }), 'topic is empty in pubsub events'],
    [DAPR, event({ pubsubName: '' }), 'pubsub name is empty'],
    [DAPR, event({ topic: '' }), 'topic is empty in pubsub events'],
    [DAPR, event({ pubsubName: 'nope' }), 'pubsub nope is not found'],
    [BULK, bulk({ pubsubName: 'nope' }), 'pubsub nope is not found'],
    [BULK, bulk({ topic: '' }), 'topic is empty in pubsub events'],
  ])('%s refuses %#', async (path, request, text) => {
    const filter = await connected();
    const stream = filter.grpc(path, request);
    expect(stream.answer).toMatchObject({ grpcStatus: 3, grpcMessage: text });
    expect(filter.bridge.requests()).toEqual([]);
    expect(details(stream).includes('DAPR_PUBSUB')).toBe(path.startsWith('/dapr'));
  });

  test('what Dapr does not find has one detail, as recorded', async () => {
    const filter = await connected();
    const stream = filter.grpc(DAPR, event({ pubsubName: 'nope' }));
    expect(details(stream)).toContain('\n\x15DAPR_PUBSUB_NOT_FOUND\x12\x07dapr.io');
    expect(details(stream)).not.toContain('ResourceInfo');
    expect(details(filter.grpc(DAPR, event({ topic: '' })))).toContain('ResourceInfo');
  });

  test.each([
    [LAYOTTO, 13, 'disk full', 'error when publish to topic orders in pubsub events: disk full', ''],
    [DELAY, 13, 'disk full', 'disk full', ''],
    [DAPR, 13, 'full', 'error when publish to topic orders in pubsub events: full', 'PUBLISH_MESSAGE'],
    [DAPR, 14, 'away', 'error when publish to topic orders in pubsub events: away', 'PUBLISH_MESSAGE'],
    [DAPR, 3, 'cannot create cloudevent: no', 'cannot create cloudevent: no', 'CLOUD_EVENT_CREATION'],
    [DAPR, 3, 'failed deserializing metadata: x', 'failed deserializing metadata: x', 'METADATA'],
    [DAPR, 3, 'error when unmarshaling the request x', 'error when unmarshaling the request x', 'UNMARSHAL'],
    [DAPR, 3, 'too long', 'too long', 'PUBLISH_MESSAGE'],
  ])('%s fails with %i %s', async (path, code, reason, text, detail) => {
    const filter = await connected();
    const stream = filter.grpc(path, path === DELAY ? delayed() : event());
    filter.bridge.failure(filter.bridge.lastRequest(), code, reason);
    expect(stream.answer).toMatchObject({ grpcStatus: code, grpcMessage: text });
    expect(details(stream)).toContain(detail);
  });
});

describe('topics that the app may not use', () => {
  const scopes: CompiledPolicy = {
    denies: false,
    trustDomain: 'cluster.local',
    rules: [
      {
        name: 'topics:events',
        deny: true,
        ofStore: true,
        primitives: ['pubsub'],
        operations: ['PublishEvent', 'BulkPublishEvent'],
        components: ['events'],
        otherTopics: ['orders', 'b*'],
      },
    ],
  };
  const TEXT = 'topic bills is not allowed for app id shop';

  test('of a component, in the words of Dapr', async () => {
    const filter = await connected(scopes);
    filter.grpc(DAPR, event());
    expect(published(filter).topic).toBe('orders');
    const count = filter.bridge.requests().length;
    const grpc = filter.grpc(DAPR, event({ topic: 'bills' }));
    expect(grpc.answer).toMatchObject({ grpcStatus: 7, grpcMessage: TEXT });
    expect(details(grpc)).toContain('DAPR_PUBSUB_FORBIDDEN');
    expect(filter.grpc(LAYOTTO, event({ topic: 'bills' })).answer).toMatchObject({
      grpcStatus: 7,
      grpcMessage: TEXT,
    });
    const http = filter.http('POST', '/v1.0/publish/events/bills', 'x');
    expect(http.answer?.status).toBe(403);
    expect(json(http)).toMatchObject({ errorCode: 'ERR_PUBSUB_FORBIDDEN', message: TEXT });
    expect(filter.bridge.requests()).toHaveLength(count);
  });

  test('of the policy, in its own', async () => {
    const rule = { name: 'orders-only', deny: true, topics: ['b*'] } as const;
    const filter = await connected({ ...scopes, rules: [{ ...rule, topics: [...rule.topics] }] });
    const text =
      'app "shop" may not call pubsub PublishEvent of component "events" for "bills": denied by the policy, rule "orders-only"';
    expect(filter.grpc(DAPR, event({ topic: 'bills' })).answer?.grpcMessage).toBe(text);
    const http = filter.http('POST', '/v1.0/publish/events/bills', 'x');
    expect(json(http)).toEqual({ errorCode: 'ERR_PERMISSION_DENIED', message: text });
    filter.grpc(DAPR, event());
    expect(published(filter).topic).toBe('orders');
  });
});
