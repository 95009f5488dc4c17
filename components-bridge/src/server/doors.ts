import type { Logger } from 'pino';

import type { CatalogEntry, ComponentConfig, ListenAddress, RuntimeConfig } from '../config/types.js';
import { Gate } from '../doors/admit.js';
import type { Behind } from '../doors/method.js';
import { doorMethods } from '../doors/methods.js';
import { ownMethod } from '../doors/own-primitives.js';
import type { Policy } from '../policy/policy.js';
import type { ExternalService } from '../primitives/external/service.js';
import type { Service } from '../primitives/handler.js';
import type { ComponentRegistry } from '../primitives/registry.js';
import type { CallWatch } from './calls.js';
import { DoorServer } from './door-server.js';
import type { SubscriptionSpec } from '../primitives/pubsub/subscription.js';
import { daprSubscription } from './subscriptions-push.js';

export interface DoorsOptions {
  address: ListenAddress;
  /** Tokens of which callers must present one; none are needed if it is empty. */
  apiTokens: readonly string[];
  /** What the app may do. */
  policy: Policy;
  registry: ComponentRegistry;
  catalog: readonly CatalogEntry[];
  /** The runtime's version. */
  version: string;
  /** The configuration that counts now. */
  config: () => RuntimeConfig;
  services: readonly Service[];
  /** Those of primitives that are not the runtime's own, as they are now. */
  own: () => readonly ExternalService[];
  /** What the app is subscribed to. */
  subscriptions: () => readonly SubscriptionSpec[];
  log: Logger;
  calls: CallWatch;
}

/** Puts the doors together that the bridge serves itself. Nothing else of the bridge imports them. */
export function openDoors(options: DoorsOptions): DoorServer {
  const { address, apiTokens, policy, registry, catalog, version, config, services, log, calls } = options;
  const known = new Map(catalog.map(({ type, capabilities }) => [type, capabilities]));
  const capabilities = ({ type }: ComponentConfig): readonly string[] => known.get(type) ?? [];
  const behind: Behind = {
    find: (primitive, name) => registry.find(primitive, name)?.config,
    serves: (primitive) => registry.serves(primitive),
    can: (component, capability) => capabilities(component).includes(capability),
  };
  const { app, listen, limits } = config();
  const doors = new DoorServer({
    address,
    methods: doorMethods({
      version,
      app: () => config().app,
      components: () => config().components,
      capabilities,
      subscriptions: () => options.subscriptions().map(daprSubscription),
      endpoints: () =>
        Object.entries(config().callees ?? {}).flatMap(([name, { endpoint }]) => (endpoint ? [name] : [])),
    }),
    services,
    own: {
      method: (path) => ownMethod(path, options.own()),
      handler: (operation) => options.own().flatMap(({ handlers: all }) => all.get(operation) ?? [])[0],
    },
    behind,
    gate: new Gate({ hosts: listen.hosts, apiTokens }, policy, app.id),
    limits,
    log,
    calls,
  });
  policy.onChange(() => doors.recheck());
  return doors;
}
