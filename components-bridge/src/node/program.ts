import { resolve } from 'node:path';
import type { Logger } from 'pino';

import { catalog } from '../catalog.js';
import type { ListenAddress } from '../config/types.js';
import { parseBytes } from '../config/units.js';
import { giveBackStartUp } from '../memory.js';
import type { ShareLimits } from '../server/app-share.js';
import type { Secrets } from '../telemetry/secrets.js';
import { NodeBridge } from './node-bridge.js';

/** How long calls in hand may take after SIGTERM. */
const GRACE_MS = 4_000;

/** How long components are waited for before what starting took is given back. */
const START_UP_MS = 2_000;

/** What the command line says, texts as they were given. */
export interface NodeValues {
  apps?: string | undefined;
  config?: string | undefined;
  'resources-path'?: string | undefined;
  'data-dir'?: string | undefined;
  'socket-dir'?: string | undefined;
  'app-operations'?: string | undefined;
  'app-bytes'?: string | undefined;
  'app-sessions'?: string | undefined;
  takeover?: boolean | undefined;
}

export interface NodeProgram {
  version: string;
  gid: number | undefined;
  /** Where metrics and health are served, besides the socket in the data folder. */
  admin: ListenAddress | undefined;
  log: Logger;
  secrets: Secrets;
}

/** What an app may use unless told otherwise: that of a few pods with two Envoy threads each. */
const DEFAULTS: ShareLimits = { operations: 1024, bytes: 64 * 1024 * 1024, sessions: 64 };

/**
 * What is wrong with the command line; empty if nothing.
 *
 * @param given names of all options that were given
 */
export function nodeProblems(values: NodeValues, given: readonly string[]): string[] {
  const problems = ['app-id', 'socket', 'app-socket', 'listen']
    .filter((name) => given.includes(name))
    .map(
      (name) =>
        `--${name} is for a bridge of one app; with --node, --apps and --socket-dir say both for each`,
    );
  if (values.apps === undefined && values.config === undefined)
    problems.push('--node needs --apps DIR, or --config FILE with a list of apps');
  const limits = limitsOf(values);
  if (Number.isNaN(limits.operations))
    problems.push(`--app-operations: expected a whole number from 1, found ${values['app-operations']}`);
  if (Number.isNaN(limits.sessions))
    problems.push(`--app-sessions: expected a whole number from 1, found ${values['app-sessions']}`);
  if (Number.isNaN(limits.bytes))
    problems.push(`--app-bytes: expected a size from 64KiB such as 64MiB, found ${values['app-bytes']}`);
  return problems;
}

/** Runs one bridge for all apps of a node, until a signal ends it. The values must have no problems. */
export async function runNode(
  values: NodeValues,
  { version, gid, admin, log, secrets }: NodeProgram,
): Promise<void> {
  const dataDir = resolve(values['data-dir'] ?? '.layotto');
  const socketDir = resolve(values['socket-dir'] ?? `${dataDir}/sockets`);
  const sources = { apps: values.apps, config: values.config, resourcesPath: values['resources-path'] };
  const node = new NodeBridge({
    sources,
    catalog,
    version,
    dataDir,
    socketDir,
    gid,
    limits: limitsOf(values),
    admin,
    takeover: values.takeover === true,
    env: process.env,
    log,
    secrets,
    onTakenOver: () => void stop('other bridges have taken over'),
  });
  // A component's failure arrives as a rejected call; what gets here is a bug, and the state of the process unknown.
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  });
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ why: signal }, 'finishing the calls in hand');
    await node.drain(GRACE_MS);
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));
  process.on('SIGHUP', () => void node.sync());
  await node.start();
  log.info({ sockets: socketDir, ...sources }, 'serving the apps of this node');
  setTimeout(giveBackStartUp, START_UP_MS).unref();
}

function limitsOf(values: NodeValues): ShareLimits {
  const count = (text: string | undefined, otherwise: number): number => {
    if (text === undefined) return otherwise;
    return /^[1-9]\d{0,6}$/.test(text) ? Number(text) : NaN;
  };
  const bytes = values['app-bytes'] === undefined ? DEFAULTS.bytes : (parseBytes(values['app-bytes']) ?? NaN);
  return {
    operations: count(values['app-operations'], DEFAULTS.operations),
    sessions: count(values['app-sessions'], DEFAULTS.sessions),
    bytes: bytes < 64 * 1024 ? NaN : bytes,
  };
}
