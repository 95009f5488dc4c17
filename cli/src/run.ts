import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderBootstrap } from '../../envoy/bootstrap.js';
import { AppProcess, appEnvironment } from './app-process.js';
import { BridgeProcess } from './bridge-process.js';
import type { BridgeMessage } from './bridge-process.js';
import { readConfig } from './config-options.js';
import { claimDataDir } from './data-dir.js';
import { EnvoyProcess } from './envoy-process.js';
import type { UserError } from './errors.js';
import { findEnvoy, findInstallation, moduleHash } from './installation.js';
import type { Installation } from './installation.js';
import type { Values } from './options.js';
import { expectFree } from './ports.js';
import { untilServing } from './readiness.js';
import { Signals } from './signals.js';

/** How long starting may take before it counts as failed; on a loaded machine it takes a second or two. */
const START_LIMIT_MS = 30_000;
/** How long each process may take to end before it is killed. */
const GRACE_MS = 5_000;

/** Says something to the person; standard output belongs to the app. */
const say = (line: string): void => console.error(line);

/**
 * `layotto run`: starts bridge and Envoy, runs the app beside them, and ends them with it.
 *
 * @param command the app; empty to run until a signal
 * @returns the app's exit code; 0 after a signal without an app; 1 if Envoy died
 * @throws UserError if it cannot start; then nothing is left running
 */
export async function run(values: Values, command: readonly string[]): Promise<number> {
  const started = Date.now();
  const signals = new Signals();
  const installation = findInstallation();
  const [{ config, notices }, envoy] = await Promise.all([readConfig(values), findEnvoy(installation, say)]);
  for (const notice of notices) say(`notice: ${notice}`);

  const release = claimDataDir(config.dataDir);
  const runtime = new Runtime(config, installation, envoy.path);
  signals.onSecond(() => runtime.kill());
  try {
    await expectFree(
      config.listen.host,
      config.listen.port,
      'choose another with --port, or stop what listens there',
    );
    if (config.envoy.metricsPort !== 0) {
      const advice =
        'choose another with envoy.metricsPort in layotto.yaml (0: no metrics), or stop what listens there';
      await expectFree('127.0.0.1', config.envoy.metricsPort, advice);
    }
    await signals.orAbort(runtime.start());
    if (signals.received === undefined) {
      say(banner(config, installation.version, envoy.version, Date.now() - started));
      return await serve(runtime, config, command, signals);
    }
    return 128 + signals.number;
  } finally {
    await runtime.stop();
    release();
    signals.release();
  }
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

/** Bridge and Envoy together. */
class Runtime {
  /** Resolves with what to tell the person if Envoy ends without having been asked to. */
  readonly envoyDied: Promise<UserError>;
  #envoyDied: (error: UserError) => void = () => undefined;
  #bridge: BridgeProcess | undefined;
  #envoy: EnvoyProcess | undefined;
  #sessions = 0;
  #stopping = false;
  readonly #healthy = new Map<string, boolean>();

  constructor(
    private readonly config: RuntimeConfig,
    private readonly installation: Installation,
    private readonly envoyBinary: string,
  ) {
    this.envoyDied = new Promise((resolve) => (this.#envoyDied = resolve));
  }

  /** Starts both and resolves when calls are answered. */
  async start(): Promise<void> {
    const { dataDir, envoy } = this.config;
    this.#bridge = this.#startBridge();
    const folder = join(dataDir, 'envoy');
    const adminSocket = join(dataDir, 'envoy-admin.sock');
    // Under a name of its own, so that a build in the meantime does not change what this Envoy reads.
    const module = `runtime-${moduleHash(this.installation)}.wasm`;
    const { bootstrap, extensionConfigs } = renderBootstrap(this.config, {
      version: this.installation.version,
      hold: false,
      apiTokens: [process.env.DAPR_API_TOKEN ?? ''],
      catalog,
      moduleFile: join(folder, module),
      adminSocket,
      extensionDir: folder,
    });
    const started = new EnvoyProcess({
      binary: this.envoyBinary,
      bootstrap,
      folder,
      files: { ...extensionConfigs, [module]: await readFile(this.installation.module) },
      concurrency: envoy.concurrency,
      adminSocket,
      logFile: join(dataDir, 'envoy.log'),
    });
    this.#envoy = started;
    void started.ended.then((how) => {
      if (!this.#stopping) this.#envoyDied(started.failure(how));
    });
    await Promise.race([
      this.#bridge.failed,
      this.envoyDied.then((error) => Promise.reject(error)),
      untilServing(
        this.config.listen,
        () => this.#sessions >= this.#expectedSessions,
        START_LIMIT_MS,
        dataDir,
      ),
    ]);
  }

  /** Lets calls in flight finish, then ends both. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#envoy?.running) {
      await this.#envoy.drain(this.config.limits.deadlineMs);
      await this.#envoy.stop(GRACE_MS);
    }
    await this.#bridge?.stop(GRACE_MS);
  }

  kill(): void {
    this.#stopping = true;
    this.#envoy?.kill();
    this.#bridge?.kill();
  }

  /** Each worker and the main thread open a small and a large one; without the main thread's, calls are answered. */
  get #expectedSessions(): number {
    return 2 * this.config.envoy.concurrency;
  }

  #startBridge(): BridgeProcess {
    const { dataDir } = this.config;
    const configFile = join(dataDir, 'config.json');
    writeFileSync(configFile, JSON.stringify(this.config), { mode: 0o600 });
    return new BridgeProcess({
      program: this.installation.bridge,
      configFile,
      logFile: join(dataDir, 'bridge.log'),
      onMessage: (message) => this.#told(message),
      onRestart: (how, pauseMs) =>
        say(`layotto: the bridge ended (${how}); starting it again in ${pauseMs} ms`),
    });
  }

  #told(message: BridgeMessage): void {
    if (message.type === 'sessions') this.#sessions = message.open;
    if (message.type !== 'health') return;
    const { component, ready, reason } = message;
    const before = this.#healthy.get(component);
    this.#healthy.set(component, ready);
    if (!ready && before !== false) say(`layotto: ${component} is not ready${reason ? `: ${reason}` : ''}`);
    if (ready && before === false) say(`layotto: ${component} is ready`);
  }
}

function banner(config: RuntimeConfig, version: string, envoyVersion: string, ms: number): string {
  const { host, port, unixSocket } = config.listen;
  const components = config.components.map(({ name, type }) => `${name} (${type})`).join(', ') || 'none';
  const rows = [
    ['Layotto gRPC, Dapr gRPC, Dapr HTTP', `${host.includes(':') ? `[${host}]` : host}:${port}`],
    ...(unixSocket === undefined ? [] : [['the same on a Unix socket', unixSocket]]),
    ...(config.envoy.metricsPort === 0
      ? []
      : [['metrics', `http://127.0.0.1:${config.envoy.metricsPort}/metrics`]]),
    ['components', components],
    ['data and logs', relative(process.cwd(), config.dataDir) || '.'],
  ];
  const width = Math.max(...rows.map(([what = '']) => what.length));
  const lines = rows.map(([what = '', where = '']) => `  ${what.padEnd(width)}  ${where}`);
  return [`layotto ${version} on Envoy ${envoyVersion}, ready in ${(ms / 1000).toFixed(2)} s`, ...lines].join(
    '\n',
  );
}
