import { createHash } from 'node:crypto';

import { headers } from '@nats-io/transport-node';
import type { JetStreamPublishOptions } from '@nats-io/jetstream';

import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type {
  Broker,
  BrokerSubscription,
  OutgoingMessage,
  Published,
  SubscribeOptions,
} from '../../primitives/pubsub/broker.js';
import { CONTENT_TYPE } from './delivery.js';
import { brokerError, isUnheard } from './failure.js';
import { NatsLink } from './link.js';
import { metadataSchema } from './metadata.js';
import type { NatsMetadata } from './metadata.js';
import { Streams, checkTopic } from './streams.js';
import type { StreamFacts } from './streams.js';
import { PullSubscription } from './subscription.js';

/** What is kept free for a message's headers. */
const HEADER_BYTES = 512;

export async function open(context: ComponentContext): Promise<JetStreamBroker> {
  const metadata = metadataSchema.parse(context.metadata);
  return new JetStreamBroker(await NatsLink.open(metadata, context), metadata, context);
}

/** Topics as subjects of JetStream: a stream keeps their messages, and a durable consumer per group and topic delivers. */
export class JetStreamBroker implements Broker {
  /** The server's own schedules give a message another sequence number than its publisher was told. */
  readonly delays = false;
  readonly place: BackendPlace;
  readonly #streams: Streams;

  constructor(
    private readonly link: NatsLink,
    private readonly metadata: NatsMetadata,
    private readonly context: ComponentContext,
  ) {
    this.#streams = new Streams(link, metadata);
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(metadata.natsURL?.addresses[0] ?? '') ?? [];
    this.place = { system: 'nats', address: host, port: Number(port) };
  }

  async publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]> {
    checkTopic(topic);
    const stream = await this.link.call(() => this.#streams.of(topic));
    // Sent one after the other on one connection, which keeps their order; the answers are awaited together. After one
    // that cannot be sent none is: it would come before it.
    let refused: BrokerError | undefined;
    const outcomes = await Promise.all(
      messages.map(async (message) => {
        refused ??= this.#refusal(message);
        return refused ?? this.#publish(topic, stream, message).catch(brokerError);
      }),
    );
    const [first] = outcomes;
    if (first instanceof BrokerError && outcomes.every((outcome) => outcome instanceof BrokerError))
      throw first;
    return outcomes;
  }

  async subscribe(options: SubscribeOptions): Promise<BrokerSubscription> {
    checkTopic(options.topic, true);
    const { consumerID, queueGroupName } = this.metadata;
    const group = options.metadata.consumerID || consumerID || queueGroupName || this.context.appId;
    const settings = { group, metadata: this.metadata, log: this.context.log };
    return PullSubscription.open(this.link, this.#streams, settings, options);
  }

  close(): Promise<void> {
    return this.link.close();
  }

  /** Why the server would not take a message. */
  #refusal({ data }: OutgoingMessage): BrokerError | undefined {
    const limit = this.link.connection.info?.max_payload ?? Infinity;
    // Headers count, too: content type, id and time to live.
    if (data.length + HEADER_BYTES <= limit) return undefined;
    const reason = `the message has ${data.length} bytes; the server's max_payload is ${limit} with ${HEADER_BYTES} for headers`;
    return new BrokerError('invalid', reason);
  }

  async #publish(topic: string, stream: StreamFacts, message: OutgoingMessage): Promise<Published> {
    try {
      return await this.#send(topic, stream, message);
    } catch (error) {
      // Nobody listens to the subject: the stream was deleted, or no longer has it.
      if (!isUnheard((error as BrokerError).cause)) throw error;
      this.#streams.forget(topic);
      return this.#send(topic, await this.link.call(() => this.#streams.of(topic)), message);
    }
  }

  async #send(topic: string, stream: StreamFacts, message: OutgoingMessage): Promise<Published> {
    const { data } = message;
    const options = optionsOf(topic, stream, message);
    const ack = await this.link.call(() => this.link.jetStream.publish(topic, data, options));
    const { persisted } =
      ack.stream === stream.name ? stream : await this.link.call(() => this.#streams.named(ack.stream));
    return { id: `${ack.stream}:${ack.seq}`, persisted };
  }
}

function optionsOf(
  topic: string,
  stream: StreamFacts,
  { data, contentType, expiresAt }: OutgoingMessage,
): Partial<JetStreamPublishOptions> {
  const own = headers();
  own.set(CONTENT_TYPE, contentType.replace(/[\r\n]/g, ' ').slice(0, HEADER_BYTES / 2));
  const msgID = deduplicationId(topic, data, contentType);
  // The server counts whole seconds.
  const seconds =
    expiresAt === undefined ? undefined : Math.max(1, Math.ceil((expiresAt - Date.now()) / 1_000));
  return {
    headers: own,
    ...(msgID !== undefined && { msgID }),
    ...(seconds !== undefined && stream.expires && { ttl: `${seconds}s` }),
  };
}

/**
 * By what the server knows an event that was published before: source and id, which are no other event's, and the topic,
 * since a stream may have several and an event may move on to another one. Undefined for what is no CloudEvent.
 */
function deduplicationId(topic: string, data: Uint8Array, contentType: string): string | undefined {
  if (!/^application\/cloudevents\+json\b/i.test(contentType)) return undefined;
  try {
    const { id, source } = JSON.parse(
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString(),
    ) as {
      id?: unknown;
      source?: unknown;
    };
    if (typeof id !== 'string' || typeof source !== 'string') return undefined;
    return createHash('sha256')
      .update(JSON.stringify([topic, source, id]))
      .digest('base64url');
  } catch {
    return undefined;
  }
}
