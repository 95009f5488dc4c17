import { spareSlots } from '../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { calleesClusters } from './invoke-routes.js';
import { TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import { PROXY_ROUTES, proxyRoutes } from './plain-calls.js';
import { isGuarded } from './plugin-config.js';
import type { PluginOptions } from './plugin-config.js';
import { RUNTIME_ROUTES, runtimeRoutes } from './runtime-listener.js';
import type { RouteOptions } from './runtime-listener.js';
import { toYaml } from './yaml.js';

/** File of the callees' clusters. */
export const CLUSTERS_FILE = 'callees.cds.yaml';
/** The statistics that say what Envoy made of that file. */
export const CLUSTERS_STATS = 'cluster_manager.cds';
/** File of the routes of the runtime's listener. */
export const RUNTIME_ROUTES_FILE = 'runtime.rds.yaml';
/** File of the routes of the listener for plain calls, where there is one. */
export const PROXY_ROUTES_FILE = 'proxy.rds.yaml';

/** Routes that Envoy has from a file. */
export interface RoutesFile {
  file: string;
  /** The beginning of the statistics that say what Envoy made of it. */
  stats: string;
  /** A route configuration. */
  routes: EnvoyObject;
}

/** Where the app's calls to others go: what Envoy has from files, so that it changes without a change of a listener. */
export interface Ways {
  clusters: EnvoyObject[];
  routes: RoutesFile[];
}

/**
 * What routes depend on that change with the configuration, and with what is in the slots.
 *
 * @param options of which the plugin configuration is made
 * @param modules by slot
 */
export function routeOptionsOf(
  config: RuntimeConfig,
  options: Pick<PluginOptions, 'hold' | 'apiTokens'>,
  modules: ReadonlyMap<string, unknown> = new Map(),
): RouteOptions {
  const spare = spareSlots(config.modules.slots);
  const emptySlots = spare.filter((slot) => !modules.has(slot));
  return {
    hold: options.hold,
    // A module in a slot may make of a call one that the filter has to see.
    direct: !isGuarded(options) && emptySlots.length === spare.length,
    emptySlots,
  };
}

/** The ways of a configuration. */
export function waysOf(config: RuntimeConfig, options: RouteOptions): Ways {
  const { proxy } = config.listen;
  return {
    clusters: calleesClusters(config),
    routes: [
      routesFile(RUNTIME_ROUTES_FILE, RUNTIME_ROUTES, runtimeRoutes(config, options)),
      ...(proxy === undefined
        ? []
        : [routesFile(PROXY_ROUTES_FILE, PROXY_ROUTES, proxyRoutes(config, proxy))]),
    ],
  };
}

/** The listeners' statistics and route configurations have one name. */
function routesFile(file: string, name: string, routes: EnvoyObject): RoutesFile {
  return { file, stats: `http.${name}.rds.${name}`, routes };
}

/** Contents of the files of {@link Ways}, by name. */
export function waysFiles({ clusters, routes }: Ways): Record<string, string> {
  // Envoy counts no change where only their order is another one.
  const sorted = [...clusters].sort((one, other) => (String(one['name']) < String(other['name']) ? -1 : 1));
  const files = routes.map(({ file, routes: of }) => [
    file,
    toYaml({ resources: [{ '@type': TYPES.routes, ...of }] }),
  ]);
  return {
    [CLUSTERS_FILE]: toYaml({ resources: sorted.map((one) => ({ '@type': TYPES.cluster, ...one })) }),
    ...(Object.fromEntries(files) as Record<string, string>),
  };
}
