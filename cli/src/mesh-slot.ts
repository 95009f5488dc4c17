import { RUNTIME_SLOT } from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { toYaml } from '../../envoy/bootstrap.js';
import { renderSlot, slotProblems } from '../../envoy/istio/envoyfilter.js';
import type { MeshOptions } from '../../envoy/istio/options.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import { envoyProblems } from '../../envoy/module-info.js';
import { pluginConfiguration } from '../../envoy/plugin-config.js';
import type { SlotModule } from '../../envoy/slots.js';
import { UsageError, UserError } from './errors.js';
import { meshOptions, MESH_OPTIONS, readMesh } from './mesh.js';
import { readConfiguration } from './module-commands.js';
import { readModuleFile } from './module-file.js';
import type { ModuleFile } from './module-file.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

const SOCKETS = ['bridge-socket', 'app-socket'];

export const SLOT_OPTIONS: readonly Option[] = [
  { name: 'slot', value: 'SLOT', help: 'which of modules.slots, such as slot-1' },
  ...MESH_OPTIONS.filter(({ name }) => !SOCKETS.includes(name)),
  {
    name: 'module-config',
    value: 'FILE',
    help: 'what the module is configured with, if it is none of Layotto',
  },
  { name: 'root-id', value: 'ID', help: "the root id of the module's own" },
  { name: 'hold', help: 'as the EnvoyFilter was printed' },
  { name: 'empty', help: 'no module: what is in the slot goes' },
];

/**
 * `layotto envoy slot`: the EnvoyFilter that puts a module into a spare slot of what `layotto envoy envoyfilter` prints,
 * as YAML on standard output. To apply it is to push the module.
 */
export async function slot(values: Values): Promise<number> {
  const name = text(values, 'slot');
  if (name === undefined) throw new UsageError('--slot says into which slot, such as slot-1');
  const config = await readMesh(values);
  if (values['empty'] === true) return print(config, meshOptions(values, '', []), name, undefined);
  const path = text(values, 'module-copy');
  if (path === undefined)
    throw new UsageError('--module-copy FILE says which module, or --empty that there is none');
  const copy = readModuleFile(path);
  const problems = envoyProblems(copy.info);
  if (problems.length > 0) throw new UserError(problems.map((problem) => `${path}: ${problem}`).join('\n'));
  const options = meshOptions(values, copy.info.sha256, moduleCapabilities(copy.info));
  return print(config, options, name, moduleOf(values, config, options, copy));
}

function print(
  config: RuntimeConfig,
  options: MeshOptions,
  name: string,
  module: SlotModule | undefined,
): number {
  const problems = slotProblems(config, options, name);
  if (problems.length > 0) throw new UserError(problems.join('\n'));
  process.stdout.write(toYaml(renderSlot(config, options, name, module)));
  return 0;
}

/** A module that says what it is gets what the runtime gets, and passes on what it does not serve. */
function moduleOf(
  values: Values,
  config: RuntimeConfig,
  options: MeshOptions,
  { info }: ModuleFile,
): SlotModule {
  const own = info.section !== undefined;
  const hold = values['hold'] === true;
  const version = `${info.section?.version ?? options.version}+${info.sha256.slice(0, 8)}`;
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
