import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderBootstrap } from '../../envoy/bootstrap.js';
import { BridgeProcess } from './bridge-process.js';
import type { BridgeMessage } from './bridge-process.js';
import { EnvoyProcess } from './envoy-process.js';
import type { UserError } from './errors.js';
import { moduleHash } from './installation.js';
import type { Installation } from './installation.js';
import { untilServing } from './readiness.js';

/** How long starting may take before it counts as failed; on a loaded machine it takes a second or two. */
const START_LIMIT_MS = 30_000;
/** How long each process may take to end before it is killed. */
export const GRACE_MS = 5_000;

/** Bridge and Envoy together. */
export class Runtime {
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
    private readonly envoyTool: { path: string; version: string },
    /** Takes what a person should know while it runs. */
    private readonly say: (line: string) => void,
  ) {
    this.envoyDied = new Promise((resolve) => (this.#envoyDied = resolve));
  }

  /**
   * Starts both and resolves when calls are answered. Both are started before it first waits, so that `stop` always
   * finds them.
   */
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
      envoyVersion: this.envoyTool.version,
      adminSocket,
      extensionDir: folder,
    });
    const started = new EnvoyProcess({
      binary: this.envoyTool.path,
      bootstrap,
      folder,
      files: { ...extensionConfigs, [module]: readFileSync(this.installation.module) },
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
      untilServing(this.config.listen, {
        sessionsOpen: () => this.#sessions >= this.#expectedSessions,
        componentsReady: () => this.config.components.every(({ name }) => this.#healthy.get(name) === true),
        givenUp: () => this.#stopping,
        limitMs: START_LIMIT_MS,
        dataDir,
      }),
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

  /** Each worker and the main thread open a small and a large one. */
  get #expectedSessions(): number {
    return 2 * (this.config.envoy.concurrency + 1);
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
        this.say(`layotto: the bridge ended (${how}); starting it again in ${pauseMs} ms`),
    });
  }

  #told(message: BridgeMessage): void {
    if (message.type === 'sessions') this.#sessions = message.open;
    if (message.type !== 'health' || this.#stopping) return;
    const { component, ready, reason } = message;
    const before = this.#healthy.get(component);
    this.#healthy.set(component, ready);
    if (!ready && before !== false)
      this.say(`layotto: ${component} is not ready${reason ? `: ${reason}` : ''}`);
    if (ready && before === false) this.say(`layotto: ${component} is ready`);
  }
}
