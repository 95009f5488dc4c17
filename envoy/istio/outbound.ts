import type { OutboundConfig, RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { FILTERS, TYPES } from '../names.js';
import type { EnvoyObject } from '../names.js';
import { outboundCluster, outboundClusterName, outboundListener } from '../outbound-listener.js';
import type { PluginConfiguration } from '../plugin-config.js';
import { discoveredFilter, extensionConfig } from '../runtime-filter.js';
import { slotFilter } from '../slots.js';
import type { MeshOptions } from './options.js';
import { addPatch, DISCOVERED } from './patches.js';

/** What the app's own calls to others pass in a sidecar. */
export interface OutboundOptions extends MeshOptions {
  /** Also observe all plain calls: the filter stands in every outbound HTTP listener, before the router. */
  outbound?: boolean;
}

/**
 * The module that counts and limits the app's plain calls, in listeners of the configuration's own and, if that is
 * wanted, in those that the mesh has made; nothing where there is neither.
 */
export function outboundPatches(
  config: RuntimeConfig,
  plugin: PluginConfiguration,
  options: OutboundOptions,
): EnvoyObject[] {
  const everywhere = options.outbound === true;
  if (!everywhere && config.outbound.length === 0) return [];
  const filter = discoveredFilter(DISCOVERED, 'outbound');
  return [
    ...config.outbound.map((one) => addPatch('CLUSTER', clusterOf(one))),
    ...config.outbound.map((one) => {
      const slot = slotFilter(one.name, DISCOVERED, { waits: false });
      return addPatch('LISTENER', outboundListener(config, one, [filter, slot]));
    }),
    ...(everywhere ? [beforeEachRouter(filter)] : []),
    addPatch('EXTENSION_CONFIG', extensionConfig(options.module, plugin, options.capabilities, 'outbound')),
  ];
}

/**
 * A service of the mesh by its full name is reached by the mesh's own cluster for it, with its certificates, subsets and
 * limits, behind the name by which the policy and the metrics know the entry.
 */
function clusterOf(outbound: OutboundConfig): EnvoyObject {
  const { host, port } = outbound.to;
  if (!host.includes('.svc.')) return outboundCluster(outbound);
  return {
    name: outboundClusterName(outbound),
    connect_timeout: '5s',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.aggregate',
      typed_config: { '@type': TYPES.aggregateCluster, clusters: [`outbound|${port}||${host}`] },
    },
  };
}

/** Lets plain calls pass in the listeners that the mesh has made. */
function beforeEachRouter(filter: EnvoyObject): EnvoyObject {
  const name = 'envoy.filters.network.http_connection_manager';
  const filterChain = { filter: { name, subFilter: { name: FILTERS.router } } };
  return {
    applyTo: 'HTTP_FILTER',
    match: { context: 'SIDECAR_OUTBOUND', listener: { filterChain } },
    patch: { operation: 'INSERT_BEFORE', value: filter },
  };
}
