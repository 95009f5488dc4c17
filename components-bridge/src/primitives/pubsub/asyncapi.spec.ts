import { asyncApiProblems } from '../../../../test/support/asyncapi.js';
import type { ComponentConfig } from '../../config/types.js';
import type { ComponentSlot } from '../slot.js';
import { asyncApiDocument } from './asyncapi.js';
import type { Topics } from './asyncapi.js';
import { PublishedTopics } from './published-topics.js';
import type { SubscriptionSpec } from './subscription.js';

const SUBSCRIPTION: SubscriptionSpec = {
  ...{ pubsubName: 'events', topic: 'orders', callback: 'dapr-http', origin: 'DECLARATIVE', metadata: {} },
  rules: [
    { match: 'event.data.total > 100', path: '/large' },
    { match: '', path: '/orders' },
  ],
  ...{ deadLetterTopic: 'orders-dead', concurrency: 10, maxDeliveries: 5, raw: false },
};

/** Brokers as the registry knows them. */
function topics(
  brokers: Record<
    string,
    Partial<ComponentConfig> & { place?: { address?: string; port?: number; system: string } }
  >,
  more: Partial<Topics> = {},
): Topics {
  return {
    app: 'shop',
    listen: { host: '127.0.0.1', port: 34904 },
    registry: {
      health: () => [
        { primitive: 'state', name: 'kept', type: 'state.embedded', status: 'ready' },
        ...Object.keys(brokers).map((name) => ({
          ...{ primitive: 'pubsub', name, type: brokers[name]?.type ?? '', status: 'ready' as const },
        })),
      ],
      find: (_, name) => {
        const { place, ...config } = brokers[name] ?? {};
        return { config, instance: { place } } as unknown as ComponentSlot;
      },
    },
    subscriptions: [],
    published: [],
    ...more,
  };
}

function checked(given: Topics): Record<string, unknown> {
  const document = JSON.parse(JSON.stringify(asyncApiDocument(given))) as Record<string, unknown>;
  expect(asyncApiProblems(document)).toEqual([]);
  return document;
}

it('tells of brokers, and of topics that the configuration names for the app', () => {
  const topicScopes = {
    ...{ allowed: ['a'], protected: [] },
    ...{ publishing: { shop: ['b'], other: ['c'] }, subscription: {} },
  };
  const document = checked(
    topics({
      events: { type: 'pubsub.embedded', topicScopes },
      'on redis': { type: 'pubsub.redis', place: { system: 'redis', address: 'redis.internal', port: 6379 } },
      'on/redis': { type: 'pubsub.jetstream', place: { system: 'nats', address: 'nats', port: 4222 } },
    }),
  );
  expect(document['servers']).toMatchObject({
    events: { host: '127.0.0.1:34904', protocol: 'http', 'x-layotto-type': 'pubsub.embedded' },
    on_redis: { host: 'redis.internal:6379', protocol: 'redis', 'x-layotto-component': 'on redis' },
    on_redis_2: { host: 'nats:4222', protocol: 'nats' },
  });
  expect(document['channels']).toMatchObject({
    events_a: { address: 'a', servers: [{ $ref: '#/servers/events' }] },
    events_b: { address: 'b' },
  });
  expect(document['operations']).toEqual({});
});

it('tells of what is subscribed to and published', () => {
  const published = new PublishedTopics();
  published.add('events', 'orders', 'application/json', false);
  published.add('events', 'orders', 'text/plain', false);
  published.add('events', 'orders', 'image/png', true);
  published.add('events', 'only {raw}', 'image/png', true);
  const subscriptions: SubscriptionSpec[] = [
    SUBSCRIPTION,
    {
      ...SUBSCRIPTION,
      ...{ topic: 'clicks', deadLetterTopic: '', maxDeliveries: undefined, origin: 'STREAMING' },
      ...{ callback: 'layotto', rules: [{ match: '', path: '' }], bulk: { maxMessages: 5, maxAwaitMs: 200 } },
    },
    { ...SUBSCRIPTION, topic: 'orders-dead', deadLetterTopic: '' },
    { ...SUBSCRIPTION, callback: 'function', function: 'worker' },
    { ...SUBSCRIPTION, callback: 'function', function: 'worker_events', topic: 'x', deadLetterTopic: '' },
    { ...SUBSCRIPTION, callback: 'function', function: 'worker', topic: 'events_x', deadLetterTopic: '' },
  ];
  const document = checked(
    topics({ events: { type: 'pubsub.embedded' } }, { subscriptions, published: published.all }),
  );
  const orders = { $ref: '#/channels/events_orders' };
  expect(document['operations']).toMatchObject({
    publish_events_orders: {
      ...{ action: 'send', channel: orders },
      messages: [
        { $ref: '#/channels/events_orders/messages/event' },
        { $ref: '#/channels/events_orders/messages/raw1' },
      ],
    },
    receive_events_orders: {
      ...{ action: 'receive', channel: orders },
      'x-layotto-routes': [{ match: 'event.data.total > 100', path: '/large' }, { path: '/orders' }],
      'x-layotto-dead-letter-topic': 'orders-dead',
      'x-layotto-max-deliveries': 5,
      'x-layotto-callback': 'dapr-http',
    },
    receive_events_clicks: { 'x-layotto-callback': 'stream', 'x-layotto-bulk': { maxMessages: 5 } },
    'receive_events_orders-dead': { action: 'receive' },
    trigger_worker_events_orders: { action: 'receive', channel: orders, 'x-layotto-function': 'worker' },
    trigger_worker_events_events_x: { 'x-layotto-function': 'worker_events' },
    trigger_worker_events_events_x_2: { 'x-layotto-function': 'worker' },
    publish_events_only_raw_: { messages: [{ $ref: '#/channels/events_only_raw_/messages/raw1' }] },
  });
  expect(document['channels']).toMatchObject({
    events_orders: {
      messages: {
        event: {
          contentType: 'application/cloudevents+json',
          payload: {
            allOf: [
              { $ref: '#/components/schemas/CloudEvent' },
              { properties: { datacontenttype: { examples: ['application/json', 'text/plain'] } } },
            ],
          },
        },
        raw1: { contentType: 'image/png' },
      },
    },
    'events_orders-dead': { 'x-layotto-dead-letters-of': ['orders'] },
    // Braces would be parameters.
    events_only_raw_: { address: null, title: 'only {raw}' },
  });
});

it('is bounded, whatever is published', () => {
  const published = new PublishedTopics();
  for (let n = 0; n < 1_100; n++) published.add('events', `t${n}`, 'text/plain', false);
  for (let n = 0; n < 20; n++) published.add('events', 't0', `text/x${n}`, false);
  published.add('events', 't1', `text/${'x'.repeat(300)}`, false);
  expect(published.all).toHaveLength(1_000);
  expect(published.all[0]?.types).toHaveLength(8);
  expect(published.all[1]?.types).toEqual(['text/plain']);
});

it('is checked by a schema that finds what is wrong', () => {
  const document = checked(topics({ events: { type: 'pubsub.embedded' } }));
  expect(asyncApiProblems({ ...document, info: {} })).not.toEqual([]);
  expect(
    asyncApiProblems({ ...document, operations: { a: { action: 'eat', channel: { $ref: '#/x' } } } }),
  ).toEqual(expect.arrayContaining(['#/x leads nowhere', expect.stringContaining('allowed values')]));
});
