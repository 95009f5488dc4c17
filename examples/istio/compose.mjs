/**
 * Does with a printed EnvoyFilter what istiod and the agent in a sidecar do, for an Envoy on this machine: listeners and
 * clusters come into its configuration, and the extension config into a file that it watches.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {object} resource the EnvoyFilter
 * @param {object} place what stands in a pod where this machine has something else
 * @param {string} place.folder an absolute folder
 * @param {number} place.port of the doors
 * @param {number} place.actuatorPort of the actuator
 * @param {number} place.appPort where the app listens
 * @param {string} place.sockets the folder of the sockets
 */
export function compose(resource, { folder, port, actuatorPort, appPort, sockets }) {
  const values = (kind) =>
    resource.spec.configPatches.filter(({ applyTo }) => applyTo === kind).map(({ patch }) => patch.value);
  mkdirSync(folder, { recursive: true });
  const ports = { layotto_runtime: port, layotto_actuator: actuatorPort };
  const here = (value) => {
    if (Array.isArray(value)) return value.map((item) => here(item));
    if (typeof value !== 'object' || value === null) return value;
    const inner = { ...value };
    for (const [key, one] of Object.entries(value)) {
      if (key === 'ads') delete inner.ads;
      else if (key === 'pipe')
        inner.pipe = { ...one, path: one.path.replace(/^\/var\/run\/layotto(-app)?/, sockets) };
      else inner[key] = here(one);
    }
    if ('ads' in value)
      inner.path_config_source = {
        path: join(folder, 'extension.json'),
        watched_directory: { path: folder },
      };
    return inner;
  };
  const listeners = values('LISTENER').map((listener) => {
    const composed = here(listener);
    if (listener.name in ports)
      composed.address.socket_address = { address: '127.0.0.1', port_value: ports[listener.name] };
    return composed;
  });
  const clusters = values('CLUSTER').map((cluster) => here(cluster));
  const app = clusters.find(({ name }) => name === 'layotto_app');
  app.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value = appPort;
  return {
    node: { id: 'sidecar', cluster: 'shop' },
    admin: { address: { pipe: { path: join(folder, 'admin.sock') } } },
    static_resources: { listeners, clusters },
  };
}

/** Hands Envoy the extension config of an EnvoyFilter, with the module that the agent would have fetched. */
export function push(resource, folder, module) {
  const { value } = resource.spec.configPatches.find(({ applyTo }) => applyTo === 'EXTENSION_CONFIG').patch;
  const config = JSON.parse(JSON.stringify(value));
  config.typed_config.config.vm_config.code = { local: { filename: module } };
  const type = 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig';
  const file = join(folder, 'extension.json');
  writeFileSync(`${file}.next`, JSON.stringify({ resources: [{ '@type': type, ...config }] }));
  // Envoy watches the folder for a rename.
  renameSync(`${file}.next`, file);
}
