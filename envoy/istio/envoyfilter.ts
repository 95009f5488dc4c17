import { MAX_SOCKET_PATH, socketPathTooLong } from '../../components-bridge/src/config/limits.js';
import { streamsSocket } from '../../components-bridge/src/config/sockets.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { EnvoyObject } from '../names.js';
import { isGuarded, pluginConfiguration } from '../plugin-config.js';
import type { PluginOptions } from '../plugin-config.js';
import { discoveredFilter, extensionConfig } from '../runtime-filter.js';
import type { ModuleSource } from '../runtime-filter.js';
import { actuatorListener, runtimeClusters, runtimeListener } from '../runtime-listener.js';

/** What an EnvoyFilter needs beside the resolved configuration. */
export interface EnvoyFilterOptions extends PluginOptions {
  /** Name of the resource; `layotto` by default. */
  name?: string;
  /** Namespace of the resource; `default` by default. */
  namespace?: string;
  /** Labels of the pods it is for; `app: <app id>` by default. */
  selector?: Readonly<Record<string, string>>;
  /** The module: a file mounted into the sidecar, or an address with its checksum. */
  module: ModuleSource;
  /** The bridge's session socket as the sidecar sees it; by default in the volume `/var/run/layotto`. */
  bridgeSocket?: string;
}

const DEFAULT_SOCKET = '/var/run/layotto/session.sock';

/**
 * What Kubernetes, Istio or Envoy would refuse about the options; empty if nothing.
 * Each line says what was expected and what was found.
 */
export function envoyFilterProblems(config: RuntimeConfig, options: EnvoyFilterOptions): string[] {
  const problems: string[] = [];
  const expect = (fine: boolean, what: string, expected: string, found: string): void => {
    if (!fine) problems.push(`${what}: expected ${expected}, found ${JSON.stringify(found)}`);
  };
  const label = 'at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends';
  const name = options.name ?? 'layotto';
  expect(isDnsSubdomain(name), 'name', 'a Kubernetes name: lower-case letters, digits, "-" and "."', name);
  const namespace = options.namespace ?? 'default';
  expect(
    isDnsLabel(namespace),
    'namespace',
    'a Kubernetes namespace: lower-case letters, digits and "-"',
    namespace,
  );
  const labels = Object.entries(selectorOf(config, options));
  if (labels.length === 0)
    problems.push('selector: expected at least one label, or the filter is for every pod');
  for (const [key, value] of labels) {
    expect(isLabelKey(key), 'selector', `a label name, ${label}`, key);
    const hint = options.selector === undefined ? ' (it is the app id; give a selector)' : '';
    expect(isLabelValue(value), `selector ${key}`, `a label value${hint}, ${label}`, value);
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
  const socket = options.bridgeSocket ?? DEFAULT_SOCKET;
  // The socket for streams is named after it.
  const longest = MAX_SOCKET_PATH - (streamsSocket(socket).length - socket.length);
  const fits = socket.startsWith('/') && !socketPathTooLong(streamsSocket(socket));
  expect(fits, 'bridge socket', `an absolute path of at most ${longest} bytes`, socket);
  return problems;
}

/**
 * An EnvoyFilter that turns the sidecars of an app into its runtime: the clusters, the listener on loopback (which
 * the mesh does not capture), and the filter's config as an extension config, which istiod pushes and Istio's
 * agent completes with the module, so that a new module needs no restart.
 *
 * @throws TypeError with the lines of {@link envoyFilterProblems}, if there are any
 */
export function renderEnvoyFilter(config: RuntimeConfig, options: EnvoyFilterOptions): EnvoyObject {
  const problems = envoyFilterProblems(config, options);
  if (problems.length > 0) throw new TypeError(problems.join('\n'));
  const plugin = pluginConfiguration(config, options);
  // 0s: the listener waits for the filter's config, however long the first download takes.
  const filter = discoveredFilter({ ads: {}, initial_fetch_timeout: '0s' });
  const { actuator } = config.listen;
  const listener = runtimeListener(config, {
    address: { socket_address: { address: '127.0.0.1', port_value: config.listen.port } },
    filter,
    hold: options.hold,
  });
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name: options.name ?? 'layotto', namespace: options.namespace ?? 'default' },
    spec: {
      workloadSelector: { labels: { ...selectorOf(config, options) } },
      configPatches: [
        ...runtimeClusters(config, options.bridgeSocket ?? DEFAULT_SOCKET).map((cluster) =>
          add('CLUSTER', cluster),
        ),
        add('LISTENER', listener),
        ...(actuator === undefined
          ? []
          : [
              add(
                'LISTENER',
                actuatorListener(config, {
                  address: actuator,
                  filter,
                  hold: options.hold,
                  guarded: isGuarded(options),
                }),
              ),
            ]),
        add('EXTENSION_CONFIG', extensionConfig(options.module, plugin, options.capabilities)),
      ],
    },
  };
}

function add(applyTo: string, value: EnvoyObject): EnvoyObject {
  return { applyTo, match: { context: 'SIDECAR_OUTBOUND' }, patch: { operation: 'ADD', value } };
}

function selectorOf(config: RuntimeConfig, options: EnvoyFilterOptions): Readonly<Record<string, string>> {
  return options.selector ?? { app: config.app.id };
}

// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and …/labels/ state these rules.
function isDnsLabel(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text);
}

function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every(isDnsLabel);
}

function isLabelValue(text: string): boolean {
  return text.length <= 63 && /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/.test(text);
}

function isLabelKey(text: string): boolean {
  const [name = '', prefix, ...rest] = text.split('/').reverse();
  return (
    rest.length === 0 && name !== '' && isLabelValue(name) && (prefix === undefined || isDnsSubdomain(prefix))
  );
}
