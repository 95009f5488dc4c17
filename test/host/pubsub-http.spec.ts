import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import type { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';
import { Kind } from '../support/frames.js';
import { connected, DONE, headers, ID, json, PERSISTED, published, publishedBulk } from './pubsub-calls.js';

describe('the JSON door', () => {
  const ask = async (method: string, request: object, answer: string): Promise<Record<string, string>> => {
    const filter = await connected();
    const stream = filter.http('POST', `/v1.0-layotto/pubsub/${method}`, JSON.stringify(request));
    const { stream: session, frame } = filter.bridge.lastRequest();
    filter.bridge.send(session, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from(answer) });
    expect([stream.answer?.status, stream.answer?.body.toString()]).toEqual([200, answer]);
    return headers(stream);
  };
  const broker = { pubsubName: 'events', topic: 't' };

  test.each([
    ['PublishEvent', broker, '{"messageId":"17\\u002d0","persisted":true}', '17-0', 'true'],
    ['PublishEvent', broker, '{"messageId":"17-0"}', '17-0', 'false'],
    ['PublishEvent', broker, '{}', undefined, 'false'],
    ['PublishEvent', broker, '{"messageId":"a b"}', undefined, 'false'],
    ['PublishEvent', broker, '{"messageId":', undefined, undefined],
    ['PublishEvent', broker, '[]', undefined, undefined],
    ['PublishDelayMessage', { componentName: 'events', topic: 't' }, '{"messageId":"9"}', '9', 'false'],
    [
      'BulkPublishEvent',
      broker,
      '{"publishedEntries":[{"entryId":"1","messageId":"a","persisted":true},{"messageId":"b","persisted":true}]}',
      'a,b',
      'true',
    ],
    ['BulkPublishEvent', broker, '{"failedEntries":[{"entryId":"1"}]}', undefined, undefined],
    ['BulkPublishEvent', broker, '{"publishedEntries":[{"messageId":"a"},5]}', undefined, undefined],
  ])('%s tells what was made of it, %#', async (method, request, answer, id, persisted) => {
    const told = await ask(method, request, answer);
    expect([told[ID], told[PERSISTED]]).toEqual([id, persisted]);
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
