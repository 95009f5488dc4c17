import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { freePorts } from '../../tools/free-port.mjs';
import { storesOf } from './cases.mjs';
import { accepts, start } from './child.mjs';
import { redisProxy } from './listeners.mjs';
import { startEnvoy } from './processes.mjs';

/**
 * daprd with the same Redis, if DAPRD_BIN names it, and the sidecar that it would have in a mesh: an Envoy whose
 * `tcp_proxy` carries the connection of its second store.
 *
 * @param {object} options
 * @param {string} options.dir
 * @param {number} options.redisPort
 * @param {number} options.workers threads of the sidecar
 */
export async function startPeer({ dir, redisPort, workers }) {
  const program = process.env['DAPRD_BIN'];
  if (program === undefined || program === '') return undefined;
  const resources = join(dir, 'dapr');
  mkdirSync(resources);
  const [port, httpPort, internal, proxyPort] = await freePorts(4);
  const proxy = redisProxy(proxyPort, redisPort);
  const sidecar = await startEnvoy(
    'sidecar',
    join(dir, 'sidecar.json'),
    { static_resources: { listeners: [proxy.listener], clusters: [proxy.cluster] } },
    workers,
  );
  for (const { name, through } of storesOf('daprd'))
    writeFileSync(
      join(resources, `${name}.yaml`),
      component(name, through === 'sidecar' ? proxyPort : redisPort),
    );
  const configuration = join(dir, 'dapr-config.yaml');
  writeFileSync(configuration, CONFIGURATION);
  const flags = {
    'app-id': 'dapr-bench',
    mode: 'standalone',
    config: configuration,
    'resources-path': resources,
    'dapr-grpc-port': port,
    'dapr-http-port': httpPort,
    'dapr-internal-grpc-port': internal,
    'dapr-listen-addresses': '127.0.0.1',
    'log-level': 'error',
    'enable-metrics': 'false',
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const daprd = start('daprd', program, args);
  await accepts({ host: '127.0.0.1', port });
  await accepts({ host: '127.0.0.1', port: httpPort });
  return { children: [daprd, sidecar], daprd, sidecar, port, httpPort };
}

/** The usual resolver asks the local network who is there. */
const CONFIGURATION = `apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: bench }
spec:
  nameResolution:
    component: nameformat
    configuration: { format: "{appid}.local" }
`;

function component(name, port) {
  return `apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: ${name} }
spec:
  type: state.redis
  version: v1
  metadata:
    - { name: redisHost, value: "127.0.0.1:${port}" }
`;
}
