import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { catalog } from '../../components-bridge/src/catalog.js';
import { renderEnvoyFilter } from '../../envoy/istio/envoyfilter.js';
import { renderTrafficExtension, renderWasmPlugin } from '../../envoy/istio/extensions.js';
import { meshProblems } from '../../envoy/istio/options.js';
import type { MeshOptions } from '../../envoy/istio/options.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { toYaml } from '../../envoy/yaml.js';
import { readConfig } from './config-options.js';
import { UsageError, UserError } from './errors.js';
import { findInstallation } from './installation.js';
import { readModuleFile } from './module-file.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

/** Where the sidecar finds the module unless told otherwise: the volume it shares with the bridge. */
const MODULE_IN_POD = '/var/run/layotto/runtime.wasm';

/** Options of every command that prints resources for a mesh. */
export const MESH_OPTIONS: readonly Option[] = [
  { name: 'name', value: 'NAME', help: 'name of the resources (mesh.name, or layotto)' },
  { name: 'namespace', value: 'NS', help: 'their namespace (mesh.namespace, or default)' },
  {
    name: 'selector',
    value: 'K=V',
    help: 'label of the pods they are for (mesh.selector, or app=<app id>)',
  },
  { name: 'module-file', value: 'PATH', help: `the module as the sidecar sees it (${MODULE_IN_POD})` },
  {
    name: 'module-url',
    value: 'URL',
    help: 'or where to fetch it: oci://… or https://…, with its checksum:',
  },
  { name: 'module-sha256', value: 'HEX', help: "of the module, or of the image's manifest for oci://" },
  {
    name: 'module-copy',
    value: 'PATH',
    help: 'the same module here, to read what it needs and, for https://, its checksum (the installed one)',
  },
  { name: 'bridge-socket', value: 'PATH', help: "the bridge's socket as the sidecar sees it" },
  { name: 'app-socket', value: 'PATH', help: 'where the sidecar takes deliveries for the app' },
];

export const TRAFFICEXTENSION_OPTIONS: readonly Option[] = [
  ...MESH_OPTIONS,
  { name: 'stable', help: 'no EnvoyFilter beside it' },
];

export const ENVOYFILTER_OPTIONS: readonly Option[] = [
  ...MESH_OPTIONS,
  { name: 'hold', help: 'for an Envoy without allow_on_headers_stop_iteration' },
  { name: 'outbound', help: "also count and limit the app's plain calls to others" },
];

/** `layotto envoy envoyfilter`: the resource that turns sidecars into runtimes, as YAML on standard output. */
export function envoyfilter(values: Values): Promise<number> {
  const more = { hold: values['hold'] === true, outbound: values['outbound'] === true };
  return print(values, (config, options) => [renderEnvoyFilter(config, { ...options, ...more })]);
}

/** `layotto envoy trafficextension`: the same by TrafficExtensions, as YAML documents. */
export function trafficextension(values: Values): Promise<number> {
  const stable = values['stable'] === true;
  return print(values, (config, options) => renderTrafficExtension(config, { ...options, stable }));
}

/** `layotto envoy wasmplugin`: the same by a WasmPlugin and what it needs beside it, as YAML documents. */
export function wasmplugin(values: Values): Promise<number> {
  return print(values, renderWasmPlugin);
}

async function print(
  values: Values,
  render: (config: RuntimeConfig, options: MeshOptions) => EnvoyObject[],
): Promise<number> {
  const config = await readMesh(values);
  const copy = text(values, 'module-copy');
  const { info } =
    copy === undefined ? readModuleFile(findInstallation().module) : readModuleFile(copy, 'module-copy');
  const options = meshOptions(values, info.sha256, moduleCapabilities(info));
  const problems = meshProblems(config, options);
  if (problems.length > 0) throw new UserError(problems.join('\n'));
  process.stdout.write(render(config, options).map(toYaml).join('---\n'));
  return 0;
}

/** The configuration that is printed for a mesh; what is to be noticed of it is said. */
export async function readMesh(values: Values): Promise<RuntimeConfig> {
  const { config, notices } = await readConfig(values);
  for (const notice of notices) console.error(`notice: ${notice}`);
  return config;
}

/**
 * What `MESH_OPTIONS` say.
 *
 * @param copied checksum of the copy of the module at hand
 * @param capabilities what the module may use
 */
export function meshOptions(values: Values, copied: string, capabilities: readonly string[]): MeshOptions {
  return {
    version: findInstallation().version,
    apiTokens: [process.env.DAPR_API_TOKEN ?? ''],
    catalog,
    capabilities,
    name: text(values, 'name'),
    namespace: text(values, 'namespace'),
    selector: selector(text(values, 'selector')),
    module: moduleSource(values, copied),
    bridgeSocket: text(values, 'bridge-socket'),
    appSocket: text(values, 'app-socket'),
  };
}

function selector(label: string | undefined): Record<string, string> | undefined {
  if (label === undefined) return undefined;
  const [, key, value] = /^([^=]+)=(.*)$/.exec(label) ?? [];
  if (key === undefined || value === undefined) {
    throw new UsageError(`--selector needs a label as key=value, not '${label}'`);
  }
  return { [key]: value };
}

/** @param copied checksum of the copy at hand */
function moduleSource(values: Values, copied: string): MeshOptions['module'] {
  const url = text(values, 'module-url');
  // As registries write a digest, or without what kind it is.
  const sha256 = text(values, 'module-sha256')?.replace(/^sha256:/, '');
  const file = text(values, 'module-file');
  if (url === undefined && sha256 === undefined) return { file: file ?? MODULE_IN_POD };
  if (file !== undefined) throw new UsageError('give --module-file or --module-url, not both');
  if (url === undefined) throw new UsageError('--module-sha256 goes with --module-url');
  if (sha256 !== undefined) return { url, sha256 };
  // The checksum of an image is that of its manifest, which the module does not tell.
  const pinned = /@sha256:([0-9a-f]{64})$/.exec(url)?.[1];
  if (pinned !== undefined) return { url, sha256: pinned };
  if (url.startsWith('oci:'))
    throw new UsageError("an oci:// address needs --module-sha256, the digest of the image's manifest");
  return { url, sha256: copied };
}
