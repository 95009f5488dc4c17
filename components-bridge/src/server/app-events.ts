import { dirname } from 'node:path';
import type { Logger } from 'pino';

import { appSocket } from '../config/sockets.js';
import type { RuntimeConfig, SubscriptionConfig } from '../config/types.js';
import type { Policy } from '../policy/policy.js';
import { AppChannel } from '../primitives/app-channel.js';
import type { Service } from '../primitives/handler.js';
import { EventStreams } from '../primitives/pubsub/streams.js';
import type { SubscriptionSpec } from '../primitives/pubsub/subscription.js';
import { Subscriptions } from '../primitives/pubsub/subscriptions.js';
import type { DeliverySeries } from '../primitives/pubsub/tally.js';
import type { ComponentRegistry } from '../primitives/registry.js';
import type { SpanExporter } from '../telemetry/otlp.js';
import { FunctionEvents } from './function-events.js';
import { Schedules } from './schedules.js';
import type { RunSeries } from './schedules.js';

/** How often it is looked how many messages wait, once somebody has asked. */
const LAG_EVERY_MS = 5_000;

export interface AppEventsOptions {
  config: RuntimeConfig;
  /** Of sessions: Envoy's listener for the app is beside it. */
  sessionSocket: string;
  /** What the app knows the runtime by. */
  appToken: string;
  /** What callers of the runtime must know, functions' callers too; empty: nothing. */
  apiToken: string;
  /** The bridge stands beside the app, with an Envoy that may have no listener for it, or with none. */
  direct: boolean;
  registry: ComponentRegistry;
  policy: Policy;
  log: Logger;
  spans?: SpanExporter | undefined;
  /** Told when `subscriptions` has changed. */
  onChange?: () => void;
}

/** Messages that wait for a subscription. */
export interface Lag {
  component: string;
  topic: string;
  lag: number;
}

/** What the app is told without having asked just now: events of its subscriptions, by calls and by streams. */
export class AppEvents {
  readonly channel: AppChannel;
  /** The streaming methods. */
  readonly service: Service;
  readonly #subscriptions: Subscriptions;
  readonly #streams: EventStreams;
  readonly #functions: FunctionEvents;
  readonly #schedules: Schedules;
  #lags: readonly Lag[] = [];
  #looking: NodeJS.Timeout | undefined;

  constructor(options: AppEventsOptions) {
    const { config, sessionSocket, appToken, apiToken, direct, registry, policy, log, spans, onChange } =
      options;
    const { messageBytes } = config.limits;
    const dataDir = dirname(sessionSocket);
    const socketPath = appSocket(dataDir);
    this.channel = new AppChannel({
      ...{ socketPath, direct, messageBytes },
      app: config.app,
      token: appToken,
    });
    this.#subscriptions = new Subscriptions({
      ...{ registry, policy, log, spans, messageBytes },
      channel: this.channel,
      appId: config.app.id,
      declared: ofTheApp(config),
      ...(onChange === undefined ? {} : { onChange }),
    });
    const { deliveries } = this.#subscriptions;
    this.#streams = new EventStreams({ registry, deliveries, log, onChange });
    const { tally } = this.#subscriptions;
    const shared = { registry, policy, log, spans, messageBytes, tally };
    this.#functions = new FunctionEvents({ ...shared, config, dataDir, apiToken });
    this.#schedules = new Schedules({ config, dataDir, apiToken, log });
    this.service = {
      name: 'layotto.bridge.v1.Events',
      handlers: new Map(),
      streams: this.#streams.handlers,
    };
  }

  /** What is subscribed to now, by whoever asked for it. */
  get subscriptions(): SubscriptionSpec[] {
    return [...this.#subscriptions.list, ...this.#streams.list];
  }

  get deliveries(): Iterable<DeliverySeries> {
    return this.#subscriptions.tally.series;
  }

  /** What became of runs of schedules. */
  get runs(): Iterable<RunSeries> {
    return this.#schedules.runs;
  }

  /** Messages that waited a moment ago. The first time nobody has looked. */
  get lags(): readonly Lag[] {
    if (this.#looking === undefined) {
      this.#looking = setInterval(() => void this.#look(), LAG_EVERY_MS);
      this.#looking.unref();
      void this.#look();
    }
    return this.#lags;
  }

  start(): void {
    this.#subscriptions.start();
    this.#functions.start();
    this.#schedules.start();
  }

  /** Another configuration holds. */
  use(config: RuntimeConfig): void {
    this.#subscriptions.use(ofTheApp(config));
    this.#functions.use(config);
    this.#schedules.use(config);
  }

  /** Takes no more events, and waits until those in hand are settled, `graceMs` at most. */
  async drain(graceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, graceMs)));
    const ending = [this.#subscriptions, this.#functions, this.#schedules].map((one) => one.close());
    const settled = Promise.all(ending);
    await Promise.race([settled, limit]);
    clearTimeout(timer);
  }

  close(): void {
    clearInterval(this.#looking);
    void this.#subscriptions.close();
    void this.#functions.close();
    void this.#schedules.close();
    this.channel.close();
  }

  async #look(): Promise<void> {
    const all = [...(await this.#subscriptions.lags()), ...(await this.#functions.lags())];
    // The app and functions may wait for events of the same topic.
    const sums = new Map<string, Lag>();
    for (const one of all) {
      const key = JSON.stringify([one.component, one.topic]);
      sums.set(key, { ...one, lag: one.lag + (sums.get(key)?.lag ?? 0) });
    }
    this.#lags = [...sums.values()];
  }
}

function ofTheApp({ subscriptions = [] }: RuntimeConfig): SubscriptionConfig[] {
  return subscriptions.filter((one) => one.function === undefined);
}
