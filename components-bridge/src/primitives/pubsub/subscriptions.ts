import type { Logger } from 'pino';

import type { SubscriptionConfig } from '../../config/types.js';
import type { Policy } from '../../policy/policy.js';
import type { SpanExporter } from '../../telemetry/otlp.js';
import type { AppChannel } from '../app-channel.js';
import { Pause } from '../pause.js';
import type { ComponentRegistry } from '../registry.js';
import { askApp } from './app-lists.js';
import type { Answer, Listed } from './app-lists.js';
import { AppPresence } from './app-presence.js';
import type { Broker, IncomingMessage, Outcome } from './broker.js';
import { BulkDelivery } from './bulk.js';
import { tell } from './callbacks.js';
import { Deliveries, HOLD_MS } from './delivery.js';
import type { Send } from './delivery.js';
import { Feed } from './feed.js';
import { resolveSubscriptions } from './resolve.js';
import { sameSubscription } from './subscription.js';
import type { Subscription, SubscriptionSpec } from './subscription.js';
import type { Tally } from './tally.js';

/** Pauses between questions to an app that is away, and to one that says the same again: doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_AWAY_MS = 1_000;
/** With subscriptions, and without: an app that has none may never have any. */
const LONGEST_SUBSCRIBED_MS = 10_000;
const LONGEST_NONE_MS = 60_000;

export interface SubscriptionsOptions {
  registry: ComponentRegistry;
  channel: AppChannel;
  policy: Policy;
  appId: string;
  /** What the configuration subscribes the app to. */
  declared: readonly SubscriptionConfig[];
  messageBytes: number;
  log: Logger;
  spans?: SpanExporter | undefined;
  /** Where deliveries are counted. */
  tally: Tally;
  /** Longest pause between questions to an app that is away, in milliseconds. */
  longestAwayMs?: number;
  /** Told when `list` has changed. */
  onChange?: () => void;
  /** Finds out whether whoever gets the events is there, and what it asks for; by default an app is asked. */
  ask?: (channel: AppChannel) => Promise<Answer>;
  /** Whose events they are, for people; default `the app`. */
  who?: string;
}

/** A subscription at work. */
interface Running {
  readonly subscription: Subscription;
  readonly feed: Feed;
  readonly bulk: BulkDelivery | undefined;
}

/**
 * What the app is subscribed to: found out from the app and from the configuration, and found out again when either
 * changes. Only what differs is subscribed and unsubscribed; while the app is away nothing is taken from brokers.
 */
export class Subscriptions {
  readonly presence = new AppPresence();
  readonly deliveries: Deliveries;
  readonly #running = new Map<string, Running>();
  /** Subscriptions that settle what they have in hand. */
  readonly #ending = new Set<Promise<void>>();
  readonly #pause = new Pause();
  #declared: readonly SubscriptionConfig[];
  #listed: readonly Listed[] = [];
  /** What was said of what is wrong, so that it is said once. */
  #problems = '';
  #closed = false;
  /** What was found when whoever gets the events was last asked is subscribed to, or being. */
  #current = false;
  #watching: Promise<void> | undefined;
  #paused: NodeJS.Timeout | undefined;
  /** The next look has something new to look at. */
  #nudged = false;
  readonly #forget: (() => void)[];

  constructor(private readonly options: SubscriptionsOptions) {
    const { log, spans, registry, policy, tally } = options;
    this.#declared = options.declared;
    const onAway = (): void => this.#nudge();
    this.deliveries = new Deliveries({ tally, presence: this.presence, log, spans, onAway });
    this.presence.onChange((here) => this.#appears(here));
    this.#forget = [
      registry.onChange((primitive) => {
        if (primitive === 'pubsub') this.#nudge();
      }),
      policy.onChange(() => this.#nudge()),
    ];
  }

  /** What is subscribed to now. */
  get list(): SubscriptionSpec[] {
    return [...this.#running.values()].map(({ subscription }) => subscription);
  }

  /** Whether whoever gets the events is there, and brokers deliver what it is subscribed to. */
  get atWork(): boolean {
    return this.#current && [...this.#running.values()].every(({ feed }) => feed.isOpen);
  }

  /** Messages that wait, by subscription, where brokers can say. */
  async lags(): Promise<{ component: string; topic: string; lag: number }[]> {
    const all = [...this.#running.values()].map(async ({ subscription, feed }) => {
      const lag = await feed.lag().catch(() => undefined);
      const { pubsubName: component, topic } = subscription;
      return lag === undefined ? [] : [{ component, topic, lag }];
    });
    return (await Promise.all(all)).flat();
  }

  /** Begins to ask the app, and goes on until `close`. Returns at once. */
  start(): void {
    this.#watching ??= this.#watch();
  }

  /** The configuration's subscriptions are others now. */
  use(declared: readonly SubscriptionConfig[]): void {
    this.#declared = declared;
    this.#nudge();
  }

  /** Takes no more events, and resolves when those in hand are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const forget of this.#forget.splice(0)) forget();
    clearTimeout(this.#paused);
    this.#pause.end();
    this.deliveries.end();
    for (const [id, running] of this.#running) this.#end(id, running);
    await Promise.all(this.#ending);
    await this.#watching;
  }

  #nudge(): void {
    this.#nudged = true;
    this.#pause.end();
  }

  /** Until it is closed; never throws. */
  async #watch(): Promise<void> {
    const { channel, registry, log, ask = askApp, longestAwayMs = LONGEST_AWAY_MS } = this.options;
    let pause = FIRST_PAUSE_MS;
    let before = '';
    while (!this.#closed) {
      let most = LONGEST_NONE_MS;
      this.#nudged = false;
      if (channel.app.port !== 0 && registry.serves('pubsub')) {
        const { here, listed, problems } = await ask(channel);
        if (this.#closed) return;
        this.presence.set(here);
        if (listed !== undefined) this.#listed = listed;
        if (here) await this.#reconcile(problems);
        this.#current = here;
        const found = here ? JSON.stringify([this.#listed, this.#problems]) : 'away';
        if (found !== before) pause = FIRST_PAUSE_MS;
        before = found;
        if (!here) most = longestAwayMs;
        else if (this.#running.size > 0) most = LONGEST_SUBSCRIBED_MS;
      } else if (this.#running.size > 0 || this.#declared.length > 0) await this.#reconcile([]);
      if (this.#closed) return;
      if (this.#nudged) pause = FIRST_PAUSE_MS;
      await this.#pause.take(pause);
      pause = Math.min(2 * pause, most);
    }
    log.debug('the app is asked no more');
  }

  /** Events wait for an app that is away; when it does not come back, brokers keep them. */
  #appears(here: boolean): void {
    const { log, who = 'the app' } = this.options;
    clearTimeout(this.#paused);
    if (here) {
      log.info(`${who} can be reached`);
      for (const { feed } of this.#running.values()) feed.active = true;
      return;
    }
    log.warn(`${who} cannot be reached; its events wait`);
    this.#paused = setTimeout(() => {
      for (const { feed } of this.#running.values()) feed.active = false;
    }, HOLD_MS);
  }

  /** Subscribes and unsubscribes what differs. */
  async #reconcile(problems: readonly string[]): Promise<void> {
    const { channel } = this.options;
    const found = await resolveSubscriptions(this.#declared, this.#listed, channel.app.protocol);
    if (this.#closed) return;
    const all = [...problems, ...found.problems];
    for (const [id, { pubsubName, topic }] of found.subscriptions) {
      const refusal = this.#refusal(pubsubName, topic);
      if (refusal === undefined) continue;
      found.subscriptions.delete(id);
      all.push(refusal);
    }
    this.#complain(all);
    let changed = false;
    for (const [id, running] of this.#running) {
      const wanted = found.subscriptions.get(id);
      if (wanted !== undefined && sameSubscription(wanted, running.subscription)) continue;
      changed = true;
      if (wanted === undefined) this.#end(id, running);
      else {
        // The new one takes over before the old one ends.
        const next = this.#start(id, wanted);
        this.#track(Promise.race([next.feed.opened, limit()]).then(() => ended(running)));
      }
    }
    for (const [id, subscription] of found.subscriptions) {
      if (this.#running.has(id)) continue;
      changed = true;
      this.#start(id, subscription);
    }
    if (changed) this.options.onChange?.();
  }

  /** Why the app may not subscribe to a topic, or cannot. */
  #refusal(pubsubName: string, topic: string): string | undefined {
    const { registry, policy, appId } = this.options;
    const what = `topic ${JSON.stringify(topic)} of pubsub ${JSON.stringify(pubsubName)}`;
    if (registry.find('pubsub', pubsubName) === undefined)
      return `${what} is left out: pubsub ${pubsubName} is not configured`;
    const subject = {
      primitive: 'pubsub',
      operation: 'SubscribeTopicEvents',
      component: pubsubName,
      name: topic,
    };
    const denial = policy.denialOf({ app: appId, spiffe: '' }, subject, true);
    return denial === undefined ? undefined : `${what} is left out: ${denial.message}`;
  }

  #complain(problems: readonly string[]): void {
    const text = problems.join('\n');
    if (text === this.#problems) return;
    this.#problems = text;
    for (const problem of problems) this.options.log.warn({ problem }, 'a subscription is wrong');
  }

  #start(id: string, subscription: Subscription): Running {
    const { registry, channel, log, messageBytes } = this.options;
    const { deliveries } = this;
    const { bulk: wanted, concurrency } = subscription;
    const bulk =
      wanted === undefined
        ? undefined
        : new BulkDelivery({
            subscription: { ...subscription, bulk: wanted },
            deliveries,
            channel,
            messageBytes,
          });
    const send: Send = (sent) => deliveries.attempt(subscription, () => tell(channel, sent));
    const deliver = (broker: Broker, message: IncomingMessage): Promise<Outcome> =>
      deliveries.deliver(subscription, broker, message, send);
    const feed = new Feed({
      registry,
      subscription,
      // As many as are gathered have to be in hand.
      concurrency: Math.max(concurrency, wanted?.maxMessages ?? 0),
      log,
      receive: (broker, message) => bulk?.deliver(broker, message) ?? deliver(broker, message),
    });
    const running = { subscription, feed, bulk };
    this.#running.set(id, running);
    feed.active = this.presence.here;
    return running;
  }

  #end(id: string, running: Running): void {
    this.#running.delete(id);
    const { pubsubName, topic } = running.subscription;
    this.options.log.info({ component: pubsubName, topic }, 'unsubscribed');
    this.#track(ended(running));
  }

  #track(ending: Promise<void>): void {
    const tracked = ending.finally(() => this.#ending.delete(tracked));
    this.#ending.add(tracked);
  }
}

/** How long a subscription is kept beside the one that takes its place, in milliseconds, if that cannot be made. */
const TAKE_OVER_MS = 5_000;

function limit(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, TAKE_OVER_MS).unref());
}

function ended({ feed, bulk }: Running): Promise<void> {
  const closed = feed.close();
  bulk?.flush();
  return closed;
}
