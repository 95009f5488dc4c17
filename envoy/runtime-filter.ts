import { FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import type { PluginConfiguration } from './plugin-config.js';

/** Where Envoy gets the module from. */
export type ModuleSource =
  /** A file that Envoy can read. */
  | { file: string }
  /**
   * `oci://…` or `https://…`. Only Istio's agent resolves it: it downloads the module, checks the checksum and
   * hands Envoy a file.
   */
  | { url: string; sha256: string };

/** Envoy keeps the data that virtual machines share by this name. */
export const VM_ID = 'layotto';

/** What the module does: answers as the runtime, or lets the app's own calls to others pass. */
export type FilterRole = 'runtime' | 'outbound';

/**
 * The typed config of the runtime's filter. Both roles have one VM: metrics and the buckets of limits are shared.
 *
 * FAIL_RELOAD: after a trap a new VM is made at the next request instead of refusing calls for good.
 *
 * @param capabilities host functions and callbacks the module may use, see `moduleCapabilities`; any if it is empty
 */
export function wasmConfig(
  module: ModuleSource,
  plugin: PluginConfiguration,
  capabilities: readonly string[] = [],
  role: FilterRole = 'runtime',
): EnvoyObject {
  return {
    '@type': TYPES.wasm,
    config: {
      name: FILTERS[role],
      root_id: role,
      failure_policy: 'FAIL_RELOAD',
      // The default of a second, halved: a trap must not refuse calls for longer than it has to.
      reload_config: { backoff: { base_interval: '0.5s' } },
      // Without it Envoy shows the filter no body while the headers wait. Where it cannot be set there is the
      // hold mode.
      ...(plugin.hold || role === 'outbound' ? {} : { allow_on_headers_stop_iteration: true }),
      vm_config: { vm_id: VM_ID, runtime: 'envoy.wasm.runtime.v8', code: moduleCode(module) },
      configuration: { '@type': TYPES.string, value: JSON.stringify(plugin) },
      ...capabilityRestriction(capabilities),
    },
  };
}

/** The part of a plugin's config that says what its module may use; nothing if the list is empty. */
export function capabilityRestriction(capabilities: readonly string[]): EnvoyObject {
  // Envoy takes an empty list for no restriction.
  if (capabilities.length === 0) return {};
  const allowed = Object.fromEntries(capabilities.map((name) => [name, {}]));
  return { capability_restriction_config: { allowed_capabilities: allowed } };
}

/** Where Envoy has a module's code from. */
export function moduleCode(module: ModuleSource): EnvoyObject {
  if ('file' in module) return { local: { filename: module.file } };
  return {
    remote: {
      // Envoy's own schema wants a cluster and a timeout here; the agent, which does the download, uses neither.
      http_uri: { uri: module.url, cluster: 'layotto_module', timeout: '30s' },
      sha256: module.sha256,
    },
  };
}

/** The same as a named resource of extension config discovery. */
export function extensionConfig(
  module: ModuleSource,
  plugin: PluginConfiguration,
  capabilities: readonly string[] = [],
  role: FilterRole = 'runtime',
): EnvoyObject {
  return { name: FILTERS[role], typed_config: wasmConfig(module, plugin, capabilities, role) };
}

/** The HTTP filter with its config in place. */
export function inlineFilter(
  module: ModuleSource,
  plugin: PluginConfiguration,
  capabilities: readonly string[] = [],
  role: FilterRole = 'runtime',
): EnvoyObject {
  return extensionConfig(module, plugin, capabilities, role);
}

/**
 * The HTTP filter with its config from elsewhere, so that a new module or configuration is taken over with no
 * restart and no drained listener; one that does not load is refused and the last good one stays.
 */
export function discoveredFilter(configSource: EnvoyObject, role: FilterRole = 'runtime'): EnvoyObject {
  return {
    name: FILTERS[role],
    config_discovery: {
      config_source: { resource_api_version: 'V3', ...configSource },
      type_urls: [TYPES.wasm],
    },
  };
}
