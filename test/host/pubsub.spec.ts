import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import type { CompiledPolicy } from '../../components-bridge/src/policy/types.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { unframe } from '../support/grpc-raw.js';
import { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime/PublishEvent';
const DELAY = '/spec.proto.extension.v1.delay_queue.DelayQueue/PublishDelayMessage';
const DAPR = '/dapr.proto.runtime.v1.Dapr/PublishEvent';
const BULK = '/dapr.proto.runtime.v1.Dapr/BulkPublishEvent';
const ID = 'layotto-message-id';
const PERSISTED = 'layotto-message-persisted';

const BROKER: PluginComponent = {
  name: 'events',
  type: 'pubsub.redis',
  version: 'v1',
  primitive: 'pubsub',
  capabilities: [],
};

const connected = (policy?: CompiledPolicy): Promise<Filter> =>
  Filter.connected({ components: [BROKER], ...(policy === undefined ? {} : { policy }) });

interface Fields {
  pubsubName?: string;
  topic?: string;
  data?: Uint8Array;
  metadata?: Record<string, string>;
}

const EVENT = { pubsubName: 'events', topic: 'orders', data: Buffer.from('x') };

function event(fields: Fields = {}): Uint8Array {
  const request = { ...EVENT, dataContentType: 'text/plain', ...fields };
  return toBinary(pb.PublishEventRequestSchema, create(pb.PublishEventRequestSchema, request));
}

function bulk({ pubsubName = 'events', topic = 'orders', metadata = {} }: Fields = {}): Uint8Array {
  const entries = [{ entryId: '1', event: Buffer.from('x') }];
  const request = create(pb.BulkPublishEventRequestSchema, { pubsubName, topic, metadata, entries });
  return toBinary(pb.BulkPublishEventRequestSchema, request);
}

function delayed({ pubsubName = 'events', topic = 'orders' }: Fields = {}): Uint8Array {
  const request = { componentName: pubsubName, topic, delayInSeconds: 5 };
  return toBinary(pb.PublishDelayMessageRequestSchema, create(pb.PublishDelayMessageRequestSchema, request));
}

function message(stream: HttpStream): Buffer {
  const [only] = unframe(stream.answer?.body ?? Buffer.alloc(0));
  return only as Buffer;
}

function json(stream: HttpStream): unknown {
  return JSON.parse(stream.answer?.body.toString() ?? '');
}

function headers(stream: HttpStream): Record<string, string> {
  return stream.answer?.headers.object() ?? {};
}

function details(stream: HttpStream): string {
  return Buffer.from(headers(stream)['grpc-status-details-bin'] ?? '', 'base64').toString();
}

function published({ bridge }: Filter): pb.PublishEventRequest {
  const { frame } = bridge.lastRequest();
  expect(frame.method).toBe('layotto.bridge.v1.PubSub/PublishEvent');
  return fromBinary(pb.PublishEventRequestSchema, frame.payload);
}

function publishedBulk({ bridge }: Filter): pb.BulkPublishEventRequest {
  const { frame } = bridge.lastRequest();
  expect(frame.method).toBe('layotto.bridge.v1.PubSub/BulkPublishEvent');
  return fromBinary(pb.BulkPublishEventRequestSchema, frame.payload);
}

const DONE = { messageId: '17-0', persisted: true };

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
    for (const messageId of ['', 'a b', 'é', 'a\r\nb', 'a'.repeat(4097)]) {
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

describe('Dapr HTTP', () => {
  const post = (filter: Filter, path: string, body = 'x', type = ''): HttpStream =>
    filter.http('POST', path, body, type === '' ? {} : { 'content-type': type });

  test.each([
    ['/v1.0/publish/events/orders', 'orders'],
    ['/v1.0/publish/events/a/b/c', 'a/b/c'],
    ['/v1.0//publish/events//a%2Fb/c+d%20e', 'a/b/c d e'],
    ['/v1.0/publish/events/%F0%9F%8D%8A', '🍊'],
  ])('%s is the topic %s', async (path, topic) => {
    const filter = await connected();
    post(filter, path);
    expect(published(filter)).toMatchObject({ pubsubName: 'events', topic, envelope: pb.Envelope.DAPR });
  });

  test('sends body, type and metadata on', async () => {
    const filter = await connected();
    const query = 'metadata.ttlInSeconds=5&metadata.a=b%20c&metadata.a=second&Metadata.x=1&other=2';
    const path = `/v1.0/publish/events/t?${query}`;
    const all = { 'content-type': 'application/json; charset=utf-8', tracestate: 'v=1' };
    const stream = filter.http('PUT', path, '{"a":1}', all);
    expect(published(filter)).toMatchObject({
      data: Buffer.from('{"a":1}'),
      dataContentType: 'application/json; charset=utf-8',
      metadata: { ttlInSeconds: '5', a: 'b c', 'cloudevent.tracestate': 'v=1' },
    });
    filter.bridge.result(filter.bridge.lastRequest(), pb.PublishEventResponseSchema, DONE);
    expect(stream.answer?.status).toBe(204);
    expect(stream.answer?.body).toHaveLength(0);
    expect(headers(stream)).toMatchObject({ [ID]: '17-0', [PERSISTED]: 'true' });
  });

  test('an event may be empty', async () => {
    const filter = await connected();
    filter.http('POST', '/v1.0/publish/events/t');
    expect(published(filter)).toMatchObject({ data: new Uint8Array(0), dataContentType: '' });
  });

  test.each([
    ['/v1.0/publish/nope/t', 'ERR_PUBSUB_NOT_FOUND', 'pubsub nope is not found', 'DAPR_PUBSUB_NOT_FOUND'],
    ['/v1.0/publish/events/', 'ERR_TOPIC_NAME_EMPTY', 'topic is empty in pubsub events', 'TOPIC_NAME_EMPTY'],
    ['/v1.0/publish/events', 'ERR_TOPIC_NAME_EMPTY', 'topic is empty in pubsub events', 'TOPIC_NAME_EMPTY'],
    ['/v1.0/publish/', 'ERR_PUBSUB_EMPTY', 'pubsub name is empty', 'NAME_EMPTY'],
    ['/v1.0/publish', 'ERR_PUBSUB_EMPTY', 'pubsub name is empty', 'NAME_EMPTY'],
  ])('%s: %s', async (path, errorCode, text, reason) => {
    const filter = await connected();
    const stream = post(filter, path);
    expect(stream.answer?.status).toBe(404);
    expect(json(stream)).toMatchObject({ errorCode, message: text });
    expect(stream.answer?.body.toString()).toContain(reason);
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('what is not found is told as Dapr tells it', async () => {
    const filter = await connected();
    expect(json(post(filter, '/v1.0/publish/nope/t'))).toEqual({
      errorCode: 'ERR_PUBSUB_NOT_FOUND',
      message: 'pubsub nope is not found',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          domain: 'dapr.io',
          metadata: null,
          reason: 'DAPR_PUBSUB_NOT_FOUND',
        },
      ],
    });
  });

  test.each([
    [13, 'full', 500, 'ERR_PUBSUB_PUBLISH_MESSAGE'],
    [14, 'away', 503, 'ERR_PUBSUB_PUBLISH_MESSAGE'],
    [3, 'cannot create cloudevent: no', 500, 'ERR_PUBSUB_CLOUD_EVENTS_SER'],
    [3, 'failed deserializing metadata: no', 400, 'ERR_PUBSUB_REQUEST_METADATA'],
    [3, 'error when publish to topic a in pubsub b: long', 400, 'ERR_PUBSUB_PUBLISH_MESSAGE'],
    [7, 'topic orders is not allowed for app id shop', 403, 'ERR_PUBSUB_FORBIDDEN'],
  ])('the failure %i %s', async (code, reason, status, errorCode) => {
    const filter = await connected();
    const stream = post(filter, '/v1.0/publish/events/orders');
    filter.bridge.failure(filter.bridge.lastRequest(), code, reason);
    expect(stream.answer?.status).toBe(status);
    expect(json(stream)).toMatchObject({ errorCode, message: expect.stringContaining(reason) as string });
    expect(stream.answer?.body.toString()).toContain('"resource_name":"events","resource_type":"pubsub"');
  });

  describe('in bulk', () => {
    test.each(['/v1.0/publish/bulk/events/a/b', '/v1.0-alpha1/publish/bulk/events/a/b'])(
      '%s',
      async (path) => {
        const filter = await connected();
        const stream = post(
          filter,
          `${path}?metadata.rawPayload=true`,
          `[{"entryId":"1","event":{"a": 1.0},"contentType":"application/json","metadata":{"k":"v"}},
          {"entryID":"2","event":"he\\u006clo","contentType":"text/plain"},
          {"ENTRYID":"3","event":"AP8=","contentType":"application/octet-stream"},
          {"entryId":"4","event":"bare"},
          {"entryId":"5","event":[1]},
          {"entryId":"6","event":"json","contentType":"application/json"},
          {"entryId":"7","event":{"id":"x"},"contentType":"application/CloudEvents+JSON; v=1"},
          {"entryId":"8"}]`,
        );
        const request = publishedBulk(filter);
        expect(request).toMatchObject({
          pubsubName: 'events',
          topic: 'a/b',
          metadata: { rawPayload: 'true' },
          envelope: pb.Envelope.DAPR,
        });
        const entries = request.entries.map(({ entryId, event, contentType, metadata }) => {
          return [entryId, Buffer.from(event).toString('latin1'), contentType, metadata];
        });
        expect(entries).toEqual([
          ['1', '{"a": 1.0}', 'application/json', { k: 'v' }],
          ['2', 'hello', 'text/plain', {}],
          ['3', '\x00\xff', 'application/octet-stream', {}],
          ['4', 'bare', 'text/plain', {}],
          ['5', '[1]', 'application/json', {}],
          ['6', '"json"', 'application/json', {}],
          ['7', '{"id":"x"}', 'application/CloudEvents+JSON; v=1', {}],
          ['8', '', 'application/json', {}],
        ]);
        filter.bridge.result(filter.bridge.lastRequest(), pb.BulkPublishEventResponseSchema, {
          publishedEntries: [{ entryId: '1', ...DONE }],
        });
        expect(stream.answer?.status).toBe(204);
        expect(headers(stream)).toMatchObject({ [ID]: '17-0', [PERSISTED]: 'true' });
      },
    );

    test('tells what failed', async () => {
      const filter = await connected();
      const stream = post(filter, '/v1.0/publish/bulk/events/t', '[{"entryId":"1","event":1}]');
      filter.bridge.result(filter.bridge.lastRequest(), pb.BulkPublishEventResponseSchema, {
        failedEntries: [{ entryId: 'a"b', error: 'full' }],
      });
      expect(stream.answer?.status).toBe(500);
      expect(json(stream)).toEqual({
        failedEntries: [{ entryId: 'a"b', error: 'full' }],
        errorCode: 'ERR_PUBSUB_PUBLISH_MESSAGE',
      });
    });

    test.each([
      '',
      '{}',
      'null',
      '[',
      '[1]',
      '["a"]',
      '[{"entryId":1}]',
      '[{"entryId":"1","event":5,"contentType":"text/plain"}]',
      '[{"entryId":"1","event":"?","contentType":"application/octet-stream"}]',
      '[{"entryId":"1","event":{},"contentType":"application/octet-stream"}]',
      '[{"entryId":"1","metadata":{"a":1}}]',
      '[{"entryId":"1","contentType":null,"event":tru}]',
    ])('refuses %s', async (body) => {
      const filter = await connected();
      const stream = post(filter, '/v1.0/publish/bulk/events/t', body);
      expect(stream.answer?.status).toBe(400);
      expect(json(stream)).toMatchObject({
        errorCode: 'ERR_PUBSUB_EVENTS_SER',
        message: expect.stringMatching(
          /^error when unmarshaling the request for topic t pubsub events: ./,
        ) as string,
      });
      expect(filter.bridge.requests()).toEqual([]);
    });

    test('takes any bytes', async () => {
      const filter = await connected();
      const good =
        '[{"entryId":"1","event":"AA==","contentType":"application/octet-stream","metadata":{"a":"b"}}]';
      for (let at = 0; at <= good.length; at += 3) {
        for (const piece of ['', '"', '\\', '{', ']', '\0', '\xff', '9']) {
          const body = Buffer.from(good.slice(0, at) + piece + good.slice(at + 1), 'latin1');
          const stream = filter.host.openStream(filter.root);
          const path = '/v1.0/publish/bulk/events/t';
          stream.request({ ':method': 'POST', ':path': path, ':authority': 'localhost' }, body);
          const answered = stream.answer?.status;
          expect([undefined, 400]).toContain(answered);
        }
      }
    });
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
