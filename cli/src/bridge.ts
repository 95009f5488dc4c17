import { pathToFileURL } from 'node:url';

import { CONFIG_OPTIONS } from './config-options.js';
import { findInstallation } from './installation.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

/** Options of other commands that it understands, too. */
const SHARED: readonly string[] = ['config', 'resources-path', 'app-id', 'data-dir'];

/** Options of `layotto bridge`, which are those of the bridge's own program. */
export const BRIDGE_OPTIONS: readonly Option[] = [
  ...CONFIG_OPTIONS.filter(({ name }) => SHARED.includes(name)),
  { name: 'socket', value: 'PATH', help: 'where sessions are served (session.sock in the data folder)' },
  {
    name: 'app-socket',
    value: 'PATH',
    help: "where Envoy takes events for the app (deliveries.sock beside the sessions' socket)",
  },
  { name: 'socket-gid', value: 'N', help: 'group that may connect to the sockets as well (mode 0660)' },
  {
    name: 'listen',
    value: '[HOST:]PORT',
    help: "serve Layotto's and Dapr's gRPC doors there too, without Envoy; a port alone is on 127.0.0.1",
  },
  { name: 'takeover', help: 'take the place of a bridge that answers on the socket' },
  { name: 'log-level', value: 'LEVEL', help: 'trace, debug, info, warn or error (info)' },
  { name: 'node', help: 'one bridge for every app of a node, each with its own sockets and limits' },
  { name: 'apps', value: 'DIR', help: 'with --node: a file NAME.yaml or a folder NAME for each app' },
  { name: 'socket-dir', value: 'DIR', help: 'with --node: an app is served on NAME/session.sock there' },
  { name: 'admin', value: 'HOST:PORT', help: 'metrics and health there as well, without a token' },
  { name: 'app-operations', value: 'N', help: 'with --node: operations an app may have in hand (1024)' },
  { name: 'app-bytes', value: 'SIZE', help: 'with --node: bytes an app may have in hand (64MiB)' },
  { name: 'app-sessions', value: 'N', help: 'with --node: sessions an app may have open (64)' },
];

/**
 * `layotto bridge`: the bridge by itself, for an Envoy that runs elsewhere. It becomes this process, so that signals
 * reach it and nothing stays in memory beside it; it ends the process itself.
 */
export async function bridge(values: Values): Promise<number> {
  const program = findInstallation().bridge;
  process.argv = [process.argv[0] ?? 'node', program, ...bridgeArguments(values)];
  await import(pathToFileURL(program).href);
  return 0;
}

/** The same options as the bridge's program takes them. */
export function bridgeArguments(values: Values): string[] {
  return BRIDGE_OPTIONS.flatMap(({ name, value }) => {
    if (value === undefined) return values[name] === true ? [`--${name}`] : [];
    const given = text(values, name);
    return given === undefined ? [] : [`--${name}`, given];
  });
}
