import { basename, dirname, join } from 'node:path';

const SESSIONS = 'session.sock';

/** Where a bridge takes the sessions of filters, in a folder of its own or in that of its data. */
export function sessionSocket(folder: string): string {
  return join(folder, SESSIONS);
}

/** Where a bridge shows its metrics and health. Of the sockets in a data folder it has the longest name. */
export function bridgeAdminSocket(dataDir: string): string {
  return join(dataDir, 'bridge-admin.sock');
}

/** Where Envoy's admin interface is. */
export function envoyAdminSocket(dataDir: string): string {
  return join(dataDir, 'envoy-admin.sock');
}

/**
 * Where a bridge serves streams: beside its sessions, `streams.sock` for `session.sock`. For a socket of another name it
 * is that name with `.streams` behind, so that two bridges in one folder do not meet.
 */
export function streamsSocket(sessionSocket: string): string {
  const name = basename(sessionSocket);
  return join(dirname(sessionSocket), name === SESSIONS ? 'streams.sock' : `${name}.streams`);
}

/** Where Envoy takes what the bridge has for functions: beside the address that their other callers know. */
export function functionsSocket(dataDir: string): string {
  return join(dataDir, 'functions.sock');
}

/** Where an Envoy takes what the bridge has for the app, in a folder of them both. */
export function appSocket(folder: string): string {
  return join(folder, 'deliveries.sock');
}

/** Where each pod of an app has a folder for that socket, in the app's folder on a node. */
export function podsFolder(appFolder: string): string {
  return join(appFolder, 'pods');
}
