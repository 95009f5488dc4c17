import { spareSlots } from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { invokeClusters } from '../invoke-routes.js';
import { FILTERS } from '../names.js';
import type { EnvoyObject } from '../names.js';
import { isGuarded, pluginConfiguration } from '../plugin-config.js';
import type { PluginConfiguration } from '../plugin-config.js';
import { discoveredFilter, extensionConfig } from '../runtime-filter.js';
import { actuatorListener, runtimeClusters, runtimeListener } from '../runtime-listener.js';
import { slotExtension, slotFilter } from '../slots.js';
import type { SlotModule } from '../slots.js';
import { meshNames, meshProblems, refuseProblems } from './options.js';
import type { MeshOptions } from './options.js';
import { addPatch, deliveryPatches, envoyFilterOf } from './patches.js';

/** What an EnvoyFilter needs beside the resolved configuration. */
export interface EnvoyFilterOptions extends MeshOptions {
  /** Also observe the app's plain calls: the filter stands in every outbound HTTP listener, before the router. */
  outbound?: boolean;
  /** Hold mode: the filter runs without `allow_on_headers_stop_iteration`. */
  hold: boolean;
}

/**
 * An EnvoyFilter that turns the sidecars of an app into its runtime: the clusters, the listener on loopback (which
 * the mesh does not capture), and the filter's config as an extension config, which istiod pushes and Istio's
 * agent completes with the module, so that a new module needs no restart.
 *
 * @throws TypeError with the lines of `meshProblems`, if there are any
 */
export function renderEnvoyFilter(config: RuntimeConfig, options: EnvoyFilterOptions): EnvoyObject {
  refuseProblems(config, options);
  const names = meshNames(config, options);
  const { bridgeSocket } = names;
  const plugin = pluginConfiguration(config, options);
  const { hold } = options;
  // A slot is empty until a resource of its own says otherwise, see `renderSlot`: nothing is waited for.
  const source = { ads: {}, initial_fetch_timeout: '0s' };
  const before = spareSlots(config.modules.slots).map((slot) => slotFilter(slot, source, { waits: false }));
  // 0s: the listener waits for the filter's config, however long the first download takes. Only a wasm filter is taken:
  // for a module that it cannot fetch, Istio's agent sends a filter that refuses every call, and the last good module
  // is better than that.
  const filter = discoveredFilter(source);
  const { actuator } = config.listen;
  const listeners = [
    runtimeListener(config, {
      address: { socket_address: { address: '127.0.0.1', port_value: config.listen.port } },
      before,
      filter,
      hold,
    }),
  ];
  if (actuator !== undefined) {
    listeners.push(
      actuatorListener(config, { address: actuator, filter, hold, guarded: isGuarded(options) }),
    );
  }
  return envoyFilterOf(names, '', [
    ...[...runtimeClusters(config, bridgeSocket), ...invokeClusters(config)].map((cluster) =>
      addPatch('CLUSTER', cluster),
    ),
    ...listeners.map((listener) => addPatch('LISTENER', listener)),
    ...deliveryPatches(config, names),
    addPatch('EXTENSION_CONFIG', extensionConfig(options.module, plugin, options.capabilities)),
    ...(options.outbound === true ? outboundPatches(plugin, options) : []),
  ]);
}

/**
 * An EnvoyFilter that puts a module into a spare slot of {@link renderEnvoyFilter}'s listener. One of the same name with
 * another module takes its place, and one without any empties the slot.
 *
 * @throws TypeError with the lines of `slotProblems`, if there are any
 */
export function renderSlot(
  config: RuntimeConfig,
  options: MeshOptions,
  slot: string,
  module: SlotModule | undefined,
): EnvoyObject {
  const problems = slotProblems(config, options, slot);
  if (problems.length > 0) throw new TypeError(problems.join('\n'));
  const names = meshNames(config, options);
  return envoyFilterOf(names, slot, [addPatch('EXTENSION_CONFIG', slotExtension(slot, module))]);
}

/** What is wrong with a slot or with the options; empty if nothing. A line each. */
export function slotProblems(config: RuntimeConfig, options: MeshOptions, slot: string): string[] {
  const slots = spareSlots(config.modules.slots);
  const known = slots.length === 0 ? 'none: modules.slots is 0' : slots.join(', ');
  const problem = `slot: expected one that the listener has (${known}), found ${JSON.stringify(slot)}`;
  return [...(slots.includes(slot) ? [] : [problem]), ...meshProblems(config, options)];
}

/** The same module, which lets plain calls pass, in the listeners that the mesh has made. */
function outboundPatches(plugin: PluginConfiguration, options: EnvoyFilterOptions): EnvoyObject[] {
  const filter = discoveredFilter({ ads: {}, initial_fetch_timeout: '0s' }, 'outbound');
  const chain = {
    filter: {
      name: 'envoy.filters.network.http_connection_manager',
      subFilter: { name: FILTERS.router },
    },
  };
  return [
    {
      applyTo: 'HTTP_FILTER',
      match: { context: 'SIDECAR_OUTBOUND', listener: { filterChain: chain } },
      patch: { operation: 'INSERT_BEFORE', value: filter },
    },
    addPatch('EXTENSION_CONFIG', extensionConfig(options.module, plugin, options.capabilities, 'outbound')),
  ];
}
