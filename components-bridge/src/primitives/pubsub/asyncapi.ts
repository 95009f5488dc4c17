import type { TopicScopes } from '../../config/types.js';
import type { Component } from '../component.js';
import type { ComponentRegistry } from '../registry.js';
import { CLOUD_EVENT } from './content-types.js';
import type { PublishedTopic } from './published-topics.js';
import type { SubscriptionSpec } from './subscription.js';

/** What is known of an app's topics. */
export interface Topics {
  /** The app's id. */
  app: string;
  /** Where the app reaches the runtime. */
  listen: { host: string; port: number };
  registry: Pick<ComponentRegistry, 'find' | 'health'>;
  subscriptions: readonly SubscriptionSpec[];
  published: readonly PublishedTopic[];
}

type Json = Record<string, unknown>;

/** Protocols as AsyncAPI names them, by what a broker says it is. */
const PROTOCOLS: Readonly<Record<string, string>> = { redis: 'redis', nats: 'nats', kafka: 'kafka' };

/** A channel that is being described. */
interface Channel {
  readonly pubsub: string;
  readonly topic: string;
  readonly published?: PublishedTopic;
  readonly subscriptions: SubscriptionSpec[];
  /** Topics whose dead letters come here. */
  readonly deadLettersOf: string[];
}

/**
 * The app's topics as an AsyncAPI 3.0 document: brokers are its servers, topics its channels, and what the app publishes
 * and is subscribed to its operations. What AsyncAPI has no word for stands in members that begin with `x-layotto-`.
 *
 * @see https://www.asyncapi.com/docs/reference/specification/v3.0.0
 */
export function asyncApiDocument(topics: Topics): Json {
  const { app, registry } = topics;
  const servers: Json = {};
  const serverKeys = new Map<string, string>();
  const channels = new Map<string, Channel>();
  const keys = new Keys();
  for (const { primitive, name } of registry.health()) {
    if (primitive !== 'pubsub') continue;
    const key = keys.of(name);
    const slot = registry.find(primitive, name);
    serverKeys.set(name, key);
    servers[key] = server(topics, name, slot?.config.type ?? '', slot?.instance);
    for (const topic of namedTopics(slot?.config.topicScopes, app)) note(channels, name, topic);
  }
  // Of brokers that were taken away nobody is told any more.
  for (const one of topics.published)
    if (serverKeys.has(one.pubsub)) note(channels, one.pubsub, one.topic, { published: one });
  for (const one of topics.subscriptions) {
    note(channels, one.pubsubName, one.topic).subscriptions.push(one);
    if (one.deadLetterTopic === '') continue;
    const { deadLettersOf } = note(channels, one.pubsubName, one.deadLetterTopic);
    if (!deadLettersOf.includes(one.topic)) deadLettersOf.push(one.topic);
  }
  const described: Json = {};
  const operations: Json = {};
  const operationKeys = new Keys();
  for (const channel of channels.values()) {
    const key = keys.of(`${channel.pubsub}.${channel.topic}`);
    described[key] = channelOf(channel, serverKeys.get(channel.pubsub));
    Object.assign(operations, operationsOf(channel, key, operationKeys));
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: `Topics of ${app}`,
      version: '1.0',
      description:
        'What the app publishes to and is subscribed to, as its runtime knows it: topics that the configuration names, ' +
        'subscriptions that hold now, of functions too, and what the app has published.',
    },
    defaultContentType: CLOUD_EVENT,
    servers,
    channels: described,
    operations,
    components: { schemas: { CloudEvent: cloudEvent() } },
  };
}

/** Names that may stand in references, each given once. */
class Keys {
  readonly #given = new Set<string>();

  of(name: string): string {
    const plain = name.replace(/[^\w-]+/g, '_') || '_';
    let key = plain;
    for (let n = 2; this.#given.has(key); n++) key = `${plain}_${n}`;
    this.#given.add(key);
    return key;
  }
}

function server({ listen }: Topics, name: string, type: string, instance: Component | undefined): Json {
  const { system = '', address, port } = instance?.place ?? {};
  const facts = { title: name, 'x-layotto-component': name, 'x-layotto-type': type };
  // An embedded broker, and one that has not been found yet, are reached by way of the runtime only.
  if (address === undefined)
    return { ...facts, host: `${listen.host}:${listen.port}`, protocol: 'http', description: BY_RUNTIME };
  const host = port === undefined ? address : `${address}:${port}`;
  return { ...facts, host, protocol: PROTOCOLS[system] ?? system };
}

const BY_RUNTIME = 'The runtime itself, whose APIs the app publishes by and is subscribed by.';

/** Topics that the configuration names for an app. */
function namedTopics(scopes: TopicScopes | undefined, app: string): string[] {
  if (scopes === undefined) return [];
  const { allowed, publishing, subscription } = scopes;
  return [...allowed, ...(publishing[app] ?? []), ...(subscription[app] ?? [])];
}

function note(
  channels: Map<string, Channel>,
  pubsub: string,
  topic: string,
  more: Pick<Channel, 'published'> = {},
): Channel {
  const id = JSON.stringify([pubsub, topic]);
  const channel = { deadLettersOf: [], subscriptions: [], ...channels.get(id), pubsub, topic, ...more };
  channels.set(id, channel);
  return channel;
}

function channelOf({ pubsub, topic, published, deadLettersOf }: Channel, server: string | undefined): Json {
  const types = published?.types ?? [];
  return {
    // Braces would be parameters.
    address: /[{}]/.test(topic) ? null : topic,
    title: topic,
    ...(server === undefined ? {} : { servers: [{ $ref: `#/servers/${server}` }] }),
    messages: {
      event: {
        name: 'CloudEvent',
        contentType: CLOUD_EVENT,
        payload: {
          allOf: [
            { $ref: '#/components/schemas/CloudEvent' },
            ...(types.length === 0
              ? []
              : [{ type: 'object', properties: { datacontenttype: { type: 'string', examples: types } } }]),
          ],
        },
      },
      ...Object.fromEntries((published?.rawTypes ?? []).map((type, index) => [`raw${index + 1}`, raw(type)])),
    },
    'x-layotto-component': pubsub,
    ...(deadLettersOf.length === 0 ? {} : { 'x-layotto-dead-letters-of': deadLettersOf }),
  };
}

function raw(contentType: string): Json {
  return { name: 'Payload', title: 'A payload without an envelope (rawPayload)', contentType, payload: {} };
}

function operationsOf({ published, subscriptions }: Channel, key: string, keys: Keys): Json {
  const channel = { $ref: `#/channels/${key}` };
  const message = (name: string): Json => ({ $ref: `#/channels/${key}/messages/${name}` });
  const operations: Json = {};
  if (published !== undefined) {
    const { types, rawTypes } = published;
    const messages = rawTypes.map((_, index) => message(`raw${index + 1}`));
    if (types.length > 0 || messages.length === 0) messages.unshift(message('event'));
    operations[keys.of(`publish_${key}`)] = { action: 'send', channel, messages };
  }
  for (const subscription of subscriptions) {
    const { function: id } = subscription;
    operations[keys.of(id === undefined ? `receive_${key}` : `trigger_${id}_${key}`)] = {
      ...{ action: 'receive', channel, messages: [message('event')] },
      ...deliveryOf(subscription),
    };
  }
  return operations;
}

/** What a subscription asks for. */
function deliveryOf(subscription: SubscriptionSpec): Json {
  const { callback, origin, rules, deadLetterTopic, bulk, concurrency, maxDeliveries } = subscription;
  const routes = rules.map(({ match, path }) => (match === '' ? { path } : { match, path }));
  const routed = routes.some(({ path }) => path !== '');
  return {
    'x-layotto-origin': origin,
    ...(subscription.function === undefined ? {} : { 'x-layotto-function': subscription.function }),
    'x-layotto-callback': origin === 'STREAMING' ? 'stream' : callback,
    ...(routed ? { 'x-layotto-routes': routes } : {}),
    ...(deadLetterTopic === '' ? {} : { 'x-layotto-dead-letter-topic': deadLetterTopic }),
    ...(bulk === undefined ? {} : { 'x-layotto-bulk': { ...bulk } }),
    'x-layotto-concurrency': concurrency,
    ...(maxDeliveries === undefined ? {} : { 'x-layotto-max-deliveries': maxDeliveries }),
  };
}

/** The envelope, see envelope.ts. */
function cloudEvent(): Json {
  const text = (description: string, more: Json = {}): Json => ({ type: 'string', description, ...more });
  return {
    type: 'object',
    description: 'A CloudEvent 1.0 in JSON.',
    properties: {
      specversion: { type: 'string', const: '1.0' },
      id: text('Of the event; with its source it is the same for the same event.', { minLength: 1 }),
      source: text("The publishing app's id, or `runtime`.", { minLength: 1 }),
      type: text('What happened.', {
        minLength: 1,
        examples: ['com.dapr.event.sent', 'com.runtime.event.sent'],
      }),
      datacontenttype: text('Of `data`.'),
      subject: text('What the event is about.'),
      time: text('When it was published.', { format: 'date-time' }),
      expiration: text('When it is of no use any more; it is not delivered then.', { format: 'date-time' }),
      topic: text('Where it was published to.'),
      pubsubname: text('The component that it was published by.'),
      traceid: text('The same as `traceparent`.'),
      traceparent: text("W3C trace context of the publisher's call."),
      tracestate: text('The other part of it.'),
      data: { description: 'JSON as it was published, or a text.' },
      data_base64: text('Data that are no UTF-8.', { contentEncoding: 'base64' }),
    },
    required: ['specversion', 'id', 'source', 'type'],
    additionalProperties: true,
  };
}
