import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { pino } from 'pino';
import * as z from 'zod';

import * as pb from '../../gen/layotto/bridge/v1/pubsub_pb.js';
import { Policy } from '../../policy/policy.js';
import type { PolicySource } from '../../policy/compile.js';
import { Call } from '../call.js';
import type { ComponentType } from '../component.js';
import { Code } from '../errors.js';
import { ComponentRegistry } from '../registry.js';
import { BrokerError } from './broker.js';
import type { Broker, OutgoingMessage, Published } from './broker.js';
import { PubSubService } from './service.js';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** A broker that answers what it is told to. */
class FakeBroker implements Broker {
  delays = true;
  readonly published: { topic: string; message: OutgoingMessage }[] = [];
  answer: (index: number) => Published | BrokerError = (index) => ({ id: `id-${index}`, persisted: true });

  async publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]> {
    const outcomes = messages.map((_, index) => this.answer(index));
    this.published.push(...messages.map((message) => ({ topic, message })));
    return outcomes;
  }

  subscribe(): Promise<never> {
    throw new Error('not asked for here');
  }

  async close(): Promise<void> {
    // Nothing to let go of.
  }

  get events(): Record<string, unknown>[] {
    return this.published.map(
      ({ message }) => JSON.parse(Buffer.from(message.data).toString()) as Record<string, unknown>,
    );
  }
}

let broker: FakeBroker;
let registry: ComponentRegistry;
let service: PubSubService;

function serve(policy: PolicySource = { components: [] }): void {
  service = new PubSubService({ registry, policy: new Policy(policy), appId: 'shop' });
}

beforeEach(async () => {
  broker = new FakeBroker();
  const type: ComponentType = {
    type: 'pubsub.fake',
    primitive: 'pubsub',
    capabilities: [],
    metadata: z.object({}),
    load: async () => ({ open: async () => broker }),
  };
  const component = { name: 'events', type: type.type, version: 'v1', primitive: 'pubsub', metadata: {} };
  registry = new ComponentRegistry({
    components: [{ ...component, form: 'native', origin: { file: 'test', line: 0 } }],
    types: [type],
    dataDir: '/nowhere',
    log: pino({ level: 'silent' }),
  });
  registry.start();
  await registry.firstTries(5_000);
  serve();
});

afterEach(() => registry.close());

async function call(method: string, payload: Uint8Array, traceparent = ''): Promise<Uint8Array> {
  const name = `layotto.bridge.v1.PubSub/${method}`;
  const handler = service.handlers.get(name);
  if (handler === undefined) throw new Error(`no handler for ${name}`);
  return handler(payload, new Call(name, traceparent, performance.now()));
}

type Init<Message> = Partial<Omit<Message, '$typeName' | '$unknown'>>;

async function publish(
  fields: Init<pb.PublishEventRequest>,
  traceparent = '',
): Promise<pb.PublishEventResponse> {
  const request = create(pb.PublishEventRequestSchema, { pubsubName: 'events', topic: 't', ...fields });
  const payload = toBinary(pb.PublishEventRequestSchema, request);
  return fromBinary(pb.PublishEventResponseSchema, await call('PublishEvent', payload, traceparent));
}

interface Entry {
  entryId: string;
  event?: Uint8Array;
  contentType?: string;
  metadata?: Record<string, string>;
}

async function bulk(entries: Entry[], metadata = {}): Promise<pb.BulkPublishEventResponse> {
  const fields = { pubsubName: 'events', topic: 't', entries, metadata, envelope: pb.Envelope.DAPR };
  const payload = toBinary(
    pb.BulkPublishEventRequestSchema,
    create(pb.BulkPublishEventRequestSchema, fields),
  );
  return fromBinary(pb.BulkPublishEventResponseSchema, await call('BulkPublishEvent', payload));
}

async function later(delayInSeconds: number, metadata = {}): Promise<pb.PublishDelayMessageResponse> {
  const fields = { componentName: 'events', topic: 't', delayInSeconds, metadata };
  const request = create(pb.PublishDelayMessageRequestSchema, fields);
  const payload = toBinary(pb.PublishDelayMessageRequestSchema, request);
  return fromBinary(pb.PublishDelayMessageResponseSchema, await call('PublishDelayMessage', payload));
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('PublishEvent', () => {
  it("puts the API's envelope around the data, and says what the broker made of it", async () => {
    expect(await publish({ data: bytes('a') }, TRACE)).toMatchObject({ messageId: 'id-0', persisted: true });
    await publish({ data: bytes('b'), envelope: pb.Envelope.DAPR }, TRACE);
    expect(broker.events).toMatchObject([
      { source: 'runtime', data: 'a', topic: 't', pubsubname: 'events', traceparent: TRACE },
      { source: 'shop', data: 'b', topic: 't', pubsubname: 'events', traceparent: TRACE },
    ]);
  });

  it('does not pass on a trace context that is none', async () => {
    await publish({ data: bytes('a') }, 'nonsense');
    expect(broker.events).toMatchObject([{ traceid: '' }]);
  });

  it.each([
    [{ pubsubName: '' }, 'pubsub name is empty'],
    [{ topic: '' }, 'topic is empty in pubsub events'],
    [{ pubsubName: 'nope' }, 'pubsub nope not found'],
    [{ metadata: { ttlInSeconds: 'x' } }, 'failed deserializing metadata: ttlInSeconds value must be'],
    [{ metadata: { rawPayload: 'x' } }, 'failed deserializing metadata: rawPayload value must be'],
    [
      { data: bytes('{'), dataContentType: 'application/cloudevents+json' },
      'cannot create cloudevent: application/cloudevents+json is a JSON object, and this is none',
    ],
  ])('refuses %j', async (fields, message) => {
    await expect(publish(fields)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message) as string,
    });
    expect(broker.published).toEqual([]);
  });

  it.each([
    ['unavailable', Code.UNAVAILABLE, 'pubsub events is not ready: no'],
    ['failed', Code.INTERNAL, 'no'],
    ['full', Code.RESOURCE_EXHAUSTED, 'no'],
    ['invalid', Code.INVALID_ARGUMENT, 'error when publish to topic t in pubsub events: no'],
  ] as const)('tells of a broker error: %s', async (kind, code, message) => {
    broker.answer = () => new BrokerError(kind, 'no');
    await expect(publish({})).rejects.toMatchObject({ code, message });
  });

  it('measures by component, failures too', async () => {
    await publish({});
    broker.answer = () => new BrokerError('failed', 'no');
    await expect(publish({})).rejects.toThrow('no');
    expect([...service.latencies].map(([name, { count }]) => [name, count])).toEqual([['events', 2]]);
  });
});

describe('BulkPublishEvent', () => {
  it('publishes in order, with the metadata of request and entry', async () => {
    const metadata = { 'cloudevent.type': 'all', a: 'b' };
    const response = await bulk(
      [
        { entryId: '1', event: bytes('x') },
        { entryId: '2', event: bytes('{"a":1}'), contentType: 'application/json' },
        { entryId: '3', event: bytes('z'), metadata: { 'cloudevent.type': 'own' } },
      ],
      metadata,
    );
    expect(broker.events).toMatchObject([
      { data: 'x', type: 'all' },
      { data: { a: 1 }, type: 'all' },
      { data: 'z', type: 'own' },
    ]);
    expect(broker.published[2]?.message.metadata).toEqual({ 'cloudevent.type': 'own', a: 'b' });
    expect(response).toMatchObject({
      code: 0,
      failedEntries: [],
      publishedEntries: [
        { entryId: '1', messageId: 'id-0', persisted: true },
        { entryId: '2', messageId: 'id-1', persisted: true },
        { entryId: '3', messageId: 'id-2', persisted: true },
      ],
    });
  });

  it('tells of each entry that failed', async () => {
    broker.answer = (index) =>
      index === 1 ? new BrokerError('invalid', 'too long') : { id: `${index}`, persisted: false };
    expect(await bulk([{ entryId: 'a' }, { entryId: 'b' }, { entryId: 'c' }])).toMatchObject({
      code: 0,
      failedEntries: [{ entryId: 'b', error: 'too long' }],
      publishedEntries: [{ entryId: 'a', persisted: false }, { entryId: 'c' }],
    });
  });

  it('tells of all if the broker took none', async () => {
    broker.answer = () => {
      throw new BrokerError('unavailable', 'away');
    };
    expect(await bulk([{ entryId: 'a' }, { entryId: 'b' }])).toMatchObject({
      code: Code.UNAVAILABLE,
      failedEntries: [
        { entryId: 'a', error: 'pubsub events is not ready: away' },
        { entryId: 'b', error: 'pubsub events is not ready: away' },
      ],
      publishedEntries: [],
    });
  });

  it('publishes nothing if anything cannot be', async () => {
    for (const [entries, message] of [
      [[{ entryId: 'a' }, { entryId: 'a' }], 'entryId is duplicated or not present for entry "a"'],
      [[{ entryId: 'a' }, { entryId: '' }], 'entryId is duplicated or not present for entry ""'],
      [[{ entryId: 'a' }, { entryId: 'b', metadata: { ttlInSeconds: '0' } }], 'ttlInSeconds'],
    ] as const) {
      await expect(bulk([...entries])).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: expect.stringContaining(message) as string,
      });
    }
    expect(broker.published).toEqual([]);
    expect(await bulk([])).toMatchObject({ code: 0, failedEntries: [], publishedEntries: [] });
  });
});

describe('PublishDelayMessage', () => {
  it('leaves it to a broker that can', async () => {
    const before = Date.now();
    expect(await later(60, { ttlInSeconds: '10' })).toMatchObject({ messageId: 'id-0', persisted: true });
    const { notBefore = 0, expiresAt = 0 } = broker.published[0]?.message ?? {};
    expect(notBefore).toBeGreaterThanOrEqual(before + 60_000);
    expect(notBefore).toBeLessThan(before + 70_000);
    expect(expiresAt - notBefore).toBe(10_000);
    await later(-5);
    expect(broker.published[1]?.message.notBefore).toBeLessThan(before + 10_000);
    expect(broker.events[0]).toMatchObject({ source: 'runtime', topic: 't' });
  });
});

describe('topic scopes', () => {
  it('hold for doors that do not read topics', async () => {
    const topicScopes = {
      allowed: ['a', 'b'],
      protected: [],
      publishing: { shop: ['b', 'c'] },
      subscription: {},
    };
    serve({ components: [{ name: 'events', primitive: 'pubsub', topicScopes }], app: { id: 'shop' } });
    const name = 'layotto.bridge.v1.PubSub/PublishEvent';
    const json = new Call('layotto.bridge.v1.Json/PubSub.PublishEvent', '', performance.now());
    json.caller = { app: 'shop', spiffe: '' };
    const send = async (topic: string): Promise<unknown> => {
      const request = create(pb.PublishEventRequestSchema, { pubsubName: 'events', topic });
      return service.handlers.get(name)?.(toBinary(pb.PublishEventRequestSchema, request), json);
    };
    await send('b');
    for (const topic of ['a', 'c', 'd']) {
      await expect(send(topic)).rejects.toMatchObject({
        code: Code.PERMISSION_DENIED,
        message: `topic ${topic} is not allowed for app id shop`,
      });
    }
    expect(broker.published).toHaveLength(1);
  });
});
