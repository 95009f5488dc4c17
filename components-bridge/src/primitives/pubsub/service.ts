import { create, toBinary } from '@bufbuild/protobuf';
import type { Logger } from 'pino';

import * as pb from '../../gen/layotto/bridge/v1/pubsub_pb.js';
import type { Policy } from '../../policy/policy.js';
import { Histogram } from '../../telemetry/histogram.js';
import { parseTraceparent } from '../../telemetry/traceparent.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import { BrokerError } from './broker.js';
import type { Broker, OutgoingMessage, Published } from './broker.js';
import { bare, BYTES, TEXT } from './content-types.js';
import { envelop, EnvelopeError } from './envelope.js';
import type { Publication } from './envelope.js';
import { isRaw } from './metadata.js';
import { PublishedTopics } from './published-topics.js';

export interface PubSubServiceOptions {
  registry: ComponentRegistry;
  /** Says who may publish to which topic. */
  policy: Policy;
  /** Counts what brokers are asked; by default for nobody. */
  backends?: Backends;
  /** The source of the app's events. */
  appId: string;
  /** See `PublishedTopics`. */
  kept?: { file: string; log: Logger };
}

/** What a broker is asked to do, as metrics and traces name it. */
type Asking = 'publish' | 'bulk-publish' | 'delay';

/** What the same is called in policies. */
const OPERATION: Readonly<Record<Asking, string>> = {
  publish: 'PublishEvent',
  'bulk-publish': 'BulkPublishEvent',
  delay: 'PublishDelayMessage',
};

/** Where something is published to. */
interface Target {
  pubsub: string;
  topic: string;
}

const PUBSUB = 'pubsub';
const JSON_METHODS = 'layotto.bridge.v1.Json/';

/** Publishing: canonical messages in, messages for brokers out, and what brokers made of them back. */
export class PubSubService implements Service {
  readonly name = pb.PubSub.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** How long publishing took, by component: from the call's arrival until the broker had answered. */
  readonly latencies = new Map<string, Histogram>();
  readonly published: PublishedTopics;
  readonly #backends: Backends;

  constructor(private readonly options: PubSubServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.published = new PublishedTopics(options.kept);
    this.handlers = new Map<string, Handler>([
      [`${this.name}/PublishEvent`, (payload, call) => this.#publish(payload, call)],
      [`${this.name}/BulkPublishEvent`, (payload, call) => this.#publishBulk(payload, call)],
      [`${this.name}/PublishDelayMessage`, (payload, call) => this.#publishLater(payload, call)],
    ]);
  }

  async #publish(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.PublishEventRequestSchema, payload);
    const { pubsubName: pubsub, topic, data, dataContentType, metadata } = request;
    const slot = this.#enter(call, 'publish', { pubsub, topic });
    const message = this.#message(call, {
      ...{ pubsub, topic, data, dataContentType, metadata },
      dialect: dialectOf(request.envelope),
    });
    const published = await this.#one(call, slot, ['publish', topic], (broker) =>
      broker.publish(topic, [message]),
    );
    this.#note({ pubsub, topic }, dataContentType, metadata);
    const { id: messageId, persisted } = published;
    const response = create(pb.PublishEventResponseSchema, { messageId, persisted });
    return toBinary(pb.PublishEventResponseSchema, response);
  }

  async #publishBulk(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.BulkPublishEventRequestSchema, payload);
    const { pubsubName: pubsub, topic, entries } = request;
    const target = { pubsub, topic };
    const slot = this.#enter(call, 'bulk-publish', target);
    checkEntries(entries, target);
    const messages = entries.map(({ event, contentType, metadata }) =>
      this.#message(call, {
        ...{ pubsub, topic, data: event, dataContentType: contentType },
        metadata: { ...request.metadata, ...metadata },
        dialect: dialectOf(request.envelope),
      }),
    );
    const response = create(pb.BulkPublishEventResponseSchema);
    if (messages.length > 0) {
      const outcomes = await this.#many(call, slot, topic, messages);
      if (outcomes instanceof OperationError) response.code = outcomes.code;
      for (const [index, { entryId, contentType, metadata }] of entries.entries()) {
        const outcome = outcomes instanceof OperationError ? outcomes : outcomes[index];
        if (outcome === undefined || outcome instanceof Error) {
          const error = this.#backends.reasonOf(outcome ?? 'the broker did not say what became of it');
          response.failedEntries.push(create(pb.FailedEntrySchema, { entryId, error }));
        } else {
          this.#note(target, contentType, { ...request.metadata, ...metadata });
          const { id: messageId, persisted } = outcome;
          const published = create(pb.PublishedEntrySchema, { entryId, messageId, persisted });
          response.publishedEntries.push(published);
        }
      }
    }
    return toBinary(pb.BulkPublishEventResponseSchema, response);
  }

  async #publishLater(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.PublishDelayMessageRequestSchema, payload);
    const { componentName: pubsub, topic, data, dataContentType, metadata } = request;
    const slot = this.#enter(call, 'delay', { pubsub, topic });
    const notBefore = Date.now() + Math.max(0, request.delayInSeconds) * 1_000;
    // The time to live counts from when it can be delivered.
    const message = this.#message(
      call,
      { pubsub, topic, data, dataContentType, metadata, dialect: 'layotto' },
      notBefore,
    );
    const published = await this.#one(call, slot, ['delay', topic], (broker) => {
      if (broker.delays) return broker.publish(topic, [{ ...message, notBefore }]);
      throw new OperationError(Code.UNIMPLEMENTED, `pubsub ${pubsub} cannot delay messages`);
    });
    this.#note({ pubsub, topic }, dataContentType, metadata);
    const { id: messageId, persisted } = published;
    const response = create(pb.PublishDelayMessageResponseSchema, { messageId, persisted });
    return toBinary(pb.PublishDelayMessageResponseSchema, response);
  }

  /** Remembers what was published. */
  #note({ pubsub, topic }: Target, type: string, metadata: Readonly<Record<string, string>>): void {
    const raw = isRaw(metadata);
    this.published.add(pubsub, topic, bare(type) || (raw ? BYTES : TEXT), raw);
  }

  /** The broker's slot. @throws OperationError unless the call may publish to this topic of it */
  #enter(call: Call, asking: Asking, { pubsub, topic }: Target): ComponentSlot {
    if (pubsub === '') throw refused('pubsub name is empty');
    if (topic === '') throw refused(`topic is empty in pubsub ${pubsub}`);
    this.#admit(call, asking, { pubsub, topic });
    const slot = this.options.registry.find(PUBSUB, pubsub);
    if (slot !== undefined) return slot;
    throw this.#backends.unknown(asking, refused(`pubsub ${pubsub} not found`));
  }

  /** Asks the policy about a topic that stood in JSON, which no door reads; of others the door has asked. */
  #admit({ method, caller }: Call, asking: Asking, { pubsub, topic }: Target): void {
    if (!method.startsWith(JSON_METHODS)) return;
    const subject = { primitive: PUBSUB, operation: OPERATION[asking], component: pubsub, name: topic };
    const denial = this.options.policy.admit(caller, subject, true);
    if (denial !== undefined) throw new OperationError(Code.PERMISSION_DENIED, denial.message);
  }

  #message(
    { traceparent }: Call,
    publication: Omit<Publication, 'appId' | 'traceparent'>,
    from = Date.now(),
  ): OutgoingMessage {
    const { appId } = this.options;
    // What is no trace context must not become one for those who read the event.
    const trace = parseTraceparent(traceparent) === undefined ? '' : traceparent;
    try {
      return envelop({ ...publication, appId, traceparent: trace }, from);
    } catch (error) {
      if (!(error instanceof EnvelopeError)) throw error;
      const what = error.kind === 'event' ? 'cannot create cloudevent' : 'failed deserializing metadata';
      throw refused(`${what}: ${error.message}`);
    }
  }

  /** @throws OperationError if the one message was not published */
  #one(
    call: Call,
    slot: ComponentSlot,
    [asking, topic]: [Asking, string],
    publish: (broker: Broker) => Promise<(Published | BrokerError)[]>,
  ): Promise<Published> {
    return this.#ask(call, slot, [asking, topic], async (broker) => {
      const [outcome] = await publish(broker);
      if (outcome === undefined) throw new Error('the broker did not say what became of the message');
      if (outcome instanceof Error) throw outcome;
      return outcome;
    });
  }

  /** What became of each message; or why none was published. */
  async #many(
    call: Call,
    slot: ComponentSlot,
    topic: string,
    messages: readonly OutgoingMessage[],
  ): Promise<(Published | BrokerError)[] | OperationError> {
    try {
      return await this.#ask(call, slot, ['bulk-publish', topic], (broker) =>
        broker.publish(topic, messages),
      );
    } catch (error) {
      if (error instanceof OperationError) return error;
      throw error;
    }
  }

  async #ask<Result>(
    call: Call,
    slot: ComponentSlot,
    [asking, topic]: [Asking, string],
    perform: (broker: Broker) => Promise<Result>,
  ): Promise<Result> {
    try {
      const wording = wordingOf(topic);
      return await slot.use(() => this.#backends.ask(call, slot, asking, perform, wording));
    } finally {
      const { name } = slot.config;
      let latency = this.latencies.get(name);
      if (latency === undefined) this.latencies.set(name, (latency = new Histogram()));
      latency.observe(performance.now() - call.arrived);
    }
  }
}

function dialectOf(envelope: pb.Envelope): Publication['dialect'] {
  return envelope === pb.Envelope.DAPR ? 'dapr' : 'layotto';
}

/** Answers tell of entries by their ids, so there must be one of each. @throws OperationError */
function checkEntries(entries: readonly pb.BulkEntry[], { pubsub, topic }: Target): void {
  const seen = new Set<string>();
  for (const { entryId } of entries) {
    if (entryId !== '' && !seen.has(entryId)) {
      seen.add(entryId);
      continue;
    }
    const what = `entryId is duplicated or not present for entry "${entryId}"`;
    throw refused(`error when unmarshaling the request for topic ${topic} pubsub ${pubsub}: ${what}`);
  }
}

/** A request that would be refused however often it came; its text is all that callers are told. */
function refused(message: string): OperationError {
  return new OperationError(Code.INVALID_ARGUMENT, message);
}

/** How the brokers' failures are told to the filter. */
function wordingOf(topic: string): Wording {
  const notReady = ({ config }: ComponentSlot, reason: string): OperationError =>
    new OperationError(Code.UNAVAILABLE, `pubsub ${config.name} is not ready: ${reason}`);
  return {
    notReady: (slot) => notReady(slot, slot.reason),
    failure: (error, slot) => {
      if (!(error instanceof BrokerError)) return error;
      const { kind, message } = error;
      if (kind === 'unavailable') return notReady(slot, message);
      if (kind === 'full') return new OperationError(Code.RESOURCE_EXHAUSTED, message);
      if (kind === 'failed') return new OperationError(Code.INTERNAL, message);
      return refused(`error when publish to topic ${topic} in pubsub ${slot.config.name}: ${message}`);
    },
  };
}
