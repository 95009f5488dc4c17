import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { CloudEvent } from 'cloudevents';
import { Redis } from 'ioredis';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import { DAPR, LAYOTTO } from '../support/doors.js';
import type { RawClient } from '../support/grpc-raw.js';
import { http1, type HttpAnswer } from '../support/http1.js';
import { GRPC_SERVERS, Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { Listener } from '../support/topic-listener.js';
import { eventually } from '../support/wait.js';

const DELAY = '/spec.proto.extension.v1.delay_queue.DelayQueue/PublishDelayMessage';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const ID = 'layotto-message-id';
const PERSISTED = 'layotto-message-persisted';
const JSON_BODY = { 'content-type': 'application/json' };

describe('publishing', () => {
  let server: StoreServer;
  let redis: Redis;
  let runtime: Runtime;
  let listener: Listener;

  beforeAll(async () => {
    server = await startStore('redis');
    redis = new Redis(server.port, '127.0.0.1');
    const topicScopes = { allowed: ['a', 'b'], protected: ['b'], publishing: {}, subscription: {} };
    const metadata = { redisHost: `127.0.0.1:${server.port}` };
    runtime = await Runtime.start({
      appId: 'shop',
      listen: true,
      concurrency: 2,
      components: [
        { name: 'events', type: 'pubsub.embedded' },
        { name: 'scoped', type: 'pubsub.embedded', topicScopes },
        { name: 'redis', type: 'pubsub.redis', metadata },
      ],
    });
    listener = await Listener.of(runtime.config.dataDir, 'events');
  }, 60_000);

  afterAll(async () => {
    await listener?.close();
    redis?.disconnect();
    await runtime?.stop();
    await server?.stop();
  });

  const post = (path: string, body = 'x', headers: Record<string, string> = {}): Promise<HttpAnswer> =>
    http1(runtime.target, 'POST', path, { body, headers });

  describe.each(GRPC_SERVERS)('over gRPC, by %s', (by, portOf) => {
    let client: RawClient;
    const topic = `grpc, ${by}`;

    beforeAll(async () => {
      client = await runtime.connect({ port: portOf(runtime) });
      await listener.listen(topic);
    });

    test.each([
      [`${LAYOTTO}/PublishEvent`, 'runtime'],
      [`${DAPR}/PublishEvent`, 'shop'],
    ])('%s', async (path, source) => {
      const request = {
        pubsubName: 'events',
        topic,
        data: Buffer.from('{"a":1}'),
        dataContentType: 'application/json',
      };
      const headers = { traceparent: TRACE, tracestate: 'v=1' };
      const answer = await client.unary(path, pb.PublishEventRequestSchema, request, EmptySchema, {
        headers,
      });
      expect(answer.grpcStatus).toBe(0);
      const event = await listener.next(topic);
      expect(new CloudEvent(event as never).validate()).toBe(true);
      expect(event).toMatchObject({ source, topic, data: { a: 1 }, traceparent: TRACE });
      if (source === 'shop') expect(event).toMatchObject({ tracestate: 'v=1' });
      expect(answer.headers[ID]).toMatch(/./);
      expect(answer.headers).toMatchObject({ [PERSISTED]: 'true' });
      expect(answer.trailers).toMatchObject({ [ID]: answer.headers[ID], [PERSISTED]: 'true' });
    });

    test('in bulk', async () => {
      const entries = ['1', '2'].map((entryId) => ({
        entryId,
        event: Buffer.from(entryId),
        contentType: 'text/plain',
      }));
      const request = { pubsubName: 'events', topic, entries };
      const schemas = [pb.BulkPublishEventRequestSchema, pb.BulkPublishEventResponseSchema] as const;
      const answer = await client.unary(`${DAPR}/BulkPublishEvent`, schemas[0], request, schemas[1]);
      expect(answer).toMatchObject({ grpcStatus: 0, message: { failedEntries: [] } });
      expect(answer.headers[ID]?.split(',')).toHaveLength(2);
      expect([await listener.next(topic), await listener.next(topic)]).toMatchObject([
        { data: '1' },
        { data: '2' },
      ]);
    });

    test('later', async () => {
      const start = Date.now();
      const request = { componentName: 'events', topic, data: Buffer.from('late'), delayInSeconds: 1 };
      const schemas = [pb.PublishDelayMessageRequestSchema, pb.PublishDelayMessageResponseSchema] as const;
      const answer = await client.unary(DELAY, schemas[0], request, schemas[1]);
      expect(answer.grpcStatus).toBe(0);
      expect(answer.message?.messageId).toBe(answer.headers[ID]);
      expect(await listener.next(topic)).toMatchObject({ data: 'late', source: 'runtime' });
      expect(Date.now() - start).toBeGreaterThanOrEqual(1_000);
    });
  });

  test('over HTTP, to a topic with slashes', async () => {
    await listener.listen('orders/new');
    const headers = { 'content-type': 'application/json', traceparent: TRACE, tracestate: 'v=1' };
    const answer = await post(
      '/v1.0/publish/events/orders/new?metadata.ttlInSeconds=60',
      '{"big":12345678901234567890}',
      headers,
    );
    expect(answer).toMatchObject({ status: 204, body: '' });
    expect(answer.headers).toMatchObject({ [ID]: expect.stringMatching(/./) as string, [PERSISTED]: 'true' });
    const message = await listener.nextMessage('orders/new');
    expect(message.id).toBe(answer.headers[ID]);
    const text = Buffer.from(message.data).toString();
    expect(text).toContain('"data":{"big":12345678901234567890}');
    expect(JSON.parse(text)).toMatchObject({
      source: 'shop',
      topic: 'orders/new',
      traceparent: TRACE,
      tracestate: 'v=1',
      expiration: expect.any(String) as string,
    });
  });

  test('over HTTP in bulk, and raw', async () => {
    await listener.listen('raw');
    const entries = '[{"entryId":"1","event":"AP8=","contentType":"application/octet-stream"}]';
    const answer = await post(
      '/v1.0-alpha1/publish/bulk/events/raw?metadata.rawPayload=true',
      entries,
      JSON_BODY,
    );
    expect(answer.status).toBe(204);
    expect(Buffer.from((await listener.nextMessage('raw')).data)).toEqual(Buffer.from([0, 255]));
  });

  test('over the JSON door', async () => {
    await listener.listen('json');
    const body = JSON.stringify({
      pubsubName: 'events',
      topic: 'json',
      data: 'aGk=',
      dataContentType: 'text/plain',
    });
    const answer = await post('/v1.0-layotto/pubsub/PublishEvent', body, JSON_BODY);
    expect(answer.status).toBe(200);
    const { messageId, persisted } = JSON.parse(answer.body) as { messageId: string; persisted: boolean };
    expect(persisted).toBe(true);
    expect(answer.headers).toMatchObject({ [ID]: messageId, [PERSISTED]: 'true' });
    const message = await listener.nextMessage('json');
    expect(message.id).toBe(messageId);
    expect(Buffer.from(message.data).toString()).toContain('"source":"runtime"');
  });

  test('over the JSON door in bulk', async () => {
    const entries = ['1', '2'].map((entryId) => ({ entryId, event: 'aGk=', contentType: 'text/plain' }));
    const body = JSON.stringify({ pubsubName: 'events', topic: 'json bulk', entries });
    const answer = await post('/v1.0-layotto/pubsub/BulkPublishEvent', body, JSON_BODY);
    expect(answer.status).toBe(200);
    const { publishedEntries } = JSON.parse(answer.body) as { publishedEntries: { messageId: string }[] };
    expect(publishedEntries).toHaveLength(2);
    const ids = publishedEntries.map(({ messageId }) => messageId).join(',');
    expect(answer.headers).toMatchObject({ [ID]: ids, [PERSISTED]: 'true' });
  });

  test('to Redis, in the form that Dapr and Layotto read', async () => {
    expect((await post('/v1.0/publish/redis/orders', 'hello', { 'content-type': 'text/plain' })).status).toBe(
      204,
    );
    const [entry] = await redis.xrange('orders', '-', '+');
    const [id, fields = []] = entry ?? [];
    expect(id).toMatch(/^\d+-\d+$/);
    expect(fields[0]).toBe('data');
    expect(JSON.parse(fields[1] ?? '')).toMatchObject({ data: 'hello', source: 'shop', topic: 'orders' });
  });

  test('later to a broker that cannot delay, over a bridge that is killed', async () => {
    const client = await runtime.connect();
    const request = {
      componentName: 'redis',
      topic: 'delayed',
      data: Buffer.from('late'),
      delayInSeconds: 2,
    };
    const schemas = [pb.PublishDelayMessageRequestSchema, pb.PublishDelayMessageResponseSchema] as const;
    const answer = await client.unary(DELAY, schemas[0], request, schemas[1]);
    expect(answer).toMatchObject({ grpcStatus: 0, headers: { [PERSISTED]: 'true' } });
    await runtime.killBridge();
    await runtime.restartBridge();
    expect(await redis.xlen('delayed')).toBe(0);
    await eventually('it is published', async () => (await redis.xlen('delayed')) === 1, {
      timeoutMs: 15_000,
    });
    await eventually('the listener is back', () => runtime.componentsReady().then(() => true));
  }, 60_000);

  test('refuses what the app may not publish to', async () => {
    expect((await post('/v1.0/publish/scoped/a')).status).toBe(204);
    for (const topic of ['b', 'c']) {
      const answer = await post(`/v1.0/publish/scoped/${topic}`);
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body)).toMatchObject({
        errorCode: 'ERR_PUBSUB_FORBIDDEN',
        message: `topic ${topic} is not allowed for app id shop`,
      });
    }
    const body = JSON.stringify({ pubsubName: 'scoped', topic: 'c' });
    const json = await post('/v1.0-layotto/pubsub/PublishEvent', body, JSON_BODY);
    expect(json.status).toBe(403);
    expect(json.body).toContain('topic c is not allowed for app id shop');
  });

  test('is measured by component', async () => {
    const name = 'layotto_bridge_pubsub_publish_seconds_count\\{component="redis"\\}';
    await post('/v1.0/publish/redis/orders');
    expect(await runtime.bridgeMetric(name)).toBeGreaterThan(0);
  });

  test('fails at once where the broker is away', async () => {
    await server.stop();
    const answer = await eventually('it is noticed', async () => {
      const given = await post('/v1.0/publish/redis/t');
      return given.status === 204 ? undefined : given;
    });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toMatchObject({
      errorCode: 'ERR_PUBSUB_PUBLISH_MESSAGE',
      message: expect.stringContaining(
        'error when publish to topic t in pubsub redis: pubsub redis is not ready',
      ) as string,
    });
  });
});
