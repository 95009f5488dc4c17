import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { pino } from 'pino';
import type { Logger } from 'pino';

import { catalog, ownType } from './catalog.js';
import { asListenAddress } from './config/limits.js';
import type { ListenAddress, RuntimeConfig } from './config/types.js';
import type { HalvesWatch } from './config/halves-watch.js';
import { watchConfig } from './config/watch.js';
import { giveBackStartUp } from './memory.js';
import type { Applied, ApplyOptions } from './primitives/registry.js';
import type { ComponentHealth } from './primitives/slot.js';
import { logApplied, Reloads } from './reload.js';
import type { BridgeOptions } from './server/bridge-options.js';
import { Bridge } from './server/bridge.js';
import { AddressInUseError, SocketInUseError } from './server/socket.js';
import { createLog } from './telemetry/log.js';
import { Secrets } from './telemetry/secrets.js';

const USAGE = `Usage: main.js [RESOLVED] [options]

Serves sessions for the filter on a Unix socket. RESOLVED is a file with the resolved configuration as JSON, as
"layotto run" hands it over; without it, the options say where the configuration is.

  --config FILE           layotto.yaml, or Layotto's JSON
  --resources-path DIR    folder of Dapr component files
  --app-id ID             wins over the file
  --data-dir DIR          folder of data and sockets; metrics and health are on bridge-admin.sock there
  --socket PATH           default: session.sock in the data folder
  --app-socket PATH       where Envoy takes events for the app; default: deliveries.sock beside the sessions' socket
  --socket-gid N          group that may connect to the sockets as well (mode 0660); default: the owner only (0600)
  --listen [HOST:]PORT    serve Layotto's and Dapr's gRPC doors there too, without Envoy; a port alone is on 127.0.0.1
  --takeover              take the place of a bridge that answers on the socket; it finishes what it has in hand
  --admin HOST:PORT       metrics and health there as well, without a token
  --log-level LEVEL       trace, debug, info (default), warn, error
  --help                  this text

One bridge for every app of a node:

  --node                  each app has its own sockets, components and limits, and reaches no other's
  --apps DIR              folder of NAME.yaml, or NAME/ with a layotto.yaml or Dapr component files, for each app
  --config FILE           a layotto.yaml for the apps that it lists under "apps"; may stand beside --apps
  --resources-path DIR    Dapr component files for all apps; their scopes say for which
  --socket-dir DIR        an app's sockets are NAME/session.sock and NAME/streams.sock there; default: sockets in the
                          data folder. Whoever reaches a socket is that app, whatever it says it is.
  --app-operations N      operations that an app may have in hand (1024)
  --app-bytes SIZE        bytes that an app may have in hand (64MiB)
  --app-sessions N        sessions that an app's filters may have open (64)

The files named by --config and --resources-path are watched: components that were added, changed or removed are taken
over without a restart, on SIGHUP too. A configuration that is wrong changes nothing.

Logs are JSON lines on standard error. Exit codes: 0 after SIGTERM or SIGINT or when another bridge has taken its
place, 1 if it cannot go on, 2 if its arguments or configuration are wrong, another bridge answers on the socket, or the
address of --listen is in use.`;

/** How long components are waited for before what starting took is given back. */
const START_UP_MS = 2_000;

/** How long after it the start's leavings are collected. */
const AFTER_START_MS = 250;

/** How long calls in hand may take after SIGTERM. */
const GRACE_MS = 4_000;

const OPTIONS = {
  config: { type: 'string' },
  'resources-path': { type: 'string' },
  'app-id': { type: 'string' },
  'data-dir': { type: 'string' },
  socket: { type: 'string' },
  'app-socket': { type: 'string' },
  'socket-gid': { type: 'string' },
  listen: { type: 'string' },
  takeover: { type: 'boolean' },
  'log-level': { type: 'string' },
  node: { type: 'boolean' },
  apps: { type: 'string' },
  'socket-dir': { type: 'string' },
  admin: { type: 'string' },
  'app-operations': { type: 'string' },
  'app-bytes': { type: 'string' },
  'app-sessions': { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** Options that only a bridge for several apps has. */
const NODE_OPTIONS = ['apps', 'socket-dir', 'app-operations', 'app-bytes', 'app-sessions'] as const;

/** What is told to a parent process that started this one with an IPC channel. */
type Report =
  | { type: 'ready'; socket: string }
  | { type: 'sessions'; open: number }
  | { type: 'applied'; id: number; applied: Applied[] }
  | { type: 'pong' }
  | { type: 'replaced'; primitive: string; component: string }
  | ({ type: 'health'; component: string; ready: boolean } & Pick<ComponentHealth, 'status' | 'reason'>);

/** What such a parent asks. */
type Request =
  /** Components as in this configuration; answered by `applied` with the same id. */
  | { type: 'apply'; id: number; config: RuntimeConfig; options: ApplyOptions }
  /** Whether this process still works; answered by `pong`. */
  | { type: 'ping' };

/** Wrong arguments or configuration; the message is for people. */
class UsageError extends Error {}

function arguments_(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

type Values = ReturnType<typeof arguments_>['values'];

async function readConfig(
  values: Values,
  positionals: readonly string[],
  log: Logger,
): Promise<RuntimeConfig> {
  const [file, second] = positionals;
  if (second !== undefined) throw new UsageError(`unexpected argument ${second}\n\n${USAGE}`);
  if (file !== undefined) {
    if (values.config !== undefined || values['resources-path'] !== undefined) {
      throw new UsageError('give either a resolved configuration or --config and --resources-path, not both');
    }
    return readResolved(file, values);
  }
  // Only a bridge that reads files needs what reads them; it is a quarter of what an idle one would hold.
  const { formatProblem, loadConfig } = await import('./config/index.js');
  const result = await loadConfig({
    catalog,
    ...(values.config === undefined ? {} : { file: values.config }),
    ...(values['resources-path'] === undefined ? {} : { resourcesPath: values['resources-path'] }),
    ...(values['app-id'] === undefined ? {} : { appId: values['app-id'] }),
    ...(values['data-dir'] === undefined ? {} : { dataDir: values['data-dir'] }),
  });
  for (const notice of result.notices) log.info(formatProblem(notice));
  if ('problems' in result) throw new UsageError(result.problems.map(formatProblem).join('\n'));
  return result.config;
}

/** Loaded only by a bridge that reads files, like what reads them. */
async function watchHalves(onChange: () => void): Promise<HalvesWatch> {
  const loaded = await import('./config/halves-watch.js');
  return new loaded.HalvesWatch(onChange);
}

async function readResolved(file: string, values: Values): Promise<RuntimeConfig> {
  let config: RuntimeConfig;
  try {
    config = JSON.parse(await readFile(file, 'utf8')) as RuntimeConfig;
  } catch (error) {
    throw new UsageError(`${file} cannot be read as a resolved configuration: ${(error as Error).message}`);
  }
  if (
    typeof config?.app?.id !== 'string' ||
    !Array.isArray(config.components) ||
    config.limits === undefined
  ) {
    throw new UsageError(`${file} is not a resolved configuration; give a configuration file by --config`);
  }
  if (values['app-id'] !== undefined) config.app.id = values['app-id'];
  if (values['data-dir'] !== undefined) config.dataDir = resolve(values['data-dir']);
  return config;
}

function gidOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text))
    throw new UsageError(`--socket-gid: expected a group's number, found ${text}`);
  return Number(text);
}

function adminOf(text: string | undefined): ListenAddress | undefined {
  if (text === undefined) return undefined;
  const address = asListenAddress(text);
  if (address !== undefined) return address;
  throw new UsageError(`--admin: expected a port or an address such as 0.0.0.0:34998, found ${text}`);
}

/** Where doors are served, and the token that callers must present. */
function listenOf(text: string | undefined): BridgeOptions['listen'] {
  if (text === undefined) return undefined;
  const address = asListenAddress(text);
  if (address !== undefined) return { ...address, apiTokens: [process.env['DAPR_API_TOKEN'] ?? ''] };
  const expected = 'expected a port, or an IP address and a port such as 0.0.0.0:34904';
  throw new UsageError(`--listen: ${expected}, found ${text}`);
}

function levelOf(text: string | undefined): string {
  if (text === undefined || /^(trace|debug|info|warn|error)$/.test(text)) return text ?? 'info';
  throw new UsageError(`--log-level: expected trace, debug, info, warn or error, found ${text}`);
}

/** The version in the nearest package.json above this file that is the runtime's own. */
async function version(): Promise<string> {
  for (const path of ['../../../package.json', '../../package.json']) {
    const text = await readFile(new URL(path, import.meta.url), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const found = JSON.parse(text) as { name?: string; version?: string };
    if (found.name === 'layotto-envoy' && found.version !== undefined) return found.version;
  }
  return '0.0.0';
}

function report(message: Report): void {
  // A parent that has gone no longer wants to know.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** Known as soon as the configuration is. */
const secrets = new Secrets();

async function main(): Promise<void> {
  const { values, positionals } = arguments_(process.argv.slice(2));
  if (values.help === true) {
    console.log(USAGE);
    return;
  }
  const log = createLog(levelOf(values['log-level']), secrets, pino.destination({ fd: 2, sync: true }));
  const gid = gidOf(values['socket-gid']);
  const admin = adminOf(values.admin);
  if (values.node === true) {
    const { nodeProblems, runNode } = await import('./node/program.js');
    if (positionals.length > 0) throw new UsageError(`unexpected argument ${positionals[0]} with --node`);
    const problems = nodeProblems(values, Object.keys(values));
    if (problems.length > 0) throw new UsageError(problems.join('\n'));
    await runNode(values, { version: await version(), gid, admin, log, secrets });
    return;
  }
  const forNodes = NODE_OPTIONS.find((name) => values[name] !== undefined);
  if (forNodes !== undefined) throw new UsageError(`--${forNodes} needs --node`);
  const listen = listenOf(values.listen);
  // From before it is read, so that no edit is missed.
  let early = false;
  let edited = (): void => void (early = true);
  const sources = { file: values.config, resourcesPath: values['resources-path'] };
  process.on('SIGHUP', () => edited());
  // A file given by a parent is not watched: the parent says when something changes.
  if (positionals.length === 0) watchConfig(sources, () => edited());
  const config = await readConfig(values, positionals, log);
  let stopping = false;
  secrets.addComponents(config.components);
  secrets.add(process.env['DAPR_API_TOKEN'] ?? '');
  secrets.add(process.env['APP_API_TOKEN'] ?? '');
  const bridge = new Bridge({
    config,
    catalog,
    ownType,
    version: await version(),
    socketPath: values.socket === undefined ? undefined : resolve(values.socket),
    appSocket: values['app-socket'] === undefined ? undefined : resolve(values['app-socket']),
    gid,
    admin,
    listen,
    namespace: process.env['NAMESPACE'],
    appToken: process.env['APP_API_TOKEN'],
    apiToken: process.env['DAPR_API_TOKEN'],
    // Who hands over a resolved configuration starts the Envoy, too.
    appDirectly: positionals.length === 0,
    log,
    secrets,
    onSessions: (open) => report({ type: 'sessions', open }),
    // Nobody waits for this one to end, so its calls may take as long as any.
    onTakenOver: () =>
      void stop('another bridge has taken over', Math.max(GRACE_MS, config.limits.deadlineMs)),
    onHealth: ({ name, status, reason }) => {
      const why = reason === undefined ? {} : { reason };
      report({ type: 'health', component: name, ready: status === 'ready', status, ...why });
    },
    onReplaced: ({ primitive, name }) => report({ type: 'replaced', primitive, component: name }),
  });
  // A component's failure arrives as a rejected call; what gets here is a bug, and the state of the process unknown.
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  });
  if (values.takeover === true) await bridge.takeOver();
  else await bridge.start();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));
  const halves = positionals.length === 0 ? await watchHalves(() => edited()) : undefined;
  halves?.use(config);
  const load = async (): Promise<RuntimeConfig> => {
    const read = await readConfig(values, positionals, log);
    halves?.use(read);
    return read;
  };
  const reloads = new Reloads({ bridge, running: config, load, log });
  edited = () => void reloads.reload();
  if (early) edited();
  process.on('message', (message) => void asked(message as Request));
  report({ type: 'ready', socket: bridge.socketPath });
  log.info({ socket: bridge.socketPath, app: config.app.id, config: config.source }, 'serving sessions');
  // The filters' greetings leave first, and the calls that wait for them.
  void bridge.firstTries(START_UP_MS).then(() => setTimeout(giveBackStartUp, AFTER_START_MS).unref());

  async function asked(request: Request): Promise<void> {
    if (request.type === 'ping') {
      report({ type: 'pong' });
      return;
    }
    const applied = await bridge.apply(request.config, request.options);
    logApplied(applied, log);
    report({ type: 'applied', id: request.id, applied });
  }

  async function stop(why: string, graceMs = GRACE_MS): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.info({ why }, 'finishing the calls in hand');
    await bridge.drain(graceMs);
    log.info('stopped');
    process.exit(0);
  }
}

main().catch((error: unknown) => {
  const wrongUse =
    error instanceof UsageError || error instanceof SocketInUseError || error instanceof AddressInUseError;
  // Not the error itself: clients hang the failed command with its arguments on theirs.
  const text = error instanceof Error ? (wrongUse ? error.message : error.stack) : undefined;
  console.error(secrets.redact(text ?? String(error)));
  process.exit(wrongUse ? 2 : 1);
});
