import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderBootstrap } from '../../envoy/bootstrap.js';
import type { RenderedBootstrap } from '../../envoy/bootstrap.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import type { BridgeMessage } from './bridge-child.js';
import { BridgeProcess } from './bridge-process.js';
import { EnvoyProcess } from './envoy-process.js';
import type { UserError } from './errors.js';
import { moduleHash } from './installation.js';
import type { Installation } from './installation.js';
import { LiveConfig } from './live-config.js';
import { readModuleFile } from './module-file.js';
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
  #live: LiveConfig | undefined;
  /** Under a name of its own, so that a build in the meantime does not change what this Envoy reads. */
  readonly #module: string;
  readonly #capabilities: readonly string[];
  /** What each filter was given last, by the name of its file. */
  #filters: Record<string, string> = {};
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
    this.#module = `runtime-${moduleHash(installation)}.wasm`;
    this.#capabilities = moduleCapabilities(readModuleFile(installation.module).info);
  }

  /**
   * Starts both and resolves when calls are answered. Both are started before it first waits, so that `stop` always
   * finds them.
   */
  async start(): Promise<void> {
    const { dataDir, envoy } = this.config;
    const bridge = this.#startBridge();
    this.#bridge = bridge;
    const { bootstrap, extensionConfigs, extensionDir } = this.#render(this.config);
    this.#filters = { ...extensionConfigs };
    const started = new EnvoyProcess({
      binary: this.envoyTool.path,
      bootstrap,
      folder: extensionDir,
      files: { ...extensionConfigs, [this.#module]: readFileSync(this.installation.module) },
      concurrency: envoy.concurrency,
      adminSocket: this.#adminSocket,
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
    this.#live = new LiveConfig(
      {
        bridge,
        writeConfig: (config) => this.#writeConfig(config),
        pushFilter: (config) => this.#pushFilter(started, config),
        say: (line) => {
          if (!this.#stopping) this.say(`layotto: ${line}`);
        },
      },
      this.config,
    );
  }

  /** Takes over what can be taken over of another configuration while everything runs, and says what became of it. */
  async apply(wanted: RuntimeConfig): Promise<void> {
    await this.#live?.apply(wanted);
    for (const name of this.#healthy.keys()) {
      if (!this.#live?.effective.components.some((component) => component.name === name))
        this.#healthy.delete(name);
    }
  }

  /** Starts another bridge in the place of the running one, with no call that is refused. */
  async takeOver(): Promise<void> {
    await this.#live?.takeOver();
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
    this.#writeConfig(this.config);
    return new BridgeProcess({
      program: this.installation.bridge,
      configFile: this.#configFile,
      logFile: join(dataDir, 'bridge.log'),
      onMessage: (message) => this.#told(message),
      onRestart: (how, pauseMs) =>
        this.say(`layotto: the bridge ended (${how}); starting it again in ${pauseMs} ms`),
    });
  }

  get #configFile(): string {
    return join(this.config.dataDir, 'config.json');
  }

  get #adminSocket(): string {
    return join(this.config.dataDir, 'envoy-admin.sock');
  }

  /** Never half: a bridge that starts in this moment reads the old one or the new one. */
  #writeConfig(config: RuntimeConfig): void {
    const written = `${this.#configFile}.next`;
    writeFileSync(written, JSON.stringify(config), { mode: 0o600 });
    renameSync(written, this.#configFile);
  }

  #render(config: RuntimeConfig): RenderedBootstrap {
    const folder = join(config.dataDir, 'envoy');
    return renderBootstrap(config, {
      version: this.installation.version,
      hold: false,
      apiTokens: [process.env.DAPR_API_TOKEN ?? ''],
      catalog,
      moduleFile: join(folder, this.#module),
      capabilities: this.#capabilities,
      envoyVersion: this.envoyTool.version,
      adminSocket: this.#adminSocket,
      extensionDir: folder,
    });
  }

  async #pushFilter(envoy: EnvoyProcess, config: RuntimeConfig): Promise<string | undefined> {
    for (const [name, text] of Object.entries(this.#render(config).extensionConfigs)) {
      if (text === this.#filters[name]) continue;
      const failure = await envoy.push(name, text);
      if (failure !== undefined) return failure;
      this.#filters[name] = text;
    }
    return undefined;
  }

  #told(message: BridgeMessage): void {
    if (message.type === 'sessions') this.#sessions = message.open;
    if (message.type === 'ready') this.#live?.restarted();
    if (message.type === 'replaced') this.#live?.replaced(message.primitive, message.component);
    if (message.type !== 'health' || this.#stopping) return;
    const { component, ready, reason } = message;
    const before = this.#healthy.get(component);
    this.#healthy.set(component, ready);
    if (!ready && before !== false)
      this.say(`layotto: ${component} is not ready${reason ? `: ${reason}` : ''}`);
    if (ready && before === false) this.say(`layotto: ${component} is ready`);
  }
}
