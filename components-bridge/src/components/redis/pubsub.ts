import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type {
  Broker,
  BrokerSubscription,
  OutgoingMessage,
  Published,
  SubscribeOptions,
} from '../../primitives/pubsub/broker.js';
import { openConnection, placeOf } from './connection.js';
import type { RedisConnection } from './connection.js';
import { answerCode, RedisUnavailable, RedisUnconfirmed, refusalText } from './failure.js';
import { pubsubMetadataSchema } from './metadata.js';
import type { Command } from './node.js';
import { settingsOf } from './options.js';
import { RedisSubscription } from './pubsub-subscription.js';
import { fieldsOf } from './stream-entry.js';

const PROCESSING_MS = 15_000;
const REDELIVER_MS = 5_000;
const QUEUE_DEPTH = 100;
/** How long it counts what a server said of its disk. */
const PERSISTED_MS = 10_000;

export async function open(context: ComponentContext): Promise<RedisBroker> {
  const metadata = pubsubMetadataSchema.parse(context.metadata);
  const { pauseMs } = await settingsOf(metadata);
  return new RedisBroker(await openConnection(metadata, context), placeOf(metadata), {
    group: metadata.consumerID || context.appId,
    processingMs: metadata.processingTimeout ?? PROCESSING_MS,
    redeliverMs: metadata.redeliverInterval ?? REDELIVER_MS,
    queueDepth: metadata.queueDepth ?? QUEUE_DEPTH,
    concurrency: metadata.concurrency ?? Infinity,
    maxLength: metadata.maxLenApprox,
    pauseMs,
    log: context.log,
  });
}

interface RedisBrokerOptions {
  readonly group: string;
  readonly processingMs: number;
  readonly redeliverMs: number;
  readonly queueDepth: number;
  /** Deliveries of a subscription at the same time, at most. */
  readonly concurrency: number;
  /** About how many messages a stream keeps. */
  readonly maxLength: number | undefined;
  readonly pauseMs: (attempt: number) => number;
  readonly log: ComponentContext['log'];
}

/**
 * Messages in streams of Redis or Valkey, as Dapr and Layotto keep them: a stream for each topic, a consumer group for
 * each app. A message is acknowledged when the replicas that are connected have it, so that it is not lost with the
 * primary.
 */
export class RedisBroker implements Broker {
  readonly delays = false;
  readonly #subscriptions = new Set<RedisSubscription>();
  #persisted: { value: Promise<boolean>; until: number } | undefined;

  constructor(
    private readonly connection: RedisConnection,
    readonly place: BackendPlace,
    private readonly options: RedisBrokerOptions,
  ) {}

  async publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]> {
    const persisted = this.#persists(topic);
    const command: Command<PromiseSettledResult<unknown>[]> = async (next) => {
      const results = await Promise.allSettled(
        messages.map((message) => next().call('XADD', topic, ...this.#trim(), '*', ...fieldsOf(message))),
      );
      if (results.every(({ status }) => status === 'rejected') && results[0]?.status === 'rejected')
        throw results[0].reason;
      return results;
    };
    const wrote = (): boolean => true;
    try {
      const results = await this.connection.runStrong(topic, command, wrote);
      const onDisk = await persisted;
      return results.map((result) =>
        result.status === 'fulfilled'
          ? { id: String(result.value), persisted: onDisk }
          : brokerError(result.reason, topic),
      );
    } catch (error) {
      throw brokerError(error, topic);
    }
  }

  async subscribe(options: SubscribeOptions): Promise<BrokerSubscription> {
    const { connection } = this;
    const { concurrency, maxLength: _, group, ...rest } = this.options;
    try {
      const subscription = await RedisSubscription.start(
        { ...options, concurrency: Math.min(options.concurrency, concurrency) },
        { ...rest, connection, group: options.metadata['consumerID'] || group },
      );
      this.#subscriptions.add(subscription);
      return {
        lag: () =>
          subscription.lag().catch((error: unknown) => {
            throw brokerError(error, options.topic);
          }),
        close: async () => {
          await subscription.close();
          this.#subscriptions.delete(subscription);
        },
      };
    } catch (error) {
      throw brokerError(error, options.topic);
    }
  }

  probe(): Promise<void> {
    return this.connection.ping();
  }

  async close(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.end();
    this.connection.close();
  }

  #trim(): string[] {
    const { maxLength } = this.options;
    return maxLength === undefined ? [] : ['MAXLEN', '~', String(maxLength)];
  }

  /** Whether the server keeps a log of its writes on disk. */
  #persists(topic: string): Promise<boolean> {
    const now = performance.now();
    if (this.#persisted === undefined || now > this.#persisted.until) {
      const value = this.connection
        .run(topic, (next) => next().config('GET', 'appendonly'))
        .then(
          (answer) => Array.isArray(answer) && answer[1] === 'yes',
          () => false,
        );
      this.#persisted = { value, until: now + PERSISTED_MS };
    }
    return this.#persisted.value;
  }
}

function brokerError(error: unknown, topic: string): BrokerError {
  const options = { cause: error };
  if (error instanceof RedisUnavailable || error instanceof RedisUnconfirmed)
    return new BrokerError('unavailable', reasonOf(error), options);
  switch (answerCode(error)) {
    case undefined:
      return new BrokerError('unavailable', reasonOf(error), options);
    case 'OOM':
      return new BrokerError('full', reasonOf(error), options);
    case 'WRONGTYPE':
      return new BrokerError('invalid', `the key ${topic} is there and is no stream`, options);
    default:
      return new BrokerError('failed', refusalText(error), options);
  }
}
