import type { DaprClient } from '@dapr/dapr';
import { Client as LayottoClient } from 'layotto';
import { DAPR_DOORS, startDaprClient } from '../support/dapr-client.js';
import { Listener } from '../support/topic-listener.js';
import { GRPC_SERVERS, Runtime } from '../support/runtime.js';

/** The published clients, unmodified, publish. */
describe('published clients', () => {
  let runtime: Runtime;
  let listener: Listener;

  beforeAll(async () => {
    runtime = await Runtime.start({
      listen: true,
      appId: 'shop',
      components: [{ name: 'events', type: 'pubsub.embedded' }],
    });
    listener = await Listener.of(runtime.config.dataDir, 'events');
  });

  afterAll(async () => {
    await listener?.close();
    await runtime?.stop();
  });

  describe.each(GRPC_SERVERS)('layotto over gRPC, by %s', (by, portOf) => {
    let client: LayottoClient;

    beforeAll(() => {
      client = new LayottoClient(String(portOf(runtime)), '127.0.0.1');
    });

    // The client has no call that ends its connection.
    afterAll(() => (client as unknown as { _runtime: { close(): void } })._runtime.close());

    test('publishes', async () => {
      const topic = `layotto-${by}`;
      await listener.listen(topic);
      await client.pubsub.publish({ pubsubName: 'events', topic, data: { order: 7 } });
      expect(await listener.next(topic)).toMatchObject({
        specversion: '1.0',
        source: 'runtime',
        type: 'com.runtime.event.sent',
        datacontenttype: 'application/json',
        data: { order: 7 },
        topic,
        pubsubname: 'events',
      });
    });

    test('is told what is wrong', async () => {
      const wrong = (pubsubName: string, topic: string) =>
        client.pubsub.publish({ pubsubName, topic, data: {} });
      await expect(wrong('nope', 't')).rejects.toMatchObject({ code: 3, details: 'pubsub nope not found' });
      await expect(wrong('events', '')).rejects.toMatchObject({
        code: 3,
        details: 'topic is empty in pubsub events',
      });
    });
  });

  describe.each(DAPR_DOORS)('@dapr/dapr over %s', (title, _, communicationProtocol, portOf) => {
    let client: DaprClient;

    beforeAll(async () => {
      client = await startDaprClient(portOf(runtime), communicationProtocol);
    });

    afterAll(() => client?.stop());

    test('publishes', async () => {
      const topic = `dapr ${title}`;
      await listener.listen(topic);
      const topicInPath = title === 'HTTP' ? encodeURIComponent(topic) : topic;
      const options = { metadata: { ttlInSeconds: '60', 'cloudevent.type': 'order' } };
      expect(await client.pubsub.publish('events', topicInPath, { order: 7 }, options)).toEqual({});
      expect(await client.pubsub.publish('events', topicInPath, 'hello')).toEqual({});
      expect(await listener.next(topic)).toMatchObject({
        specversion: '1.0',
        source: 'shop',
        type: 'order',
        datacontenttype: expect.stringMatching(/^application\/json/) as string,
        data: { order: 7 },
        expiration: expect.any(String) as string,
        topic,
      });
      expect(await listener.next(topic)).toMatchObject({ type: 'com.dapr.event.sent', data: 'hello' });
    });

    test('publishes a CloudEvent of its own', async () => {
      const topic = `own-${title.replace(/\W/g, '')}`;
      await listener.listen(topic);
      const event = { specversion: '1.0', type: 't', source: '/s', id: 'own', data: { a: 1 } };
      const options = { contentType: 'application/cloudevents+json' };
      expect(await client.pubsub.publish('events', topic, event, options)).toEqual({});
      expect(await listener.next(topic)).toMatchObject({ ...event, topic, pubsubname: 'events' });
    });

    test('publishes in bulk', async () => {
      const topic = `bulk-${title.replace(/\W/g, '')}`;
      await listener.listen(topic);
      const messages = [
        { entryID: '1', event: { a: 1 }, contentType: 'application/json', metadata: {} },
        { entryID: '2', event: 'two', contentType: 'text/plain', metadata: {} },
      ];
      expect(await client.pubsub.publishBulk('events', topic, messages)).toEqual({ failedMessages: [] });
      expect([await listener.next(topic), await listener.next(topic)]).toMatchObject([
        { data: { a: 1 } },
        { data: 'two' },
      ]);
    });

    test('is told what is wrong', async () => {
      const publish = async (): Promise<unknown> => {
        try {
          const { error } = await client.pubsub.publish('nope', 't', 'x');
          return error;
        } catch (error) {
          return (error as { error: unknown }).error;
        }
      };
      expect(String(await publish())).toContain('pubsub nope is not found');
      const { failedMessages } = await client.pubsub.publishBulk('nope', 't', ['a', 'b']);
      expect(failedMessages).toHaveLength(2);
    });
  });
});
