import {
  functionSlots,
  isFunctionSlot,
  isSlotName,
  RUNTIME_SLOT,
  spareSlots,
} from '../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import { capabilityRestriction, moduleCode, VM_ID } from './runtime-filter.js';
import type { ModuleSource } from './runtime-filter.js';

/**
 * A module in a slot, and what it is configured with. A file's name has to change with its content, because Envoy reads
 * it only when this text changes.
 */
export type SlotModule = ModuleSource & SlotSettings;

interface SlotSettings {
  /** The plugin configuration. */
  configuration: string;
  rootId: string;
  /** Host functions and callbacks that it may use, see `moduleCapabilities`. */
  capabilities: readonly string[];
  /**
   * The module wants to see a body while it holds the headers back, as those of this project do. Modules of other SDKs
   * mean by the same answer that everything is held back.
   */
  seesBodies: boolean;
}

/** Every slot that a pushed module can be in: the runtime's own, the spare ones, and those of outbound listeners. */
export function slotNames(config: RuntimeConfig): string[] {
  return [
    RUNTIME_SLOT,
    ...spareSlots(config.modules.slots),
    ...config.outbound.map(({ name }) => name),
    ...functionSlots(config.functions?.slots ?? 0),
  ];
}

/** The name of a slot's filter, which is the name of its extension config too. */
export function slotFilterName(slot: string): string {
  return slot === RUNTIME_SLOT ? FILTERS.runtime : `layotto.slot.${slot}`;
}

/** File of a slot's extension config. */
export function slotFile(slot: string): string {
  return `${slot}.ecds.yaml`;
}

/**
 * A slot's HTTP filter: its config comes from elsewhere, and may be a module or nothing at all, so that a module comes
 * and goes without a change of the listener.
 *
 * @param disabled only routes that enable it have it
 * @param waits the listener waits for the config, which is sure to come
 */
export function slotFilter(
  slot: string,
  configSource: EnvoyObject,
  { disabled = false, waits = true } = {},
): EnvoyObject {
  return {
    name: slotFilterName(slot),
    ...(disabled ? { disabled } : {}),
    config_discovery: {
      config_source: { resource_api_version: 'V3', ...configSource },
      // Until the file is read, and if it cannot be: requests pass.
      default_config: PASS_THROUGH,
      apply_default_config_without_warming: !waits,
      type_urls: [TYPES.wasm, TYPES.headerMutation],
    },
  };
}

/** How long Envoy waits at least between two virtual machines of a module that traps. Those of a function are small. */
const RELOAD = { functions: '0.1s', modules: '0.5s' };

/** The extension config of a slot that nothing is in: a filter of Envoy's own that has nothing to do. */
const PASS_THROUGH: EnvoyObject = { '@type': TYPES.headerMutation };

/** The extension config of a spare slot. */
export function slotExtension(slot: string, module: SlotModule | undefined): EnvoyObject {
  const name = slotFilterName(slot);
  if (module === undefined) return { name, typed_config: PASS_THROUGH };
  return {
    name,
    typed_config: {
      '@type': TYPES.wasm,
      config: {
        name,
        root_id: module.rootId,
        failure_policy: 'FAIL_RELOAD',
        reload_config: {
          backoff: { base_interval: isFunctionSlot(slot) ? RELOAD.functions : RELOAD.modules },
        },
        ...(module.seesBodies ? { allow_on_headers_stop_iteration: true } : {}),
        vm_config: {
          // A virtual machine of its own, because its configuration is its own: no other slot's traps or memory touch
          // it. Primitives share the runtime's data (buckets of rate limits, the roll of traps); nobody else does.
          vm_id: isSlotName(slot) ? VM_ID : name,
          configuration: { '@type': TYPES.string, value: name },
          runtime: 'envoy.wasm.runtime.v8',
          code: moduleCode(module),
        },
        configuration: { '@type': TYPES.string, value: module.configuration },
        ...capabilityRestriction(module.capabilities),
      },
    },
  };
}
