import { dirname } from 'node:path';

import { appSocket } from '../config/sockets.js';
import { AppTokenFile } from '../primitives/app-token.js';
import type { AppEventsOptions, AppPlaces } from './app-events.js';
import type { BridgeOptions } from './bridge-options.js';

/**
 * How a bridge reaches its app, and its functions.
 *
 * @param sessionSocket where it serves sessions
 * @param hasSession whether Envoy of a pod, which has a name, is connected
 */
export function appOf(
  options: BridgeOptions,
  sessionSocket: string,
  hasSession: (pod: string) => boolean,
): Pick<AppEventsOptions, 'places' | 'appToken' | 'functions'> {
  return {
    places: placesOf(options, sessionSocket, hasSession),
    appToken: tokenOf(options),
    functions: functionsOf(options, sessionSocket),
  };
}

function placesOf(
  { appPods: pods, appDirectly: direct = false, appSocket: given }: BridgeOptions,
  sessionSocket: string,
  hasSession: (pod: string) => boolean,
): AppPlaces {
  if (pods !== undefined) return { pods, hasSession };
  return { socketPath: given ?? appSocket(dirname(sessionSocket)), direct };
}

function tokenOf({ config, log, secrets, appToken = '' }: BridgeOptions): AppEventsOptions['appToken'] {
  const { appTokenFile: file } = config;
  return file === undefined ? appToken : new AppTokenFile(file, log, (token) => secrets.add(token));
}

/** Envoys of a mesh that share a bridge have no functions. */
function functionsOf(
  { appPods, appSocket: place = '', apiToken = '' }: BridgeOptions,
  sessionSocket: string,
): AppEventsOptions['functions'] {
  return appPods === undefined ? { dataDir: dirname(place || sessionSocket), apiToken } : undefined;
}
