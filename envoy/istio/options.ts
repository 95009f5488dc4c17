import {
  isDnsLabel,
  isDnsSubdomain,
  isLabelKey,
  isLabelValue,
  LABEL_FORM,
} from '../../components-bridge/src/config/kubernetes.js';
import { MAX_SOCKET_PATH, socketPathTooLong } from '../../components-bridge/src/config/limits.js';
import {
  appSocket as appSocketIn,
  sessionSocket,
  streamsSocket,
} from '../../components-bridge/src/config/sockets.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { PluginOptions } from '../plugin-config.js';
import type { ModuleSource } from '../runtime-filter.js';

/** What resources for a mesh need beside the resolved configuration. */
export interface MeshOptions extends Omit<PluginOptions, 'hold'> {
  /** Name of the resources; by default `mesh.name` of the configuration, else `layotto`. */
  name?: string;
  /** Their namespace; by default `mesh.namespace`, else `default`. */
  namespace?: string;
  /** Labels of the pods they are for; by default `mesh.selector`, else `app: <app id>`. */
  selector?: Readonly<Record<string, string>>;
  /** The module: a file mounted into the sidecar, or an address with its checksum. */
  module: ModuleSource;
  /** The bridge's session socket as the sidecar sees it; by default in the volume `/var/run/layotto`. */
  bridgeSocket?: string;
  /** Where the sidecar takes deliveries for the app; by default in the volume `/var/run/layotto-app`. */
  appSocket?: string;
}

/** The same with every default filled in. */
export interface MeshNames {
  name: string;
  namespace: string;
  selector: Readonly<Record<string, string>>;
  bridgeSocket: string;
  appSocket: string;
}

/** The folder with the bridge's sockets, as the sidecar has it. */
export const BRIDGE_FOLDER = '/var/run/layotto';

/** The folder in which the sidecar makes its own socket. The other one may be shared with other pods of the app. */
export const APP_FOLDER = '/var/run/layotto-app';

const DEFAULT_SOCKET = sessionSocket(BRIDGE_FOLDER);
const DEFAULT_APP_SOCKET = appSocketIn(APP_FOLDER);

/** Names and places of the resources. */
export function meshNames({ app, mesh = {} }: RuntimeConfig, options: MeshOptions): MeshNames {
  return {
    name: options.name ?? mesh.name ?? 'layotto',
    namespace: options.namespace ?? mesh.namespace ?? 'default',
    selector: { ...(options.selector ?? mesh.selector ?? { app: app.id }) },
    bridgeSocket: options.bridgeSocket ?? DEFAULT_SOCKET,
    appSocket: options.appSocket ?? DEFAULT_APP_SOCKET,
  };
}

/**
 * What Kubernetes, Istio or Envoy would refuse about the options; empty if nothing.
 * Each line says what was expected and what was found.
 */
export function meshProblems(config: RuntimeConfig, options: MeshOptions): string[] {
  const problems: string[] = [];
  const expect = (fine: boolean, what: string, expected: string, found: string): void => {
    if (!fine) problems.push(`${what}: expected ${expected}, found ${JSON.stringify(found)}`);
  };
  const { name, namespace, selector, bridgeSocket, appSocket } = meshNames(config, options);
  expect(isDnsSubdomain(name), 'name', 'a Kubernetes name: lower-case letters, digits, "-" and "."', name);
  expect(
    isDnsLabel(namespace),
    'namespace',
    'a Kubernetes namespace: lower-case letters, digits and "-"',
    namespace,
  );
  const labels = Object.entries(selector);
  if (labels.length === 0)
    problems.push('selector: expected at least one label, or the filter is for every pod');
  const given = options.selector ?? config.mesh?.selector;
  for (const [key, value] of labels) {
    expect(isLabelKey(key), 'selector', `a label name, ${LABEL_FORM}`, key);
    const hint = given === undefined ? ' (it is the app id; give a selector)' : '';
    expect(isLabelValue(value), `selector ${key}`, `a label value${hint}, ${LABEL_FORM}`, value);
  }
  const { module } = options;
  if ('file' in module) {
    expect(module.file.startsWith('/'), 'module file', 'an absolute path in the sidecar', module.file);
  } else {
    expect(
      /^(?:oci|https?):\/\/[^\s/]+\/\S+$/.test(module.url),
      'module URL',
      'oci://…, https://… or http://…',
      module.url,
    );
    // Without it every push downloads the module again.
    expect(
      /^[0-9a-f]{64}$/.test(module.sha256),
      'module checksum',
      'a SHA-256 of 64 hexadecimal digits',
      module.sha256,
    );
  }
  // The socket for streams is named after it.
  const longest = MAX_SOCKET_PATH - (streamsSocket(bridgeSocket).length - bridgeSocket.length);
  const fits = bridgeSocket.startsWith('/') && !socketPathTooLong(streamsSocket(bridgeSocket));
  expect(fits, 'bridge socket', `an absolute path of at most ${longest} bytes`, bridgeSocket);
  const appFits = appSocket.startsWith('/') && !socketPathTooLong(appSocket);
  expect(appFits, 'app socket', `an absolute path of at most ${MAX_SOCKET_PATH} bytes`, appSocket);
  return problems;
}

/** @throws TypeError with the lines of {@link meshProblems}, if there are any */
export function refuseProblems(config: RuntimeConfig, options: MeshOptions): void {
  const problems = meshProblems(config, options);
  if (problems.length > 0) throw new TypeError(problems.join('\n'));
}
