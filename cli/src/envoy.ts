import { existsSync } from 'node:fs';

import { catalog } from '../../components-bridge/src/catalog.js';
import { renderBootstrap } from '../../envoy/bootstrap.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import type { ModuleInfo } from '../../envoy/module-info.js';
import { toYaml } from '../../envoy/yaml.js';
import { BRIDGE_NODE_OPTIONS } from './bridge-child.js';
import { readConfig } from './config-options.js';
import { UsageError } from './errors.js';
import { findInstallation } from './installation.js';
import { readModuleFile } from './module-file.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

export const BOOTSTRAP_OPTIONS: readonly Option[] = [
  { name: 'module-file', value: 'PATH', help: 'the module as Envoy sees it (the installed one)' },
  {
    name: 'module-copy',
    value: 'PATH',
    help: 'the same module here, to read what it needs (the installed one)',
  },
  { name: 'bridge-socket', value: 'PATH', help: "the bridge's socket as Envoy sees it (in the data folder)" },
  { name: 'hold', help: 'for an Envoy without allow_on_headers_stop_iteration' },
  { name: 'envoy-version', value: 'X.Y.Z', help: 'the Envoy it is for (any that is supported)' },
];

/** `layotto envoy bootstrap`: a whole configuration for `envoy -c`, as YAML on standard output. */
export async function bootstrap(values: Values): Promise<number> {
  const installation = findInstallation();
  const config = await read(values);
  const rendered = renderBootstrap(config, {
    ...plugin(installation.version, values),
    moduleFile: text(values, 'module-file') ?? installation.module,
    capabilities: moduleCapabilities(moduleAtHand(values, installation.module)),
    bridgeSocket: text(values, 'bridge-socket'),
    envoyVersion: envoyVersion(values),
    delivery: 'inline',
  });
  const bridge = [
    ...BRIDGE_NODE_OPTIONS,
    installation.bridge,
    '--data-dir',
    config.dataDir,
    ...bridgeArguments(values),
  ];
  console.log(`# envoy -c THIS_FILE --disable-hot-restart --concurrency ${config.envoy.concurrency}`);
  console.log(`# Beside it the bridge: node ${bridge.map(quoted).join(' ')}`);
  process.stdout.write(toYaml(rendered.bootstrap));
  return 0;
}

/** The module that can be read here: the one that Envoy sees, if this machine sees it too. */
function moduleAtHand(values: Values, installed: string): ModuleInfo {
  const copy = text(values, 'module-copy');
  const file = text(values, 'module-file') ?? installed;
  if (copy !== undefined) return readModuleFile(copy, 'module-copy').info;
  return readModuleFile(existsSync(file) ? file : installed).info;
}

function envoyVersion(values: Values): string | undefined {
  const version = text(values, 'envoy-version');
  if (version === undefined || /^\d+\.\d+(\.\d+)?$/.test(version)) return version;
  throw new UsageError(`--envoy-version needs a version such as 1.40.0, not '${version}'`);
}

/** The options of ours that the bridge takes too, with their values. */
function bridgeArguments(values: Values): string[] {
  const pairs = {
    config: 'config',
    'resources-path': 'resources-path',
    'app-id': 'app-id',
    'bridge-socket': 'socket',
  };
  return Object.entries(pairs).flatMap(([ours, its]) => {
    const value = text(values, ours);
    return value === undefined ? [] : [`--${its}`, value];
  });
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

async function read(values: Values) {
  const { config, notices } = await readConfig(values);
  for (const notice of notices) console.error(`notice: ${notice}`);
  return config;
}

function plugin(version: string, values: Values) {
  return { version, hold: values.hold === true, apiTokens: [process.env.DAPR_API_TOKEN ?? ''], catalog };
}
