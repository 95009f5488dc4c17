import { RUNTIME_SLOT, spareSlots } from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { FunctionRoute } from '../functions-listener.js';
import { invokeClusters } from '../invoke-routes.js';
import type { EnvoyObject } from '../names.js';
import { isGuarded, pluginConfiguration } from '../plugin-config.js';
import { discoveredFilter, extensionConfig } from '../runtime-filter.js';
import { actuatorListener, runtimeClusters, runtimeListener } from '../runtime-listener.js';
import { slotExtension, slotFilter, slotNames } from '../slots.js';
import type { SlotModule } from '../slots.js';
import { functionRoutePatches, functionsPatches } from './functions.js';
import { meshNames, meshProblems, refuseProblems } from './options.js';
import type { MeshOptions } from './options.js';
import { outboundPatches } from './outbound.js';
import type { OutboundOptions } from './outbound.js';
import { addPatch, deliveryPatches, DISCOVERED, envoyFilterOf } from './patches.js';

/** What an EnvoyFilter needs beside the resolved configuration. */
export interface EnvoyFilterOptions extends OutboundOptions {
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
  const before = spareSlots(config.modules.slots).map((slot) =>
    slotFilter(slot, DISCOVERED, { waits: false }),
  );
  // 0s: the listener waits for the filter's config, however long the first download takes. Only a wasm filter is taken:
  // for a module that it cannot fetch, Istio's agent sends a filter that refuses every call, and the last good module
  // is better than that.
  const filter = discoveredFilter(DISCOVERED);
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
    ...functionsPatches(config, names),
    addPatch('EXTENSION_CONFIG', extensionConfig(options.module, plugin, options.capabilities)),
    ...outboundPatches(config, plugin, options),
  ]);
}

/** What is put into a slot: a module, a function with the way to it, or nothing. */
export interface SlotContent {
  module?: SlotModule;
  /** Of a slot for functions, with a module. */
  function?: Omit<FunctionRoute, 'slot'>;
}

/**
 * An EnvoyFilter that puts a module into a slot of {@link renderEnvoyFilter}'s listeners, and leads calls to it if it is a
 * function. One of the same name with another module takes its place, and one without any empties the slot.
 *
 * @throws TypeError with the lines of `slotProblems`, if there are any
 */
export function renderSlot(
  config: RuntimeConfig,
  options: MeshOptions,
  slot: string,
  content: SlotContent,
): EnvoyObject {
  const problems = slotProblems(config, options, slot);
  if (problems.length > 0) throw new TypeError(problems.join('\n'));
  const names = meshNames(config, options);
  const extension = addPatch('EXTENSION_CONFIG', slotExtension(slot, content.module));
  if (content.function === undefined) return envoyFilterOf(names, slot, [extension]);
  const { patches, priority } = functionRoutePatches(config, { ...content.function, slot });
  return envoyFilterOf(names, slot, [extension, ...patches], priority);
}

/** What is wrong with a slot or with the options; empty if nothing. A line each. */
export function slotProblems(config: RuntimeConfig, options: MeshOptions, slot: string): string[] {
  const slots = slotNames(config).filter((name) => name !== RUNTIME_SLOT);
  const known =
    slots.length === 0
      ? 'none: modules.slots is 0, and there are no outbound and no functions'
      : slots.join(', ');
  const problem = `slot: expected one that the listeners have (${known}), found ${JSON.stringify(slot)}`;
  return [...(slots.includes(slot) ? [] : [problem]), ...meshProblems(config, options)];
}
