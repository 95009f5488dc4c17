import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { BackendPlace, ComponentContext, ComponentModule } from '../../primitives/component.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type {
  Broker,
  BrokerSubscription,
  OutgoingMessage,
  Published,
  SubscribeOptions,
} from '../../primitives/pubsub/broker.js';
import type { DelayQueue } from './delay-queue.js';

/** The folder of all delay queues in the data folder. */
const FOLDER = 'pubsub-delays';
const UNSAID = 'the broker did not say what became of the message';

/**
 * Lets a broker that cannot delay messages do it: what is not due yet waits on disk in the bridge's data folder, and is
 * published when it is time. Nothing is opened, nor loaded, until a message is to wait or some do.
 *
 * @param load the broker's own module
 */
export function delaying(load: () => Promise<ComponentModule>): () => Promise<ComponentModule> {
  return async () => {
    const module = await load();
    return {
      open: async (context) => {
        const broker = (await module.open(context)) as Broker;
        if (broker.delays) return broker;
        const delayed = new DelayingBroker(broker, context);
        await delayed.resume();
        return delayed;
      },
    };
  };
}

class DelayingBroker implements Broker {
  readonly delays = true;
  readonly probe?: () => Promise<void>;
  readonly probePauseMs?: number;
  readonly place?: BackendPlace;
  #queue: Promise<DelayQueue> | undefined;
  #closed = false;

  constructor(
    private readonly broker: Broker,
    private readonly context: ComponentContext,
  ) {
    if (broker.probe !== undefined) this.probe = () => broker.probe?.() ?? Promise.resolve();
    if (broker.probePauseMs !== undefined) this.probePauseMs = broker.probePauseMs;
    if (broker.place !== undefined) this.place = broker.place;
  }

  /** Goes on with what waited when the bridge ended. */
  async resume(): Promise<void> {
    const { dataDir, name } = this.context;
    try {
      if (existsSync(join(dataDir, FOLDER, name))) await this.#opened();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]> {
    const now = Date.now();
    const due = messages.filter(({ notBefore = 0 }) => notBefore <= now);
    if (due.length === messages.length) return this.broker.publish(topic, messages);
    const queue = await this.#opened();
    const outcomes = new Map<OutgoingMessage, Published | BrokerError>();
    const later = messages.filter((message) => !due.includes(message));
    const published = due.length === 0 ? [] : this.#publishNow(topic, due);
    await Promise.all(
      later.map(async (message) => outcomes.set(message, await waiting(queue, topic, message))),
    );
    for (const [index, outcome] of (await published).entries()) {
      const message = due[index];
      if (message !== undefined) outcomes.set(message, outcome);
    }
    return messages.map((message) => outcomes.get(message) ?? new BrokerError('failed', UNSAID));
  }

  subscribe(options: SubscribeOptions): Promise<BrokerSubscription> {
    return this.broker.subscribe(options);
  }

  async close(): Promise<void> {
    this.#closed = true;
    try {
      const queue = await this.#queue;
      await queue?.close();
    } catch {
      // It was never open: whoever asked for it has been told.
    }
    await this.broker.close();
  }

  /** Those that wait are taken, whatever becomes of these. */
  async #publishNow(
    topic: string,
    messages: readonly OutgoingMessage[],
  ): Promise<(Published | BrokerError)[]> {
    try {
      return await this.broker.publish(topic, messages);
    } catch (error) {
      if (error instanceof BrokerError) return messages.map(() => error);
      throw error;
    }
  }

  #opened(): Promise<DelayQueue> {
    if (this.#closed) return Promise.reject(new BrokerError('unavailable', 'the broker is closed'));
    if (this.#queue === undefined) {
      this.#queue = this.#open();
      // A folder that cannot be opened now may be later.
      this.#queue.catch(() => (this.#queue = undefined));
    }
    return this.#queue;
  }

  async #open(): Promise<DelayQueue> {
    const { DelayQueue } = await import('./delay-queue.js');
    const publish: Broker['publish'] = (topic, messages) => this.broker.publish(topic, messages);
    return DelayQueue.open(this.context, FOLDER, publish);
  }
}

async function waiting(
  queue: DelayQueue,
  topic: string,
  message: OutgoingMessage,
): Promise<Published | BrokerError> {
  try {
    return { id: await queue.add(topic, message), persisted: true };
  } catch (error) {
    if (error instanceof BrokerError) return error;
    throw error;
  }
}
