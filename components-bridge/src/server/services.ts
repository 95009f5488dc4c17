import { join } from 'node:path';
import type { Logger } from 'pino';

import type { OpenApiPart } from '../config/own-primitive.js';
import type { RuntimeConfig } from '../config/types.js';
import type { Policy } from '../policy/policy.js';
import { ActuatorService } from '../primitives/actuator/service.js';
import type { Backends } from '../primitives/backends.js';
import type { ComponentType } from '../primitives/component.js';
import { ExternalServices } from '../primitives/external/service.js';
import { LiveAnswers } from '../primitives/configuration/live.js';
import { ConfigurationService } from '../primitives/configuration/service.js';
import { Watches } from '../primitives/configuration/watches.js';
import type { Service } from '../primitives/handler.js';
import { JsonService } from '../primitives/json/service.js';
import type { LazyService } from '../primitives/lazy-service.js';
import { LifecycleService } from '../primitives/lifecycle/service.js';
import type { Topics } from '../primitives/pubsub/asyncapi.js';
import { PubSubService } from '../primitives/pubsub/service.js';
import type { ComponentRegistry } from '../primitives/registry.js';
import { AppEvents } from './app-events.js';
import type { AppEventsOptions } from './app-events.js';
import { FilterLogLevel } from './filter-level.js';
import { primitiveServices } from './primitive-services.js';
import { subscriptionsPush } from './subscriptions-push.js';

/** In the data folder: what the app has published to. */
const PUBLISHED = 'published-topics.json';

export interface ServicesOptions {
  /** As the bridge was started with it. */
  config: RuntimeConfig;
  /** The app, and the namespace that stores' keys begin with. */
  owner: { appId: string; namespace: string };
  registry: ComponentRegistry;
  catalog: readonly ComponentType[];
  backends: Backends;
  policy: Policy;
  log: Logger;
  /** Whether the app may change components. */
  mayApply: () => boolean;
  /** Tells every filter something unasked. */
  push: (payload: Uint8Array) => void;
  /** See `AppEventsOptions`. */
  app: Pick<AppEventsOptions, 'places' | 'appToken' | 'functions' | 'spans'>;
}

/** What the bridge serves: the primitives' services, and what they keep between calls. */
export class Services {
  readonly all: readonly Service[];
  /** Those of primitives that are not the runtime's own; they change with the configuration. */
  readonly external: ExternalServices;
  /** Answers that filters keep up to date. */
  readonly live: LiveAnswers;
  /** What the app is told without asking. */
  readonly events: AppEvents;
  /** The log level that filters are told. */
  readonly filters: FilterLogLevel;
  readonly pubsub: PubSubService;
  readonly #watches: Watches;
  readonly #configuration: ConfigurationService;
  readonly #lazy: ReadonlyMap<string, LazyService>;

  constructor(options: ServicesOptions) {
    const { config, owner, registry, catalog, backends, policy, log, mayApply, push } = options;
    const { messageBytes, cacheBytes, deadlineMs } = config.limits;
    const asked = { registry, backends, messageBytes };
    this.external = new ExternalServices({ ...asked, deadlineMs, log });
    this.external.use(config.components);
    const watches = new Watches({ registry, appId: owner.appId });
    this.#watches = watches;
    this.live = new LiveAnswers({ registry, watches, cacheBytes });
    this.filters = new FilterLogLevel(push);
    let telling = false;
    const onChange = (): void => {
      if (telling) return;
      telling = true;
      setImmediate(() => {
        telling = false;
        push(this.subscriptionsPush());
      });
    };
    this.events = new AppEvents({
      ...{ config, registry, policy, log, ...options.app, onChange },
      onPodGone: (pod) => this.#configuration.forget(pod),
    });
    this.#configuration = new ConfigurationService({
      ...asked,
      appId: owner.appId,
      callerOf: (pod) => this.events.callerOf(pod),
      log,
      watches,
      live: this.live,
    });
    const kept = { file: join(config.dataDir, PUBLISHED), log };
    this.pubsub = new PubSubService({ ...asked, policy, appId: owner.appId, kept });
    this.#lazy = primitiveServices({ ...asked, ...owner, policy });
    const services: Service[] = [
      new ActuatorService({ registry, log, filters: this.filters }),
      this.#configuration,
      new LifecycleService({ registry, catalog, mayApply }),
      this.pubsub,
      ...this.#lazy.values(),
    ];
    const openApiParts = (): OpenApiPart[] => this.external.openApi();
    const topics = (): Topics => ({
      app: owner.appId,
      listen: config.listen,
      registry,
      subscriptions: this.events.subscriptions,
      published: this.pubsub.published.all,
    });
    const json = new JsonService({ services, messageBytes, openApiParts, topics });
    this.all = [...services, this.events.service, json];
  }

  /** What filters are told of what the app is subscribed to. */
  subscriptionsPush(): Uint8Array {
    return subscriptionsPush(this.events.subscriptions);
  }

  /**
   * Loads what calls of these primitives will need. Of others it is loaded by their first call, which then takes some
   * milliseconds longer.
   */
  async load(primitives: Iterable<string>): Promise<void> {
    const wanted = new Set(primitives);
    const loads = [...this.#lazy]
      .filter(([primitive]) => wanted.has(primitive))
      .map(([, service]) => service.load());
    await Promise.all([...loads, this.pubsub.published.load()]);
  }

  /** Ends what goes on between calls. */
  close(): void {
    this.#configuration.close();
    this.events.close();
    this.live.close();
    this.#watches.close();
  }
}
