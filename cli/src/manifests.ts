import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { toDocuments } from '../../envoy/helm-chart.js';
import {
  DEFAULT_RESOURCES,
  MANIFEST_DEFAULTS,
  manifestProblems,
  podAnnotations,
  renderDaemonSet,
  renderSidecar,
} from '../../envoy/istio/manifests.js';
import type { BridgeForm, ManifestOptions } from '../../envoy/istio/manifests.js';
import { toYaml } from '../../envoy/yaml.js';
import { readConfig } from './config-options.js';
import { messageOf, UsageError, UserError } from './errors.js';
import { findInstallation } from './installation.js';
import { text, wholeNumber } from './options.js';
import type { Option, Values } from './options.js';

export const MANIFESTS_OPTIONS: readonly Option[] = [
  { name: 'form', value: 'FORM', help: 'daemonset: one bridge on each node; sidecar: one in each pod' },
  { name: 'apps', value: 'DIR', help: 'daemonset: folder with a NAME.yaml for each app' },
  { name: 'config', short: 'c', value: 'FILE', help: "sidecar: the app's layotto.yaml" },
  { name: 'namespace', value: 'NS', help: 'namespace of the resources (layotto-system, or default)' },
  { name: 'image', value: 'IMAGE', help: "the bridge's image (layotto/bridge:<version>)" },
  {
    name: 'host-path',
    value: 'DIR',
    help: "daemonset: folder of the apps' sockets on each node (/run/layotto)",
  },
  { name: 'app-image', value: 'IMAGE', help: "sidecar: the app's image" },
  { name: 'socket-gid', value: 'N', help: 'group that sidecars run with (1337)' },
  { name: 'admin-port', value: 'N', help: 'port of metrics and probes (34998)' },
];

/** `layotto envoy manifests`: the bridge in a cluster, as YAML on standard output. */
export async function manifests(values: Values): Promise<number> {
  const form = text(values, 'form');
  if (form !== 'daemonset' && form !== 'sidecar')
    throw new UsageError(`--form needs daemonset or sidecar${form === undefined ? '' : `, not '${form}'`}`);
  const common: ManifestOptions = {
    namespace: text(values, 'namespace') ?? MANIFEST_DEFAULTS.namespace[form],
    image: text(values, 'image') ?? `layotto/bridge:${findInstallation().version}`,
    socketGroup: wholeNumber(values, 'socket-gid') ?? MANIFEST_DEFAULTS.socketGroup,
    adminPort: wholeNumber(values, 'admin-port') ?? MANIFEST_DEFAULTS.adminPort,
    resources: DEFAULT_RESOURCES[form],
  };
  refuse(values, form, form === 'daemonset' ? ['config', 'app-image'] : ['apps', 'host-path']);
  process.stdout.write(form === 'daemonset' ? daemonset(values, common) : await sidecar(values, common));
  return 0;
}

function daemonset(values: Values, common: ManifestOptions): string {
  const hostPath = text(values, 'host-path') ?? MANIFEST_DEFAULTS.hostPath;
  check({ ...common, hostPath });
  const apps = readApps(text(values, 'apps'));
  if (text(values, 'apps') === undefined)
    console.error(
      'notice: without --apps the ConfigMap layotto-apps is empty, and no app is served before it has some',
    );
  const notes = Object.keys(apps).map((file) => {
    const name = file.replace(/\.[^.]*$/, '');
    return `# Pods of ${name} need these annotations:\n${commented(toYaml(podAnnotations(hostPath, name)))}`;
  });
  return `${notes.join('')}${toDocuments(renderDaemonSet({ ...common, hostPath, apps }))}`;
}

async function sidecar(values: Values, common: ManifestOptions): Promise<string> {
  const file = text(values, 'config');
  const appImage = text(values, 'app-image');
  if (file === undefined || appImage === undefined)
    throw new UsageError('--form sidecar needs -c FILE and --app-image IMAGE');
  const { config } = await readConfig({ config: file });
  const app = config.app.id;
  check({ ...common, app });
  return toDocuments(renderSidecar({ ...common, app, appImage, config: readFileSync(file, 'utf8') }));
}

function check(options: Parameters<typeof manifestProblems>[0]): void {
  const problems = manifestProblems(options);
  if (problems.length > 0) throw new UserError(problems.join('\n'));
}

/** Configurations of apps by file name; none if there is no folder. */
function readApps(folder: string | undefined): Record<string, string> {
  if (folder === undefined) return {};
  try {
    const names = readdirSync(folder).filter((name) => /^[A-Za-z0-9][\w.-]*\.(?:ya?ml|json)$/.test(name));
    if (names.length === 0) throw new UserError(`${folder}: expected a NAME.yaml for each app, found none`);
    return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${folder} cannot be read: ${messageOf(error)}`);
  }
}

function refuse(values: Values, form: BridgeForm, names: readonly string[]): void {
  const other = names.find((name) => values[name] !== undefined);
  if (other !== undefined) throw new UsageError(`--${other} is not for --form ${form}`);
}

function commented(yaml: string): string {
  return yaml.replace(/^(?=.)/gm, '#   ');
}
