import { join } from 'node:path';

// What `layotto run` has in its data folder. The sockets that the bridge and Envoy make there are in
// components-bridge/src/config/sockets.ts.

/** Says which process uses the folder. */
export function lockFile(dataDir: string): string {
  return join(dataDir, 'run.lock');
}

/** The configuration that the bridge runs with. It holds secrets. */
export function configFile(dataDir: string): string {
  return join(dataDir, 'config.json');
}

/** Where a running `layotto run` is told what to do. */
export function controlSocket(dataDir: string): string {
  return join(dataDir, 'control.sock');
}

export function bridgeLog(dataDir: string): string {
  return join(dataDir, 'bridge.log');
}

export function envoyLog(dataDir: string): string {
  return join(dataDir, 'envoy.log');
}

/** What Envoy is started with, in the folder of its files. */
export function bootstrapFile(envoyFolder: string): string {
  return join(envoyFolder, 'bootstrap.json');
}
