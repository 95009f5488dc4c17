import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderEnvoyFilter, renderSlot } from '../../envoy/istio/envoyfilter.js';
import {
  passingConfiguration,
  renderSlotExtension,
  renderTrafficExtension,
  renderWasmPlugin,
} from '../../envoy/istio/extensions.js';
import type { MeshOptions } from '../../envoy/istio/options.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { pluginConfiguration } from '../../envoy/plugin-config.js';
import type { SlotModule } from '../../envoy/slots.js';

export const NAMESPACE = 'shop';
export const LABELS = { app: 'shop' };
/** What Istio says of every EnvoyFilter. */
export const ENVOYFILTER_WARNING =
  'EnvoyFilter exposes internal implementation details that may change at any time. Prefer other APIs if possible, and exercise extreme caution, especially around upgrades.';

/** A form of what is printed for a mesh. */
export interface Form {
  name: string;
  render: (config: RuntimeConfig, options: MeshOptions) => EnvoyObject[];
  hold: boolean;
  /** The oldest Istio that is claimed, and the one whose code this is. */
  versions: string[];
  /** Names of the EnvoyFilters among the resources. */
  envoyFilters: string[];
  /** Whether the actuator has a listener of its own. */
  actuator: boolean;
  /** Whether Istio's own bound of a listener's buffer holds. */
  bounded: boolean;
  /** A module in a spare slot; undefined: what there is to apply when it goes, which may be nothing. */
  slot: (config: RuntimeConfig, options: MeshOptions, module?: MeshOptions['module']) => EnvoyObject[];
  /** What becomes of the slot when its module cannot be fetched: it stays as it was, or every call is refused. */
  unfetched: 'stays' | 'refuses';
}

/** A module of Layotto's, as `layotto envoy slot` puts it into a slot. */
export function passing(
  module: MeshOptions['module'],
  config: RuntimeConfig,
  options: MeshOptions,
  hold: boolean,
): SlotModule {
  const plugin = pluginConfiguration(config, { ...options, hold });
  return {
    ...module,
    configuration: JSON.stringify({ ...plugin, passOn: true }),
    rootId: 'runtime',
    capabilities: [],
    seesBodies: !hold,
  };
}

/** What tells the module in the slot from the runtime: it lets nobody say hello. */
function noHello(config: RuntimeConfig): RuntimeConfig {
  const rule = { apps: [], operations: [], components: [], secrets: [], topics: [] };
  return {
    ...config,
    policy: {
      default: 'allow',
      trustDomain: 'cluster.local',
      rules: [{ name: IN_SLOT, effect: 'deny', primitives: ['hello'], ...rule }],
      limits: [],
    },
  };
}

/** By an EnvoyFilter that goes on being there when the module goes. */
function envoyFilterSlot(hold: boolean): Form['slot'] {
  return (config, options, module) => [
    renderSlot(
      config,
      options,
      SLOT,
      module === undefined ? {} : { module: passing(module, noHello(config), options, hold) },
    ),
  ];
}

/** By another resource of the kind, which is deleted when the module goes. */
function extensionSlot(kind: 'TrafficExtension' | 'WasmPlugin'): Form['slot'] {
  return (config, options, source) => {
    if (source === undefined) return [];
    const configuration = passingConfiguration(noHello(config), options);
    return [renderSlotExtension(config, options, SLOT, { source, rootId: 'runtime', configuration }, kind)];
  };
}

/** The slot that a module is put into, and the rule that it has. */
export const SLOT = 'slot-1';
export const IN_SLOT = 'in-slot';

export const FORMS: Form[] = [
  {
    name: 'envoyfilter',
    render: (config, options) => [renderEnvoyFilter(config, { ...options, hold: false })],
    hold: false,
    versions: ['1.28.0', '1.31.0'],
    envoyFilters: ['layotto'],
    actuator: true,
    bounded: false,
    slot: envoyFilterSlot(false),
    unfetched: 'stays',
  },
  {
    name: 'envoyfilter --hold',
    render: (config, options) => [renderEnvoyFilter(config, { ...options, hold: true })],
    hold: true,
    versions: ['1.31.0'],
    envoyFilters: ['layotto'],
    actuator: true,
    bounded: false,
    slot: envoyFilterSlot(true),
    unfetched: 'stays',
  },
  {
    name: 'trafficextension',
    render: renderTrafficExtension,
    hold: true,
    versions: ['1.30.0', '1.31.0'],
    envoyFilters: ['layotto-listeners'],
    actuator: false,
    bounded: false,
    slot: extensionSlot('TrafficExtension'),
    unfetched: 'refuses',
  },
  {
    name: 'trafficextension --stable',
    render: (config, options) => renderTrafficExtension(config, { ...options, stable: true }),
    hold: true,
    versions: ['1.31.0'],
    envoyFilters: [],
    actuator: false,
    bounded: true,
    slot: extensionSlot('TrafficExtension'),
    unfetched: 'refuses',
  },
  {
    name: 'wasmplugin',
    render: renderWasmPlugin,
    hold: true,
    versions: ['1.28.0', '1.31.0'],
    envoyFilters: ['layotto-listeners'],
    actuator: false,
    bounded: false,
    slot: extensionSlot('WasmPlugin'),
    unfetched: 'refuses',
  },
];

export const CASES = FORMS.flatMap((form) =>
  form.versions.map((version): [string, string, Form] => [form.name, version, form]),
);

/** A service of the mesh's. */
export function service(name: string, port: number): EnvoyObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      hosts: [`${name}.${NAMESPACE}.svc.cluster.local`],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: port }],
      resolution: 'STATIC',
      endpoints: [{ address: '127.0.0.1' }],
    },
  };
}
