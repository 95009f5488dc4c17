import type { Logger } from 'pino';

import type { RuntimeConfig } from '../config/types.js';
import type { Policy } from '../policy/policy.js';
import { ActuatorService } from '../primitives/actuator/service.js';
import type { Backends } from '../primitives/backends.js';
import { BindingService } from '../primitives/binding/service.js';
import type { ComponentType } from '../primitives/component.js';
import { ExternalServices } from '../primitives/external/service.js';
import { LiveAnswers } from '../primitives/configuration/live.js';
import { ConfigurationService } from '../primitives/configuration/service.js';
import { Watches } from '../primitives/configuration/watches.js';
import { FileService } from '../primitives/file/service.js';
import type { Service } from '../primitives/handler.js';
import { HelloService } from '../primitives/hello/service.js';
import { JsonService } from '../primitives/json/service.js';
import { LifecycleService } from '../primitives/lifecycle/service.js';
import { LockService } from '../primitives/lock/service.js';
import type { ComponentRegistry } from '../primitives/registry.js';
import { SecretService } from '../primitives/secret/service.js';
import { SequencerService } from '../primitives/sequencer/service.js';
import { StateService } from '../primitives/state/service.js';
import { AppEvents } from './app-events.js';
import type { AppEventsOptions } from './app-events.js';
import { FilterLogLevel } from './filter-level.js';

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
  app: Pick<AppEventsOptions, 'sessionSocket' | 'appToken' | 'spans'>;
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
  readonly #watches: Watches;
  readonly #configuration: ConfigurationService;

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
    this.events = new AppEvents({ config, registry, policy, log, ...options.app });
    this.#configuration = new ConfigurationService({
      ...asked,
      appId: owner.appId,
      app: this.events.channel,
      log,
      watches,
      live: this.live,
    });
    const services: Service[] = [
      new ActuatorService({ registry, log, filters: this.filters }),
      new BindingService(asked),
      this.#configuration,
      new FileService(asked),
      new HelloService(asked),
      new LifecycleService({ registry, catalog, mayApply }),
      new LockService({ ...asked, ...owner }),
      new SecretService({ ...asked, policy }),
      new SequencerService({ ...asked, ...owner }),
      new StateService({ ...asked, ...owner }),
    ];
    this.all = [...services, this.events.service, new JsonService({ services, messageBytes })];
  }

  /** Ends what goes on between calls. */
  close(): void {
    this.#configuration.close();
    this.events.close();
    this.live.close();
    this.#watches.close();
  }
}
