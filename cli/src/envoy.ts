import { catalog } from '../../components-bridge/src/catalog.js';
import { renderBootstrap, toYaml } from '../../envoy/bootstrap.js';
import { envoyFilterProblems, renderEnvoyFilter } from '../../envoy/istio/envoyfilter.js';
import type { EnvoyFilterOptions } from '../../envoy/istio/envoyfilter.js';
import { BRIDGE_NODE_OPTIONS } from './bridge-child.js';
import { readConfig } from './config-options.js';
import { UsageError, UserError } from './errors.js';
import { findInstallation } from './installation.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

/** Where the sidecar finds the module unless told otherwise: the volume it shares with the bridge. */
const MODULE_IN_POD = '/var/run/layotto/runtime.wasm';

export const BOOTSTRAP_OPTIONS: readonly Option[] = [
  { name: 'module-file', value: 'PATH', help: 'the module as Envoy sees it (the installed one)' },
  { name: 'bridge-socket', value: 'PATH', help: "the bridge's socket as Envoy sees it (in the data folder)" },
  { name: 'hold', help: 'for an Envoy without allow_on_headers_stop_iteration' },
  { name: 'envoy-version', value: 'X.Y.Z', help: 'the Envoy it is for (any that is supported)' },
];

export const ENVOYFILTER_OPTIONS: readonly Option[] = [
  { name: 'name', value: 'NAME', help: 'name of the resource (layotto)' },
  { name: 'namespace', value: 'NS', help: 'namespace of the resource (default)' },
  { name: 'selector', value: 'K=V', help: 'label of the pods it is for (app=<app id>)' },
  { name: 'module-file', value: 'PATH', help: `the module as the sidecar sees it (${MODULE_IN_POD})` },
  {
    name: 'module-url',
    value: 'URL',
    help: 'or where to fetch it: oci://… or https://…, with its checksum:',
  },
  { name: 'module-sha256', value: 'HEX', help: 'SHA-256 of that module' },
  { name: 'bridge-socket', value: 'PATH', help: "the bridge's socket as the sidecar sees it" },
  { name: 'hold', help: 'for an Envoy without allow_on_headers_stop_iteration' },
];

/** `layotto envoy bootstrap`: a whole configuration for `envoy -c`, as YAML on standard output. */
export async function bootstrap(values: Values): Promise<number> {
  const installation = findInstallation();
  const config = await read(values);
  const rendered = renderBootstrap(config, {
    ...plugin(installation.version, values),
    moduleFile: text(values, 'module-file') ?? installation.module,
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

/** `layotto envoy envoyfilter`: the resource that turns sidecars into runtimes, as YAML on standard output. */
export async function envoyfilter(values: Values): Promise<number> {
  const config = await read(values);
  const options: EnvoyFilterOptions = {
    ...plugin(findInstallation().version, values),
    name: text(values, 'name'),
    namespace: text(values, 'namespace'),
    selector: selector(text(values, 'selector')),
    module: moduleSource(values),
    bridgeSocket: text(values, 'bridge-socket'),
  };
  const problems = envoyFilterProblems(config, options);
  if (problems.length > 0) throw new UserError(problems.join('\n'));
  process.stdout.write(toYaml(renderEnvoyFilter(config, options)));
  return 0;
}

async function read(values: Values) {
  const { config, notices } = await readConfig(values);
  for (const notice of notices) console.error(`notice: ${notice}`);
  return config;
}

function plugin(version: string, values: Values) {
  return { version, hold: values.hold === true, apiTokens: [process.env.DAPR_API_TOKEN ?? ''], catalog };
}

function selector(label: string | undefined): Record<string, string> | undefined {
  if (label === undefined) return undefined;
  const [, key, value] = /^([^=]+)=(.*)$/.exec(label) ?? [];
  if (key === undefined || value === undefined) {
    throw new UsageError(`--selector needs a label as key=value, not '${label}'`);
  }
  return { [key]: value };
}

function moduleSource(values: Values): EnvoyFilterOptions['module'] {
  const url = text(values, 'module-url');
  const sha256 = text(values, 'module-sha256');
  const file = text(values, 'module-file');
  if (url === undefined && sha256 === undefined) return { file: file ?? MODULE_IN_POD };
  if (file !== undefined) throw new UsageError('give --module-file or --module-url, not both');
  if (url === undefined || sha256 === undefined)
    throw new UsageError('--module-url and --module-sha256 go together');
  return { url, sha256 };
}
