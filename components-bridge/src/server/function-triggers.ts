import type { RuntimeConfig } from '../config/types.js';
import { FunctionEvents } from './function-events.js';
import type { FunctionEventsOptions } from './function-events.js';
import type { SubscriptionSpec } from '../primitives/pubsub/subscription.js';
import { RunClaims } from './run-claims.js';
import { Schedules } from './schedules.js';
import type { RunSeries } from './schedules.js';

/** What calls functions without having been called: events of topics, and schedules. */
export class FunctionTriggers {
  readonly #events: FunctionEvents;
  readonly #schedules: Schedules;

  constructor(options: FunctionEventsOptions) {
    this.#events = new FunctionEvents(options);
    this.#schedules = new Schedules({
      ...options,
      claims: new RunClaims(options.registry, options.config.app.id),
    });
  }

  /** Of each function that events trigger, whether they do. */
  get atWork(): Record<string, boolean> {
    return this.#events.atWork;
  }

  /** Events that trigger functions which are there. */
  get subscriptions(): SubscriptionSpec[] {
    return this.#events.list;
  }

  /** What became of runs of schedules. */
  get runs(): Iterable<RunSeries> {
    return this.#schedules.runs;
  }

  start(): void {
    this.#events.start();
    this.#schedules.start();
  }

  /** Another configuration holds. */
  use(config: RuntimeConfig): void {
    this.#events.use(config);
    this.#schedules.use(config);
  }

  /** Messages that wait, by subscription, where brokers can say. */
  lags(): Promise<{ component: string; topic: string; lag: number }[]> {
    return this.#events.lags();
  }

  /** Begins nothing more, and resolves when what is in hand is settled. */
  async close(): Promise<void> {
    await Promise.all([this.#events.close(), this.#schedules.close()]);
  }
}
