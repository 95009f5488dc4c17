import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { appCluster, appListener, tellsApp } from '../app-channel.js';
import { invokeClusters, invokeFilters, invokeRoutes } from '../invoke-routes.js';
import { FILTERS } from '../names.js';
import type { EnvoyObject } from '../names.js';
import { bodyLimit } from '../runtime-listener.js';
import type { MeshNames } from './options.js';

/** Mode of the sockets in a pod that the bridge calls: it is in the sidecar's group. 0660, in decimal. */
export const SHARED_MODE = 0o660;

/** Where a sidecar has extension configs from: istiod. 0s: who waits for one, waits however long a module's download takes. */
export const DISCOVERED: EnvoyObject = { ads: {}, initial_fetch_timeout: '0s' };

/** A patch of an EnvoyFilter that adds something to what the app's sidecar sends. */
export function addPatch(applyTo: string, value: EnvoyObject): EnvoyObject {
  return { applyTo, match: { context: 'SIDECAR_OUTBOUND' }, patch: { operation: 'ADD', value } };
}

/** What lets the sidecar take deliveries for the app; nothing where there is nothing to tell it. */
export function deliveryPatches(config: RuntimeConfig, { appSocket }: MeshNames): EnvoyObject[] {
  if (!tellsApp(config)) return [];
  return [
    addPatch('CLUSTER', appCluster(config)),
    addPatch('LISTENER', appListener(config, { path: appSocket, mode: SHARED_MODE })),
  ];
}

/** What lets the listener that Istio has made take bodies as long as messages may be: its own bound is 1 MiB. */
export function bufferPatch(config: RuntimeConfig): EnvoyObject {
  return {
    applyTo: 'LISTENER',
    match: { context: 'SIDECAR_OUTBOUND', listener: { portNumber: config.listen.port } },
    patch: { operation: 'MERGE', value: { per_connection_buffer_limit_bytes: bodyLimit(config) } },
  };
}

/**
 * What lets calls to other apps through the listener that Istio has made: its own routes lead to the bridge. They stand
 * first, in their order, in each of the listener's virtual hosts.
 */
export function invocationPatches(config: RuntimeConfig): EnvoyObject[] {
  const context = 'SIDECAR_OUTBOUND';
  return [
    ...invokeClusters(config).map((cluster) => addPatch('CLUSTER', cluster)),
    ...invokeFilters(config).map((filter) => beforeRouter(config, filter)),
    // Each is put before those that are there.
    ...invokeRoutes(config)
      .reverse()
      .map((route) => ({
        applyTo: 'HTTP_ROUTE',
        match: { context, routeConfiguration: { portNumber: config.listen.port } },
        patch: { operation: 'INSERT_FIRST', value: route },
      })),
  ];
}

/** A filter right before the router, in the listener that Istio has made. */
export function beforeRouter(config: RuntimeConfig, filter: EnvoyObject): EnvoyObject {
  const name = 'envoy.filters.network.http_connection_manager';
  const filterChain = { filter: { name, subFilter: { name: FILTERS.router } } };
  return {
    applyTo: 'HTTP_FILTER',
    match: { context: 'SIDECAR_OUTBOUND', listener: { portNumber: config.listen.port, filterChain } },
    patch: { operation: 'INSERT_BEFORE', value: filter },
  };
}

/**
 * An EnvoyFilter for the app's sidecars.
 *
 * @param priority those with a smaller one are applied before it
 */
export function envoyFilterOf(
  { name, namespace, selector }: MeshNames,
  part: string,
  configPatches: readonly EnvoyObject[],
  priority = 0,
): EnvoyObject {
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name: part === '' ? name : `${name}-${part}`, namespace },
    spec: {
      workloadSelector: { labels: { ...selector } },
      ...(priority === 0 ? {} : { priority }),
      configPatches,
    },
  };
}
