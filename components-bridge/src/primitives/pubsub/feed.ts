import type { Logger } from 'pino';

import { reasonOf } from '../errors.js';
import { Pause } from '../pause.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import type { Broker, BrokerSubscription, IncomingMessage, Outcome } from './broker.js';
import type { SubscriptionSpec } from './subscription.js';

/** Pauses between tries to subscribe: doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export interface FeedOptions {
  registry: ComponentRegistry;
  subscription: Pick<SubscriptionSpec, 'pubsubName' | 'topic' | 'metadata'>;
  concurrency: number;
  receive: (broker: Broker, message: IncomingMessage) => Promise<Outcome>;
  log: Logger;
}

interface Open {
  slot: ComponentSlot;
  broker: Broker;
  subscription: BrokerSubscription;
}

/**
 * One subscription at a component's broker, through everything that may happen to the component: it is made when the
 * component is there, moves to the instance that takes another's place before the old one ends, and is given up when
 * the component is removed.
 */
export class Feed {
  #open: Open | undefined;
  #active = false;
  #closed = false;
  #working: Promise<void> | undefined;
  #again = false;
  /** Subscriptions that settle what they have in hand. */
  readonly #ending = new Set<Promise<void>>();
  readonly #pause = new Pause();
  readonly #forget: () => void;
  #onOpened: () => void = () => undefined;
  /** Resolves when the broker delivers to it for the first time. */
  readonly opened = new Promise<void>((resolve) => (this.#onOpened = resolve));

  constructor(private readonly options: FeedOptions) {
    const { pubsubName } = options.subscription;
    this.#forget = options.registry.onChange((primitive, name) => {
      if (primitive === 'pubsub' && name === pubsubName) this.#look();
    });
  }

  /** Whether the broker delivers to it. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Takes messages, or takes none for now. */
  set active(active: boolean) {
    if (this.#active === active || this.#closed) return;
    this.#active = active;
    this.#look();
  }

  /** Messages that wait for it; undefined if the broker cannot say. */
  async lag(): Promise<number | undefined> {
    return this.#open?.subscription.lag?.();
  }

  /** Takes no more messages, and resolves when those in hand are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#active = false;
    this.#forget();
    this.#look();
    await this.#working;
    await Promise.all(this.#ending);
  }

  #look(): void {
    this.#again = true;
    this.#pause.end();
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      if (this.#again) this.#look();
    });
  }

  /** Brings it to what it should be; never throws. */
  async #work(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (this.#again) {
      this.#again = false;
      const slot = this.#active
        ? this.options.registry.find('pubsub', this.options.subscription.pubsubName)
        : undefined;
      if (slot === undefined) this.#end();
      // While a component is down its broker connects again by itself.
      const broker = slot?.instance as Broker | undefined;
      if (slot === undefined || broker === undefined || broker === this.#open?.broker) continue;
      if (await this.#subscribe(slot, broker)) {
        pause = FIRST_PAUSE_MS;
        continue;
      }
      if (this.#closed) continue;
      await this.#pause.take(pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      this.#again = true;
    }
  }

  /** @returns whether it worked */
  async #subscribe(slot: ComponentSlot, broker: Broker): Promise<boolean> {
    const { subscription, concurrency, receive, log } = this.options;
    const { topic, metadata } = subscription;
    slot.hold();
    try {
      const made = await broker.subscribe({
        topic,
        metadata,
        concurrency,
        receive: (message) => receive(broker, message),
      });
      const before = this.#open;
      this.#open = { slot, broker, subscription: made };
      if (before !== undefined) this.#endOf(before);
      // Meanwhile it may have been closed.
      this.#again = true;
      this.#onOpened();
      log.info({ component: subscription.pubsubName, topic }, 'subscribed');
      return true;
    } catch (error) {
      slot.release();
      const facts = { component: subscription.pubsubName, topic, reason: reasonOf(error) };
      log.warn(facts, 'the broker does not take the subscription; it is tried again');
      return false;
    }
  }

  #end(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) this.#endOf(open);
  }

  #endOf({ slot, subscription }: Open): void {
    const ending = subscription
      .close()
      .catch((error: unknown) => {
        this.options.log.warn({ reason: reasonOf(error) }, 'a subscription did not end cleanly');
      })
      .finally(() => {
        slot.release();
        this.#ending.delete(ending);
      });
    this.#ending.add(ending);
  }
}
