import type { RuntimeConfig, SubscriptionConfig } from '../config/types.js';
import { AppError } from '../primitives/app-channel.js';
import type { AppChannel } from '../primitives/app-channel.js';
import type { Answer } from '../primitives/pubsub/app-lists.js';
import type { SubscriptionSpec } from '../primitives/pubsub/subscription.js';
import { Subscriptions } from '../primitives/pubsub/subscriptions.js';
import type { SubscriptionsOptions } from '../primitives/pubsub/subscriptions.js';
import { functionChannel, isThere } from './function-channel.js';
import type { FunctionChannelOptions } from './function-channel.js';

export type FunctionEventsOptions = FunctionChannelOptions &
  Omit<SubscriptionsOptions, 'channel' | 'declared' | 'ask' | 'who' | 'appId'>;

interface Subscriber {
  readonly channel: AppChannel;
  readonly subscriptions: Subscriptions;
}

/**
 * Events of topics that trigger functions. Each function is a subscriber of its own: its events wait while it was not
 * pushed, or Envoy is away, and no other's do.
 */
export class FunctionEvents {
  readonly #subscribers = new Map<string, Subscriber>();
  /** Functions that have no subscription any more, and what they have in hand. */
  readonly #ending = new Set<Promise<void>>();
  #started = false;
  #closed = false;

  constructor(private readonly options: FunctionEventsOptions) {
    this.use(options.config);
  }

  start(): void {
    this.#started = true;
    for (const { subscriptions } of this.#subscribers.values()) subscriptions.start();
  }

  /** Another configuration holds. */
  use({ subscriptions = [] }: RuntimeConfig): void {
    if (this.#closed) return;
    const wanted = new Map<string, SubscriptionConfig[]>();
    for (const one of subscriptions) {
      if (one.function === undefined) continue;
      wanted.set(one.function, [...(wanted.get(one.function) ?? []), this.#grouped(one, one.function)]);
    }
    for (const [id, subscriber] of this.#subscribers) if (!wanted.has(id)) this.#remove(id, subscriber);
    for (const [id, declared] of wanted) {
      const known = this.#subscribers.get(id);
      if (known !== undefined) known.subscriptions.use(declared);
      else this.#add(id, declared);
    }
  }

  /** Of each function that events trigger, whether they do: it is there, and subscribed. */
  get atWork(): Record<string, boolean> {
    const all = [...this.#subscribers].map(([id, { subscriptions }]) => [id, subscriptions.atWork]);
    return Object.fromEntries(all) as Record<string, boolean>;
  }

  /** What is subscribed to now. */
  get list(): SubscriptionSpec[] {
    return [...this.#subscribers.values()].flatMap(({ subscriptions }) => subscriptions.list);
  }

  /** Messages that wait, by subscription, where brokers can say. */
  async lags(): Promise<{ component: string; topic: string; lag: number }[]> {
    const all = [...this.#subscribers.values()].map(({ subscriptions }) => subscriptions.lags());
    return (await Promise.all(all)).flat();
  }

  /** Takes no more events, and resolves when those in hand are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [id, subscriber] of this.#subscribers) this.#remove(id, subscriber);
    await Promise.all(this.#ending);
  }

  /** Functions and the app each get all events of a topic, unless their file says otherwise. */
  #grouped(one: SubscriptionConfig, id: string): SubscriptionConfig {
    const consumerID = `${this.options.config.app.id}.${id}`;
    return { ...one, metadata: { consumerID, ...one.metadata } };
  }

  #add(id: string, declared: readonly SubscriptionConfig[]): void {
    const { config, dataDir: _, apiToken: __, ...options } = this.options;
    const channel = functionChannel(this.options, id);
    const subscriptions = new Subscriptions({
      ...options,
      channel,
      declared,
      appId: config.app.id,
      ask: () => look(channel),
      who: `function ${id}`,
    });
    this.#subscribers.set(id, { channel, subscriptions });
    if (this.#started) subscriptions.start();
  }

  #remove(id: string, { channel, subscriptions }: Subscriber): void {
    this.#subscribers.delete(id);
    this.options.onChange?.();
    const ending = subscriptions.close().finally(() => {
      channel.close();
      this.#ending.delete(ending);
    });
    this.#ending.add(ending);
  }
}

/** Whether there is such a function. Never throws. */
async function look(channel: AppChannel): Promise<Answer> {
  try {
    return { here: await isThere(channel), listed: [], problems: [] };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { here: false, problems: [] };
  }
}
