import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type {
  Broker,
  BrokerSubscription,
  OutgoingMessage,
  Published,
  SubscribeOptions,
} from '../../primitives/pubsub/broker.js';
import { KafkaLink } from './link.js';
import { metadataSchema } from './metadata.js';
import type { KafkaMetadata } from './metadata.js';
import { Publisher } from './publisher.js';
import { GroupSubscription } from './subscription.js';
import { checkTopic } from './topics.js';

/** How long brokers may take for a message to be on every replica that is in sync. */
const PRODUCE_MS = 5_000;

export async function open(context: ComponentContext): Promise<KafkaBroker> {
  const metadata = metadataSchema.parse(context.metadata);
  const link = await KafkaLink.open(metadata, context);
  try {
    const publisher = await Publisher.open(link, metadata.maxMessageBytes, metadata.timeout ?? PRODUCE_MS);
    return new KafkaBroker(link, publisher, metadata, context);
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** Topics of Kafka, wire-compatible with Dapr's. */
export class KafkaBroker implements Broker {
  readonly delays = false;
  readonly place: BackendPlace;
  readonly #subscriptions = new Set<GroupSubscription>();

  constructor(
    private readonly link: KafkaLink,
    private readonly publisher: Publisher,
    private readonly metadata: KafkaMetadata,
    private readonly context: ComponentContext,
  ) {
    const [{ host, port = 9092 } = { host: '' }] = metadata.brokers ?? [];
    this.place = { system: 'kafka', address: host, port };
  }

  async publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]> {
    checkTopic(topic);
    const { lost } = this.link.gate;
    if (lost !== undefined) throw new BrokerError('unavailable', lost);
    const outcomes = await this.publisher.publish(topic, messages);
    const [first] = outcomes;
    if (first instanceof BrokerError && outcomes.every((outcome) => outcome instanceof BrokerError))
      throw first;
    return outcomes;
  }

  async subscribe(options: SubscribeOptions): Promise<BrokerSubscription> {
    checkTopic(options.topic);
    const { consumerGroup, consumerID } = this.metadata;
    const group = options.metadata['consumerID'] || consumerGroup || consumerID || this.context.appId;
    const settings = { group, metadata: this.metadata, log: this.context.log };
    const subscription = await GroupSubscription.open(this.link, settings, options);
    this.#subscriptions.add(subscription);
    const close = async (): Promise<void> => {
      await subscription.close();
      this.#subscriptions.delete(subscription);
    };
    return { lag: () => subscription.lag(), close };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.abandon()));
    await this.publisher.close();
    await this.link.close();
  }
}
