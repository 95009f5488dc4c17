import type { Logger } from 'pino';

import type { RuntimeConfig, SubscriptionConfig } from '../config/types.js';
import type { Policy } from '../policy/policy.js';
import { AppChannel, AppError } from '../primitives/app-channel.js';
import type { AppCaller, AppChannelOptions } from '../primitives/app-channel.js';
import type { Service } from '../primitives/handler.js';
import { AppPresence } from '../primitives/pubsub/app-presence.js';
import { Deliveries } from '../primitives/pubsub/delivery.js';
import { EventStreams } from '../primitives/pubsub/streams.js';
import { idOf } from '../primitives/pubsub/subscription.js';
import type { SubscriptionSpec } from '../primitives/pubsub/subscription.js';
import { Subscriptions } from '../primitives/pubsub/subscriptions.js';
import { Tally } from '../primitives/pubsub/tally.js';
import type { DeliverySeries } from '../primitives/pubsub/tally.js';
import type { ComponentRegistry } from '../primitives/registry.js';
import type { SpanExporter } from '../telemetry/otlp.js';
import { FunctionTriggers } from './function-triggers.js';
import { dialPod, PodSockets } from './pod-sockets.js';
import type { RunSeries } from './schedules.js';

/** How often it is looked how many messages wait, once somebody has asked. */
const LAG_EVERY_MS = 5_000;

/** How long a pod's sidecar may have a session and take no deliveries before that is said. */
const NO_LISTENER_MS = 10_000;

/** How long an app in a pod that is away is left alone at most, in milliseconds. */
const POD_AWAY_MS = 5_000;

/** After so long, in milliseconds, a pod that takes no deliveries is one that has gone. */
const GONE_MS = 600_000;

/** The one place of an app that is not in pods. */
const BESIDE = '';

/** Where Envoy takes what is for the app. */
export type AppPlaces =
  /** `direct`: the bridge stands beside the app, with an Envoy that may have no listener for it, or with none. */
  | { socketPath: string; direct: boolean }
  /** A folder with a folder for each of the app's pods on this node, in which its sidecar makes the socket. */
  | { pods: string; hasSession: (pod: string) => boolean };

export interface AppEventsOptions {
  config: RuntimeConfig;
  places: AppPlaces;
  /** See `AppChannelOptions.token`. */
  appToken: AppChannelOptions['token'];
  /**
   * Where Envoy takes what is for functions, and what their callers must know, which is nothing if it is empty; undefined
   * where it has no listener for them.
   */
  functions: { dataDir: string; apiToken: string } | undefined;
  registry: ComponentRegistry;
  policy: Policy;
  log: Logger;
  spans?: SpanExporter | undefined;
  /** Told when `subscriptions` has changed. */
  onChange?: () => void;
  /** Told when a pod has taken no deliveries for so long that it will not come back. */
  onPodGone?: (pod: string) => void;
}

/** Messages that wait for a subscription. */
export interface Lag {
  component: string;
  topic: string;
  lag: number;
}

/** One process of the app, and what it is subscribed to. */
interface Place {
  channel: AppChannel;
  subscriptions: Subscriptions;
}

/**
 * What the app is told without having asked just now: events of its subscriptions, by calls and by streams. Each of its
 * pods is a subscriber by itself, as if it had a bridge of its own: pods of two versions may subscribe to other topics.
 */
export class AppEvents {
  /** The streaming methods. */
  readonly service: Service;
  readonly #tally = new Tally();
  readonly #streamed: Deliveries;
  readonly #streams: EventStreams;
  readonly #functions: FunctionTriggers | undefined;
  readonly #places = new Map<string, Place>();
  readonly #ending = new Set<Promise<void>>();
  readonly #pods: PodSockets | undefined;
  /** Pods that take no deliveries any more. */
  readonly #lost = new Map<string, NodeJS.Timeout>();
  #declared: readonly SubscriptionConfig[];
  #lags: readonly Lag[] = [];
  #looking: NodeJS.Timeout | undefined;
  #doubt: NodeJS.Timeout | undefined;
  #started = false;

  constructor(private readonly options: AppEventsOptions) {
    const { config, places, functions, registry, policy, log, spans, onChange } = options;
    this.#declared = ofTheApp(config);
    const nobody = { presence: new AppPresence(), onAway: () => undefined };
    this.#streamed = new Deliveries({ tally: this.#tally, log, spans, ...nobody });
    this.#streams = new EventStreams({ registry, deliveries: this.#streamed, log, onChange });
    if (functions !== undefined) {
      const { messageBytes } = config.limits;
      const told = onChange === undefined ? {} : { onChange };
      const shared = { registry, policy, log, spans, messageBytes, tally: this.#tally, ...told };
      this.#functions = new FunctionTriggers({ ...shared, config, ...functions });
    }
    this.service = {
      name: 'layotto.bridge.v1.Events',
      handlers: new Map(),
      streams: this.#streams.handlers,
    };
    if ('socketPath' in places) {
      this.#add(BESIDE, places, log);
      return;
    }
    const { pods: folder, hasSession } = places;
    this.#pods = new PodSockets({
      ...{ folder, log, hasSession },
      onUp: (pod) => {
        clearTimeout(this.#doubt);
        this.#doubt = undefined;
        clearTimeout(this.#lost.get(pod));
        this.#lost.delete(pod);
        const more = { connect: () => dialPod(folder, pod), onLost: () => this.#pods?.lost(pod) };
        this.#add(pod, { socketPath: folder, direct: false, ...more }, log.child({ pod })).start();
      },
      onDown: (pod) => this.#remove(pod),
    });
  }

  /** What is subscribed to now, by whoever asked for it, and what triggers functions. */
  get subscriptions(): SubscriptionSpec[] {
    const called = new Map<string, SubscriptionSpec>();
    for (const { subscriptions } of this.#places.values())
      for (const one of subscriptions.list) called.set(idOf(one), one);
    return [...called.values(), ...this.#streams.list, ...(this.#functions?.subscriptions ?? [])];
  }

  get deliveries(): Iterable<DeliverySeries> {
    return this.#tally.series;
  }

  /** Of each function that events trigger, whether they do: it is there, and subscribed. */
  get triggered(): Record<string, boolean> {
    return this.#functions?.atWork ?? {};
  }

  /** What became of runs of schedules. */
  get runs(): Iterable<RunSeries> {
    return this.#functions?.runs ?? [];
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

  /**
   * By which the app is called that has asked for it.
   *
   * @param pod where it is, on a node
   * @returns undefined if its sidecar takes no deliveries
   */
  callerOf(pod: string): AppCaller | undefined {
    const { app } = this.options.config;
    const name = this.#pods === undefined ? BESIDE : pod;
    if (!this.#places.has(name)) return undefined;
    const away = new AppError('away', 'its sidecar takes no deliveries now');
    return { app, http: (call) => this.#places.get(name)?.channel.http(call) ?? Promise.reject(away) };
  }

  start(): void {
    this.#started = true;
    this.#functions?.start();
    this.#places.get(BESIDE)?.subscriptions.start();
    // An app that listens nowhere is told nothing, so nothing is looked for.
    if (this.options.config.app.port !== 0) this.#pods?.start();
  }

  /** A filter has opened a session, so its Envoy is there, and should take deliveries soon. */
  noteSession(): void {
    const { config, registry, log } = this.options;
    if (this.#pods === undefined || !this.#started || this.#places.size > 0 || this.#doubt !== undefined)
      return;
    if (config.app.port === 0 || !registry.serves('pubsub')) return;
    this.#doubt = setTimeout(() => {
      log.warn({ folder: (this.options.places as { pods: string }).pods }, NO_LISTENER);
    }, NO_LISTENER_MS);
    this.#doubt.unref();
  }

  /** Another configuration holds. */
  use(config: RuntimeConfig): void {
    this.#declared = ofTheApp(config);
    for (const place of this.#places.values()) place.subscriptions.use(this.#declared);
    this.#functions?.use(config);
  }

  /** Takes no more events, and waits until those in hand are settled, `graceMs` at most. */
  async drain(graceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, graceMs)));
    await Promise.race([this.#end(), limit]);
    clearTimeout(timer);
  }

  close(): void {
    clearInterval(this.#looking);
    void this.#end();
    for (const { channel } of this.#places.values()) channel.close();
  }

  async #end(): Promise<void> {
    this.#pods?.close();
    clearTimeout(this.#doubt);
    for (const timer of this.#lost.values()) clearTimeout(timer);
    this.#streamed.end();
    const all = [...this.#places.values()].map(({ subscriptions }) => subscriptions.close());
    await Promise.all([...all, ...this.#ending, this.#functions?.close()]);
  }

  #add(
    name: string,
    to: Pick<AppChannelOptions, 'socketPath' | 'direct' | 'connect' | 'onLost'>,
    log: Logger,
  ) {
    const { config, appToken, registry, policy, spans, onChange } = this.options;
    const { messageBytes } = config.limits;
    const channel = new AppChannel({ ...to, app: config.app, token: appToken, messageBytes });
    const subscriptions = new Subscriptions({
      ...{ registry, policy, log, spans, messageBytes, channel },
      tally: this.#tally,
      appId: config.app.id,
      declared: this.#declared,
      ...(name === BESIDE ? {} : { longestAwayMs: POD_AWAY_MS }),
      ...(onChange === undefined ? {} : { onChange }),
    });
    this.#places.set(name, { channel, subscriptions });
    return subscriptions;
  }

  /** What it has in hand goes back to its broker. */
  #remove(name: string): void {
    const place = this.#places.get(name);
    if (place === undefined) return;
    this.#places.delete(name);
    const gone = setTimeout(() => {
      this.#lost.delete(name);
      this.options.onPodGone?.(name);
    }, GONE_MS);
    gone.unref();
    this.#lost.set(name, gone);
    const ending = place.subscriptions.close().finally(() => {
      place.channel.close();
      this.#ending.delete(ending);
      this.options.onChange?.();
    });
    this.#ending.add(ending);
  }

  async #look(): Promise<void> {
    const all = await Promise.all(
      [...this.#places.values()].map(({ subscriptions }) => subscriptions.lags()),
    );
    // What waits, waits for all pods together.
    const lags = new Map(all.flat().map((lag) => [keyOf(lag), lag]));
    // The app and functions may wait for events of the same topic.
    for (const one of (await this.#functions?.lags()) ?? [])
      lags.set(keyOf(one), { ...one, lag: one.lag + (lags.get(keyOf(one))?.lag ?? 0) });
    this.#lags = [...lags.values()];
  }
}

function keyOf({ component, topic }: Lag): string {
  return JSON.stringify([component, topic]);
}

function ofTheApp({ subscriptions = [] }: RuntimeConfig): SubscriptionConfig[] {
  return subscriptions.filter((one) => one.function === undefined);
}

const NO_LISTENER =
  "no sidecar of the app takes deliveries, so it is not asked what it subscribes to, and its events wait: apply what `layotto envoy` prints now, and the annotations that `layotto envoy manifests` prints for the app's pods, or subscribe by a stream";
