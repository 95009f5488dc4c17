import { relative } from 'node:path';

import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { HalvesWatch } from '../../components-bridge/src/config/halves-watch.js';
import { watchConfig } from '../../components-bridge/src/config/watch.js';
import { AppProcess, appEnvironment } from './app-process.js';
import { CONFIG_OPTIONS, checkConfig, readConfig } from './config-options.js';
import type { Checked } from './config-options.js';
import { claimDataDir } from './data-dir.js';
import { UsageError } from './errors.js';
import { findEnvoy, findInstallation } from './installation.js';
import { text, wholeNumber } from './options.js';
import type { Option, Values } from './options.js';
import { expectFree } from './ports.js';
import { Reloader } from './reloader.js';
import { GRACE_MS, Runtime } from './runtime.js';
import { Signals } from './signals.js';

/** What `layotto run` understands. */
export const RUN_OPTIONS: readonly Option[] = [
  ...CONFIG_OPTIONS,
  { name: 'metrics-port', value: 'N', help: 'port of the Prometheus metrics; 0 for none (34903)' },
];

/** Says something to the person; standard output belongs to the app. */
const say = (line: string): void => console.error(line);

/**
 * `layotto run`: starts bridge and Envoy, runs the app beside them, and ends them with it.
 *
 * @param command the app; empty to run until a signal
 * @returns the app's exit code; without an app 0 after a signal; 128 and the signal's number if it came before all was
 *   up, or a second one cut the ending short
 * @throws UserError if it cannot start, or Envoy died; then nothing is left running
 */
export async function run(values: Values, command: readonly string[]): Promise<number> {
  const started = Date.now();
  const installation = findInstallation();
  const halves = new HalvesWatch(() => reloader.edited());
  const reloader = new Reloader(async () => {
    const checked = await checkAgain(values);
    if (checked.config !== undefined) halves.use(checked.config);
    return checked;
  }, say);
  // From before it is read, so that no edit is missed.
  const sources = { file: text(values, 'config'), resourcesPath: text(values, 'resources-path') };
  const unwatch = watchConfig(sources, () => reloader.edited());
  const [{ config, notices }, envoy] = await Promise.all([readConfig(values), findEnvoy(installation, say)]);
  halves.use(config);
  config.envoy.metricsPort = metricsPort(values, config);
  for (const notice of notices) say(`notice: ${notice}`);

  // From here on there is something to clean up, so a signal must not just end this process.
  const signals = new Signals();
  const release = claimDataDir(config.dataDir);
  const runtime = new Runtime(config, installation, envoy, say);
  signals.onSecond(() => runtime.kill());
  signals.onHangup(() => reloader.hungUp());
  let code: number;
  try {
    await expectPortsFree(config);
    await signals.orAbort(runtime.start());
    if (signals.received === undefined) {
      say(banner(config, installation.version, envoy.version, Date.now() - started));
      reloader.begin(runtime);
      code = await serve(runtime, config, command, signals);
    } else {
      code = 128 + signals.number;
    }
  } finally {
    unwatch();
    halves.end();
    const reloaded = reloader.end();
    await runtime.stop();
    await reloaded;
    release();
    signals.release();
  }
  // The terminal is gone. An orderly exit would have Node put back its settings, and abort because it cannot.
  if (signals.received === 'SIGHUP') process.kill(process.pid, 'SIGHUP');
  return signals.forced ? 128 + signals.number : code;
}

/** The configuration as it is now, as it was read at the start. */
async function checkAgain(values: Values): Promise<Checked> {
  const checked = await checkConfig(values);
  if (checked.config !== undefined) checked.config.envoy.metricsPort = metricsPort(values, checked.config);
  return checked;
}

/** The port of `--metrics-port`, or else the configuration's. */
function metricsPort(values: Values, { listen, envoy }: RuntimeConfig): number {
  const port = wholeNumber(values, 'metrics-port') ?? envoy.metricsPort;
  if (port > 65535) throw new UsageError(`--metrics-port needs a port, or 0 for none, not '${port}'`);
  if (port === listen.port) throw new UsageError(`--metrics-port ${port} is the port the runtime listens on`);
  return port;
}

async function expectPortsFree({ listen, envoy, functions, outbound }: RuntimeConfig): Promise<void> {
  const stop = 'or stop what listens there';
  await expectFree(listen, 'listen.host', `choose another with --port, ${stop}`);
  const others = [
    ['listen.actuator', listen.actuator],
    ['listen.inbound', listen.inbound],
    ['listen.proxy', listen.proxy],
    ['functions.listen', functions?.listen],
    ...outbound.map((one, index) => [`outbound[${index}].listen`, one.listen] as const),
  ] as const;
  for (const [key, address] of others)
    if (address !== undefined) await expectFree(address, key, `choose another in ${key}, ${stop}`);
  if (envoy.metricsPort === 0) return;
  const metrics = { host: '127.0.0.1', port: envoy.metricsPort };
  await expectFree(
    metrics,
    'envoy.metricsPort',
    `choose another for metrics with --metrics-port (0: none), ${stop}`,
  );
}

/** Until the app has ended, or a signal came, or Envoy died. */
async function serve(
  runtime: Runtime,
  config: RuntimeConfig,
  command: readonly string[],
  signals: Signals,
): Promise<number> {
  if (command.length === 0) {
    const signal = await Promise.race([signals.first, runtime.envoyDied]);
    if (typeof signal !== 'string') throw signal;
    return 0;
  }
  const { host, port } = config.listen;
  const env = appEnvironment(process.env, { host, port, appId: config.app.id, appPort: config.app.port });
  const app = new AppProcess(command, env, (message) => say(`layotto: ${message}`));
  signals.onSecond(() => {
    app.signal('SIGKILL');
    runtime.kill();
  });
  void signals.first.then((signal) => {
    // A terminal sends Ctrl-C to the app as well as to us; a second one would make many apps give up.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) app.signal(signal);
  });
  const ended = await Promise.race([app.exitCode, runtime.envoyDied]);
  if (typeof ended === 'number') return ended;
  app.signal('SIGTERM');
  const timer = setTimeout(() => app.signal('SIGKILL'), GRACE_MS);
  await app.exitCode;
  clearTimeout(timer);
  throw ended;
}

/** A path as short as it can be said: relative if it is below the current folder. */
function shortPath(path: string): string {
  const below = relative(process.cwd(), path);
  return below === '' || below.startsWith('..') ? path : below;
}

function addressOf({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function banner(config: RuntimeConfig, version: string, envoyVersion: string, ms: number): string {
  const { unixSocket, actuator, inbound, proxy } = config.listen;
  const { functions, outbound } = config;
  const components = config.components.map(({ name, type }) => `${name} (${type})`);
  const rows = [
    ['Layotto gRPC, Dapr gRPC, Dapr HTTP, JSON', addressOf(config.listen)],
    ...(unixSocket === undefined ? [] : [['the same on a Unix socket', unixSocket]]),
    ...(actuator === undefined ? [] : [['actuator', `http://${addressOf(actuator)}/actuator`]]),
    ...(inbound === undefined ? [] : [['others reach the app at', addressOf(inbound)]]),
    ...(proxy === undefined ? [] : [['proxy for plain calls', addressOf(proxy)]]),
    ...(functions === undefined ? [] : [['functions', `http://${addressOf(functions.listen)}`]]),
    ...outbound.map(({ name, listen }) => [`outbound ${name}`, addressOf(listen)]),
    ...(config.envoy.metricsPort === 0
      ? []
      : [['metrics', `http://127.0.0.1:${config.envoy.metricsPort}/metrics`]]),
    ['components', components[0] ?? 'none'],
    ...components.slice(1).map((component) => ['', component]),
    ['data and logs', shortPath(config.dataDir)],
  ];
  const width = Math.max(...rows.map(([what = '']) => what.length));
  const lines = rows.map(([what = '', where = '']) => `  ${what.padEnd(width)}  ${where}`);
  return [`layotto ${version} on Envoy ${envoyVersion}, ready in ${(ms / 1000).toFixed(2)} s`, ...lines].join(
    '\n',
  );
}
