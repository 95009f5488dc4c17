import { join } from 'node:path';

import { isFunctionSlot, isSlotName, RUNTIME_SLOT } from '../components-bridge/src/config/slots.js';
import {
  bridgeAdminSocket,
  envoyAdminSocket,
  functionsSocket,
  sessionSocket,
} from '../components-bridge/src/config/sockets.js';
import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { appCluster, appListener } from './app-channel.js';
import { inboundListener } from './inbound-listener.js';
import { invokeClusters, patternClusters } from './invoke-routes.js';
import { httpListener } from './http-listener.js';
import { CLUSTERS, FILTERS, SOCKET_MODE, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import { isGuarded, pluginConfiguration } from './plugin-config.js';
import type { PluginOptions } from './plugin-config.js';
import {
  functionsClusters,
  functionsListener,
  FUNCTIONS_FILE,
  FUNCTIONS_ROUTES,
  functionRoutes,
} from './functions-listener.js';
import type { FunctionRoute } from './functions-listener.js';
import { outboundCluster, outboundListener } from './outbound-listener.js';
import { proxyCluster, proxyListener } from './plain-calls.js';
import { discoveredFilter, extensionConfig, inlineFilter } from './runtime-filter.js';
import { actuatorListener, runtimeClusters, runtimeListener, socketEndpoint } from './runtime-listener.js';
import { slotExtension, slotFile, slotFilter, slotNames } from './slots.js';
import type { SlotModule } from './slots.js';
import { statsConfig } from './stats.js';
import {
  CLUSTERS_FILE,
  PROXY_ROUTES_FILE,
  routeOptionsOf,
  RUNTIME_ROUTES_FILE,
  waysFiles,
  waysOf,
} from './ways.js';
import { toYaml } from './yaml.js';

/** File of the runtime's filter config, in {@link BootstrapOptions.extensionDir}. */
export const EXTENSION_FILE = slotFile(RUNTIME_SLOT);
/** File of the config of the filter for plain calls, where there are any. No slot is called so. */
export const OUTBOUND_FILE = `${FILTERS.outbound}.ecds.yaml`;

/** The folder of the files that Envoy watches, in a data folder. */
export function extensionFolder(dataDir: string): string {
  return join(dataDir, 'envoy');
}

/** What a bootstrap needs beside the resolved configuration. */
export interface BootstrapOptions extends PluginOptions {
  /** Absolute path of the module. Envoy reads it again only if this configuration changes: name it by content. */
  moduleFile: string;
  /** The bridge's session socket; `session.sock` in the data folder by default. */
  bridgeSocket?: string;
  /** The bridge's socket for metrics; `bridge-admin.sock` in the data folder by default. */
  bridgeAdminSocket?: string;
  /** Envoy's admin socket; `envoy-admin.sock` in the data folder by default. */
  adminSocket?: string;
  /** Version of the Envoy that will run it, such as `1.40.0`. Some can do more; by default only what all can. */
  envoyVersion?: string;
  /**
   * `file` (default): the filter's config, the routes and the callees' clusters stand in files that Envoy watches.
   * `inline`: they stand in the bootstrap, which then is complete by itself but changes only with a restart.
   */
  delivery?: 'file' | 'inline';
  /** The module that plain calls pass; by default the runtime's. */
  outboundModule?: { file: string; capabilities: readonly string[] };
  /** Modules of the other slots, by slot; with `file` delivery only. */
  slots?: ReadonlyMap<string, SlotModule>;
  /** The functions that there are; with `file` delivery only. */
  functions?: readonly FunctionRoute[];
  /** Absolute folder that Envoy watches; `envoy` in the data folder by default. */
  extensionDir?: string;
}

/** A bootstrap, and the files it refers to. */
export interface RenderedBootstrap {
  bootstrap: EnvoyObject;
  /** The folder for `extensionConfigs`. It must exist, with the files in it, before Envoy starts. */
  extensionDir: string;
  /**
   * Contents by file name; empty with inline delivery. To change one while Envoy runs, write it elsewhere on
   * the same filesystem and rename it into the folder: that is what Envoy watches for.
   */
  extensionConfigs: Record<string, string>;
}

/** The whole configuration of a standalone Envoy, for `envoy -c`. Pure: it writes nothing. */
export function renderBootstrap(config: RuntimeConfig, options: BootstrapOptions): RenderedBootstrap {
  const extensionDir = options.extensionDir ?? extensionFolder(config.dataDir);
  const plugin = pluginConfiguration(config, options);
  const module = { file: options.moduleFile };
  const inline = options.delivery === 'inline';
  const filter = inline
    ? inlineFilter(module, plugin, options.capabilities)
    : discoveredFilter(watched(extensionDir, EXTENSION_FILE));
  const outboundModule = options.outboundModule ?? {
    ...module,
    capabilities: options.capabilities ?? [],
  };
  const outboundFilter = inline
    ? inlineFilter(outboundModule, plugin, outboundModule.capabilities, 'outbound')
    : discoveredFilter(watched(extensionDir, OUTBOUND_FILE), 'outbound');
  const { proxy, inbound } = config.listen;
  const routesIn = (file: string): EnvoyObject | undefined =>
    inline ? undefined : watched(extensionDir, file);
  const outbound = inline ? [] : config.outbound;
  const functions = inline ? undefined : config.functions;
  const slots = inline ? [] : slotNames(config).filter((slot) => slot !== RUNTIME_SLOT);
  const routeOptions = inline
    ? { hold: options.hold, direct: !isGuarded(options) }
    : routeOptionsOf(config, options, options.slots);
  const adminSocket = options.adminSocket ?? envoyAdminSocket(config.dataDir);
  const bridgeAdmin = options.bridgeAdminSocket ?? bridgeAdminSocket(config.dataDir);
  const metrics = config.envoy.metricsPort !== 0;

  const bootstrap: EnvoyObject = {
    // Envoy wants a name for itself before it reads configuration from files.
    node: { id: config.app.id, cluster: 'layotto' },
    admin: { address: pipe(adminSocket), ignore_global_conn_limit: true },
    stats_config: statsConfig(),
    overload_manager: { resource_monitors: [connectionLimit()] },
    ...(inline
      ? {}
      : {
          dynamic_resources: {
            cds_config: { resource_api_version: 'V3', ...watched(extensionDir, CLUSTERS_FILE) },
          },
        }),
    static_resources: {
      listeners: [
        runtimeListener(config, {
          address: tcp(config.listen.host, config.listen.port),
          more: config.listen.unixSocket === undefined ? [] : [pipe(config.listen.unixSocket)],
          before: slots
            .filter(isSlotName)
            .map((slot) => slotFilter(slot, watched(extensionDir, slotFile(slot)))),
          filter,
          routes: routesIn(RUNTIME_ROUTES_FILE),
          ...routeOptions,
          envoyVersion: options.envoyVersion,
        }),
        ...outbound.map((one) =>
          outboundListener(config, one, [
            outboundFilter,
            slotFilter(one.name, watched(extensionDir, slotFile(one.name))),
          ]),
        ),
        ...(functions === undefined
          ? []
          : [
              functionsListener(config, functions, {
                slots: slots
                  .filter(isFunctionSlot)
                  .map((slot) => slotFilter(slot, watched(extensionDir, slotFile(slot)), { disabled: true })),
                routes: { name: FUNCTIONS_ROUTES, from: watched(extensionDir, FUNCTIONS_FILE) },
                socket: { path: functionsSocket(config.dataDir), mode: SOCKET_MODE },
              }),
            ]),
        ...(config.app.port === 0 ? [] : [appListener(config)]),
        ...(inbound === undefined || config.app.port === 0 ? [] : [inboundListener(config, inbound)]),
        ...(proxy === undefined
          ? []
          : [
              proxyListener(config, {
                address: proxy,
                filter: outboundFilter,
                routes: routesIn(PROXY_ROUTES_FILE),
              }),
            ]),
        ...(config.listen.actuator === undefined
          ? []
          : [
              actuatorListener(config, {
                address: config.listen.actuator,
                filter,
                hold: options.hold,
                guarded: isGuarded(options),
              }),
            ]),
        ...(metrics ? [metricsListener(config.envoy.metricsPort)] : []),
      ],
      clusters: [
        ...runtimeClusters(config, options.bridgeSocket ?? sessionSocket(config.dataDir)),
        ...outbound.map(outboundCluster),
        ...(inline ? invokeClusters(config) : patternClusters(config)),
        ...(functions === undefined ? [] : functionsClusters(config, functions)),
        ...(proxy === undefined ? [] : [proxyCluster()]),
        ...(config.app.port === 0 ? [] : [appCluster(config)]),
        ...(metrics
          ? [adminCluster(CLUSTERS.admin, adminSocket), adminCluster(CLUSTERS.bridgeAdmin, bridgeAdmin)]
          : []),
      ],
    },
  };
  const extensionConfigs: Record<string, string> = {};
  if (!inline) {
    Object.assign(extensionConfigs, waysFiles(waysOf(config, routeOptions)));
    extensionConfigs[EXTENSION_FILE] = resource(extensionConfig(module, plugin, options.capabilities));
    if (proxy !== undefined || outbound.length > 0)
      extensionConfigs[OUTBOUND_FILE] = resource(
        extensionConfig(outboundModule, plugin, outboundModule.capabilities, 'outbound'),
      );
    if (functions !== undefined)
      extensionConfigs[FUNCTIONS_FILE] = toYaml({ resources: [functionRoutes(options.functions ?? [])] });
    for (const slot of slots)
      extensionConfigs[slotFile(slot)] = resource(slotExtension(slot, options.slots?.get(slot)));
  }
  return { bootstrap, extensionDir, extensionConfigs };
}

/** Where Envoy has something from that stands in a file of its own. */
function watched(extensionDir: string, file: string): EnvoyObject {
  return {
    path_config_source: {
      path: join(extensionDir, file),
      watched_directory: { path: extensionDir },
    },
  };
}

function resource(extension: EnvoyObject): string {
  return toYaml({ resources: [{ '@type': TYPES.extensionConfig, ...extension }] });
}

function tcp(address: string, port: number): EnvoyObject {
  return { socket_address: { address, port_value: port } };
}

function pipe(path: string): EnvoyObject {
  return { pipe: { path, mode: SOCKET_MODE } };
}

/** Connections of all listeners together: far above what apps beside an Envoy open, and still a bound. */
function connectionLimit(): EnvoyObject {
  return {
    name: 'envoy.resource_monitors.global_downstream_max_connections',
    typed_config: { '@type': TYPES.connectionLimit, max_active_downstream_connections: 16384 },
  };
}

/** Prometheus metrics of Envoy and of the bridge on loopback. Nothing else of their admin interfaces is reachable. */
function metricsListener(port: number): EnvoyObject {
  const get = [{ name: ':method', string_match: { exact: 'GET' } }];
  const route = { cluster: CLUSTERS.admin, timeout: '10s' };
  const bridge = { cluster: CLUSTERS.bridgeAdmin, timeout: '10s', prefix_rewrite: '/metrics' };
  return httpListener('layotto_metrics', tcp('127.0.0.1', port), {
    request_headers_timeout: '10s',
    stream_idle_timeout: '30s',
    route_config: {
      name: 'layotto_metrics',
      virtual_hosts: [
        {
          name: 'metrics',
          domains: ['*'],
          routes: [
            { match: { path: '/stats/prometheus', headers: get }, route },
            {
              match: { path: '/metrics', headers: get },
              route: { ...route, prefix_rewrite: '/stats/prometheus' },
            },
            { match: { path: '/metrics/bridge', headers: get }, route: bridge },
          ],
        },
      ],
    },
    http_filters: [{ name: FILTERS.router, typed_config: { '@type': TYPES.router } }],
  });
}

function adminCluster(name: string, socket: string): EnvoyObject {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: socketEndpoint(name, socket),
  };
}
