import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { EnvoyObject } from '../names.js';
import { FILTERS } from '../names.js';
import { pluginConfiguration } from '../plugin-config.js';
import { replyConfig, replyShim } from '../reply-shim.js';
import type { ModuleSource } from '../runtime-filter.js';
import { meshNames, refuseProblems } from './options.js';
import type { MeshNames, MeshOptions } from './options.js';
import { beforeRouter, bufferPatch, deliveryPatches, envoyFilterOf, invocationPatches } from './patches.js';
import { serviceClusters, serviceResources } from './services.js';

const API = 'extensions.istio.io/v1alpha1';
/** Greater comes first: the module before the Lua filter, which opens its answers and holds its requests. */
const PRIORITY = { slots: 1000, module: 20, reply: 10 };

/** What a TrafficExtension needs beside the resolved configuration. */
export interface TrafficExtensionOptions extends MeshOptions {
  /** Nothing but stable APIs: no EnvoyFilter beside it, which leaves `deliveryGaps` of `trafficextension-stable`. */
  stable?: boolean;
}

/**
 * TrafficExtensions (Istio 1.30 or newer) for the module and the Lua filter after it, and the services that they need.
 * Always in hold mode, because Istio cannot set `allow_on_headers_stop_iteration`. Unless it is to be stable APIs only, an
 * EnvoyFilter gives what those cannot: longer bodies, routes to other apps, and deliveries.
 *
 * @throws TypeError with the lines of `meshProblems`, if there are any
 */
export function renderTrafficExtension(
  config: RuntimeConfig,
  options: TrafficExtensionOptions,
): EnvoyObject[] {
  refuseProblems(config, options);
  const names = meshNames(config, options);
  const extension = (name: string, priority: number, filter: EnvoyObject): EnvoyObject => ({
    apiVersion: API,
    kind: 'TrafficExtension',
    metadata: { name, namespace: names.namespace },
    spec: { ...attachment(config, names, priority), ...filter },
  });
  return [
    ...serviceResources(config, names),
    extension(names.name, PRIORITY.module, { wasm: wasm(config, names, options) }),
    extension(`${names.name}-reply`, PRIORITY.reply, { lua: { inlineCode: replyShim(true) } }),
    ...(options.stable === true
      ? []
      : [
          envoyFilterOf(names, 'listeners', [
            bufferPatch(config),
            ...invocationPatches(config),
            ...deliveryPatches(config, names),
          ]),
        ]),
  ];
}

/**
 * A WasmPlugin for the module, and what it needs beside it: the services, and an EnvoyFilter with the Lua filter, because
 * no other resource of Istio before 1.30 adds one, with longer bodies, routes to other apps, and deliveries. Always in hold mode.
 *
 * @throws TypeError with the lines of `meshProblems`, if there are any
 */
export function renderWasmPlugin(config: RuntimeConfig, options: MeshOptions): EnvoyObject[] {
  refuseProblems(config, options);
  const names = meshNames(config, options);
  return [
    ...serviceResources(config, names),
    {
      apiVersion: API,
      kind: 'WasmPlugin',
      metadata: { name: names.name, namespace: names.namespace },
      spec: { ...attachment(config, names, PRIORITY.module), ...wasm(config, names, options) },
    },
    envoyFilterOf(names, 'listeners', [
      beforeRouter(config, { name: FILTERS.reply, typed_config: replyConfig(config, { hold: true }) }),
      bufferPatch(config),
      ...invocationPatches(config),
      ...deliveryPatches(config, names),
    ]),
  ];
}

/** A module beside the runtime, as Istio's own resources take it. */
export interface ExtensionModule {
  source: ModuleSource;
  /** Empty: none. */
  rootId: string;
  /** Istio takes nothing but an object. */
  configuration?: EnvoyObject;
}

/**
 * What a spare slot is where the runtime is a TrafficExtension or a WasmPlugin: another of them that stands before it, in
 * the order of the slots. To apply one of the same name is to push, to delete it is to take the module out.
 *
 * @param slot one of `spareSlots`
 * @throws TypeError with the lines of `meshProblems`, if there are any
 */
export function renderSlotExtension(
  config: RuntimeConfig,
  options: MeshOptions,
  slot: string,
  { source, rootId, configuration }: ExtensionModule,
  kind: 'TrafficExtension' | 'WasmPlugin',
): EnvoyObject {
  refuseProblems(config, options);
  const names = meshNames(config, options);
  const spec = {
    ...moduleSource(source),
    ...(rootId === '' ? {} : { pluginName: rootId }),
    failStrategy: 'FAIL_RELOAD',
    ...(configuration === undefined ? {} : { pluginConfig: configuration }),
  };
  const attached = attachment(config, names, PRIORITY.slots - Number(slot.replace(/^slot-/, '')));
  return {
    apiVersion: API,
    kind,
    metadata: { name: `${names.name}-${slot}`, namespace: names.namespace },
    spec: kind === 'WasmPlugin' ? { ...attached, ...spec } : { ...attached, wasm: spec },
  };
}

/** What a module of this project is configured with in a spare slot there. */
export function passingConfiguration(config: RuntimeConfig, options: MeshOptions): EnvoyObject {
  const clusters = serviceClusters(config, meshNames(config, options));
  return { ...pluginConfiguration(config, { ...options, hold: true }), clusters, passOn: true };
}

function moduleSource(module: ModuleSource): EnvoyObject {
  return 'file' in module ? { url: `file://${module.file}` } : { url: module.url, sha256: module.sha256 };
}

function attachment(config: RuntimeConfig, { selector }: MeshNames, priority: number): EnvoyObject {
  return {
    selector: { matchLabels: { ...selector } },
    phase: 'AUTHN',
    priority,
    match: [{ mode: 'CLIENT', ports: [{ number: config.listen.port }] }],
  };
}

function wasm(config: RuntimeConfig, names: MeshNames, options: TrafficExtensionOptions): EnvoyObject {
  const { invoke, ...plugin } = pluginConfiguration(config, { ...options, hold: true });
  return {
    ...moduleSource(options.module),
    pluginName: 'runtime',
    // After a trap a new VM instead of refusing calls for good.
    failStrategy: 'FAIL_RELOAD',
    pluginConfig: {
      ...plugin,
      // Without an EnvoyFilter routes lead nowhere else than to the bridge, so nobody can be invoked.
      ...(options.stable === true ? {} : { invoke }),
      clusters: serviceClusters(config, names),
    },
  };
}
