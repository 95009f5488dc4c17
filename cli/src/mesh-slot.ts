import { isFunctionSlot, isSlotName, RUNTIME_SLOT } from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderSlot, slotProblems } from '../../envoy/istio/envoyfilter.js';
import type { SlotContent } from '../../envoy/istio/envoyfilter.js';
import { passingConfiguration, renderSlotExtension } from '../../envoy/istio/extensions.js';
import type { ExtensionModule } from '../../envoy/istio/extensions.js';
import type { MeshOptions } from '../../envoy/istio/options.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import { envoyProblems } from '../../envoy/module-info.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { pluginConfiguration } from '../../envoy/plugin-config.js';
import type { SlotModule } from '../../envoy/slots.js';
import { toYaml } from '../../envoy/yaml.js';
import { UsageError, UserError } from './errors.js';
import { functionSettings, givenSettings, SETTINGS_OPTIONS } from './function-settings.js';
import { meshOptions, MESH_OPTIONS, readMesh } from './mesh.js';
import { readConfiguration } from './module-commands.js';
import { readModuleFile } from './module-file.js';
import type { ModuleFile } from './module-file.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';
import { tryOut } from './preflight.js';

const SOCKETS = ['bridge-socket', 'app-socket'];
/** Resources of Istio's own that can be what a slot is, by the names of the commands that print them. */
const EXTENSIONS = { trafficextension: 'TrafficExtension', wasmplugin: 'WasmPlugin' } as const;

/** What is said of functions only. */
const FUNCTION_OPTIONS: readonly Option[] = [
  ...SETTINGS_OPTIONS,
  { name: 'no-try', help: 'print it without a call that is tried before' },
];

export const SLOT_OPTIONS: readonly Option[] = [
  {
    name: 'slot',
    value: 'SLOT',
    help: 'which one: slot-1, the name of an entry of outbound, function-1',
  },
  ...MESH_OPTIONS.filter(({ name }) => !SOCKETS.includes(name)),
  {
    name: 'module-config',
    value: 'FILE',
    help: 'what the module is configured with, if it is none of Layotto',
  },
  { name: 'root-id', value: 'ID', help: "the root id of the module's own" },
  ...FUNCTION_OPTIONS.map((option) => ({ ...option, help: `of a function: ${option.help}` })),
  {
    name: 'form',
    value: 'FORM',
    help: 'as the runtime was printed: trafficextension or wasmplugin (envoyfilter)',
  },
  { name: 'hold', help: 'as the EnvoyFilter was printed' },
  { name: 'empty', help: 'no module: what is in the slot goes' },
];

/**
 * `layotto envoy slot`: the resource that puts a module, or a function, into a slot of what `layotto envoy envoyfilter`
 * prints, as YAML on standard output. To apply it is to push the module.
 */
export async function slot(values: Values): Promise<number> {
  const name = text(values, 'slot');
  if (name === undefined) throw new UsageError('--slot says into which slot, such as slot-1');
  expectFitting(values, name);
  const config = await readMesh(values);
  if (values['empty'] === true) {
    const options = meshOptions(values, '', []);
    return print(config, options, name, () => renderSlot(config, options, name, {}));
  }
  const path = text(values, 'module-copy');
  if (path === undefined)
    throw new UsageError('--module-copy FILE says which module, or --empty that there is none');
  const copy = readModuleFile(path);
  const isFunction = copy.info.section?.function === true;
  const problems = envoyProblems(copy.info);
  if (isFunctionSlot(name) && !isFunction && problems.length === 0)
    problems.push('it is no function; layotto function build makes one of a source');
  if (!isFunctionSlot(name) && isFunction)
    problems.push('it is a function; functions go into function-1, function-2, …');
  if (problems.length > 0) throw new UserError(problems.map((problem) => `${path}: ${problem}`).join('\n'));
  const options = meshOptions(values, copy.info.sha256, moduleCapabilities(copy.info));
  const kind = extensionOf(values);
  if (kind === undefined) {
    const content = isFunction
      ? await functionOf(values, config, options, copy, path)
      : { module: moduleOf(values, config, options, copy) };
    return print(config, options, name, () => renderSlot(config, options, name, content));
  }
  const module = extensionModuleOf(values, config, options, copy);
  return print(config, options, name, () => renderSlotExtension(config, options, name, module, kind));
}

/** @throws UsageError if options were given that say nothing of such a slot */
function expectFitting(values: Values, name: string): void {
  const forFunctions = FUNCTION_OPTIONS.find((option) => values[option.name] !== undefined);
  if (!isFunctionSlot(name) && forFunctions !== undefined)
    throw new UsageError(`--${forFunctions.name} is of functions, which go into function-1, function-2, …`);
  const kind = extensionOf(values);
  if (kind === undefined) return;
  if (!isSlotName(name))
    throw new UsageError(`${name} is a slot of what layotto envoy envoyfilter prints, and of no ${kind}`);
  if (values['empty'] === true)
    throw new UsageError(`no ${kind} is empty: delete the one that is in the slot`);
}

function extensionOf(values: Values): (typeof EXTENSIONS)[keyof typeof EXTENSIONS] | undefined {
  const form = text(values, 'form') ?? 'envoyfilter';
  if (form === 'trafficextension' || form === 'wasmplugin') return EXTENSIONS[form];
  if (form === 'envoyfilter') return undefined;
  throw new UsageError(`--form is envoyfilter, trafficextension or wasmplugin, not '${form}'`);
}

function print(config: RuntimeConfig, options: MeshOptions, name: string, render: () => EnvoyObject): number {
  const problems = slotProblems(config, options, name);
  if (problems.length > 0) throw new UserError(problems.join('\n'));
  process.stdout.write(toYaml(render()));
  return 0;
}

/** One build of a module is told from another. */
function versionOf({ info }: ModuleFile, options: MeshOptions): string {
  return `${info.section?.version ?? options.version}+${info.sha256.slice(0, 8)}`;
}

/** A module that says what it is gets what the runtime gets, and passes on what it does not serve. */
function moduleOf(values: Values, config: RuntimeConfig, options: MeshOptions, copy: ModuleFile): SlotModule {
  const own = copy.info.section !== undefined;
  const hold = values['hold'] === true;
  const version = versionOf(copy, options);
  const plugin = { ...pluginConfiguration(config, { ...options, hold, version }), passOn: true };
  const file = text(values, 'module-config');
  return {
    ...options.module,
    configuration:
      file === undefined ? (own ? JSON.stringify(plugin) : '') : readConfiguration(file).toString(),
    rootId: text(values, 'root-id') ?? (own ? RUNTIME_SLOT : ''),
    capabilities: options.capabilities ?? [],
    seesBodies: own && !hold,
  };
}

/** The same for a resource of Istio's own, which is always in hold mode and takes objects only. */
function extensionModuleOf(
  values: Values,
  config: RuntimeConfig,
  options: MeshOptions,
  copy: ModuleFile,
): ExtensionModule {
  const own = copy.info.section !== undefined;
  const file = text(values, 'module-config');
  const version = versionOf(copy, options);
  const configuration =
    file === undefined
      ? own && passingConfiguration(config, { ...options, version })
      : asObject(file, readConfiguration(file).toString());
  return {
    source: options.module,
    rootId: text(values, 'root-id') ?? (own ? RUNTIME_SLOT : ''),
    ...(configuration === false ? {} : { configuration }),
  };
}

function asObject(file: string, content: string): EnvoyObject {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`--module-config ${file}: expected a JSON object, because Istio takes nothing else`);
  return value as EnvoyObject;
}

/** A function gets what the runtime gets, and its own settings. It is tried here, as before a push. */
async function functionOf(
  values: Values,
  config: RuntimeConfig,
  options: MeshOptions,
  copy: ModuleFile,
  path: string,
): Promise<SlotContent> {
  const { path: route, ...settings } = functionSettings(givenSettings(values), config.limits);
  const plugin = pluginConfiguration(config, { ...options, hold: false, version: versionOf(copy, options) });
  const configuration = JSON.stringify({ ...plugin, function: settings });
  const problem = await tryOut({ wasm: copy.wasm, configuration, call: values['no-try'] !== true });
  if (problem !== undefined) throw new UserError(`${path}: ${problem}`);
  return {
    module: {
      ...options.module,
      configuration,
      rootId: 'function',
      capabilities: options.capabilities ?? [],
      seesBodies: true,
    },
    function: {
      id: settings.id,
      deadlineMs: settings.deadlineMs,
      ...(route === undefined ? {} : { path: route }),
    },
  };
}
