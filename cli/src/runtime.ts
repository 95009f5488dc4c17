import { readFileSync, renameSync, writeFileSync } from 'node:fs';

import { envoyAdminSocket } from '../../components-bridge/src/config/sockets.js';
import {
  functionSlots,
  isFunctionSlot,
  isSpareSlot,
  RUNTIME_SLOT,
} from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { OUTBOUND_FILE } from '../../envoy/bootstrap.js';
import { FUNCTIONS_FILE, FUNCTIONS_STATS } from '../../envoy/functions-listener.js';
import { FILTERS } from '../../envoy/names.js';
import { slotFile, slotFilterName, slotNames } from '../../envoy/slots.js';
import type { BridgeMessage } from './bridge-child.js';
import { BridgeProcess } from './bridge-process.js';
import { bridgeReport } from './bridge-report.js';
import type { BridgeReport } from './bridge-report.js';
import { CalleeWays } from './callee-ways.js';
import { ControlServer } from './control-server.js';
import { bridgeLog, configFile, controlSocket, envoyLog } from './data-files.js';
import { EnvoyFiles } from './envoy-files.js';
import { EnvoyProcess, filterStats } from './envoy-process.js';
import { Functions } from './functions.js';
import type { UserError } from './errors.js';
import type { Installation } from './installation.js';
import { LiveConfig } from './live-config.js';
import { ModuleSlots } from './module-slots.js';
import { ModuleStore } from './module-store.js';
import { untilServing } from './readiness.js';

/** How long starting may take before it counts as failed; on a loaded machine it takes a second or two. */
const START_LIMIT_MS = 30_000;
/** How long a module that Envoy has taken over may take until it does its work. */
const WORKING_MS = 5_000;
/** Envoy's threads take routes over one after the other; until then they may still send calls by the old ones. */
const THREADS_MS = 200;
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
  #ways: CalleeWays | undefined;
  #modules: ModuleSlots | undefined;
  #control: ControlServer | undefined;
  readonly #store: ModuleStore;
  readonly #files: EnvoyFiles;
  /** What each slot's filter was given last, by file. */
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
    this.#store = new ModuleStore(config.dataDir, say);
    this.#files = new EnvoyFiles(installation, envoyTool.version, this.#store);
  }

  /**
   * Starts both and resolves when calls are answered. Both are started before it first waits, so that `stop` always
   * finds them.
   */
  async start(): Promise<void> {
    const { dataDir, envoy } = this.config;
    const bridge = this.#startBridge();
    this.#bridge = bridge;
    const { bootstrap, extensionConfigs, extensionDir } = this.#files.render(this.config);
    this.#filters = extensionConfigs;
    const started = new EnvoyProcess({
      binary: this.envoyTool.path,
      bootstrap,
      folder: extensionDir,
      files: { ...extensionConfigs, [this.#files.module]: readFileSync(this.installation.module) },
      concurrency: envoy.concurrency,
      adminSocket: envoyAdminSocket(dataDir),
      logFile: envoyLog(dataDir),
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
    const say = (line: string): void => {
      if (!this.#stopping) this.say(`layotto: ${line}`);
    };
    const ways: CalleeWays = new CalleeWays(
      {
        envoy: started,
        render: (config) => this.#files.ways(config),
        lingerMs: this.config.limits.deadlineMs,
        exclusively: (work) => live.exclusively(work),
        say,
      },
      this.config,
    );
    const live: LiveConfig = new LiveConfig(
      {
        bridge,
        writeConfig: (config) => this.#writeConfig(config),
        pushWays: (config) => ways.apply(config),
        pushFilter: (config) => this.#pushFilter(started, config),
        say,
      },
      this.config,
    );
    [this.#ways, this.#live] = [ways, live];
    await this.#offerModules(started, live, ways, say);
  }

  /** Takes `layotto module …` from here on. */
  async #offerModules(
    envoy: EnvoyProcess,
    live: LiveConfig,
    ways: CalleeWays,
    say: (line: string) => void,
  ): Promise<void> {
    const { dataDir } = this.config;
    const slots = slotNames(this.config);
    const modules = new ModuleSlots({
      store: this.#store,
      slots,
      offer: () => bridgeReport(this.config.dataDir),
      deliver: async (slot) => {
        const { effective } = live;
        if (!isSpareSlot(slot)) return this.#deliver(envoy, effective, slot);
        const filled = this.#store.history(slot).length > 0;
        // Nothing passes the filter of an empty slot.
        const refused =
          (filled ? await ways.apply(effective) : undefined) ?? (await this.#deliver(envoy, effective, slot));
        if (refused !== undefined || filled) return refused;
        const failure = await ways.apply(effective);
        if (failure !== undefined) say(`${slot}: calls go on passing it, though it is empty: ${failure}`);
        return undefined;
      },
      restore: async (slot) => {
        const file = slotFile(slot);
        const text = this.#filters[file];
        if (text !== undefined) envoy.write(file, text);
        if (isSpareSlot(slot)) await ways.apply(live.effective);
      },
      working: (slot) => this.#working(slot),
      traps: async () => {
        const reloads = (await envoy.reloads()) ?? new Map<string, number>();
        return new Map(slots.map((slot) => [slot, reloads.get(slotFilterName(slot)) ?? 0]));
      },
      rollbackOnTrap: this.config.modules.rollbackOnTrap,
      exclusively: (work) => live.exclusively(work),
      say,
    });
    this.#modules = modules;
    modules.begin();
    const functions =
      this.config.functions === undefined
        ? undefined
        : new Functions(modules, functionSlots(this.config.functions.slots), this.config.limits, (settings) =>
            this.#files.functionConfiguration(live.effective, settings),
          );
    this.#control = new ControlServer(controlSocket(dataDir), modules, functions);
    await this.#control.start();
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
    this.#modules?.end();
    this.#ways?.end();
    this.#live?.end();
    this.#control?.close();
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
      configFile: configFile(dataDir),
      logFile: bridgeLog(dataDir),
      onMessage: (message) => this.#told(message),
      onRestart: (how, pauseMs) =>
        this.say(`layotto: the bridge ended (${how}); starting it again in ${pauseMs} ms`),
    });
  }

  /** Never half: a bridge that starts in this moment reads the old one or the new one. */
  #writeConfig(config: RuntimeConfig): void {
    const file = configFile(this.config.dataDir);
    const written = `${file}.next`;
    writeFileSync(written, JSON.stringify(config), { mode: 0o600 });
    renameSync(written, file);
  }

  /** Has every filter take over what it must know of a configuration. */
  async #pushFilter(envoy: EnvoyProcess, config: RuntimeConfig): Promise<string | undefined> {
    const failures: string[] = [];
    for (const slot of slotNames(this.config)) {
      const failure = await this.#deliver(envoy, config, slot);
      if (failure !== undefined) failures.push(failure);
    }
    const failure = await this.#deliverFile(envoy, config, OUTBOUND_FILE, filterStats(FILTERS.outbound));
    if (failure !== undefined) failures.push(failure);
    return failures.length === 0 ? undefined : failures.join('; ');
  }

  /** The only one who writes what Envoy watches, while it runs. */
  async #deliver(envoy: EnvoyProcess, config: RuntimeConfig, slot: string): Promise<string | undefined> {
    const module = (): Promise<string | undefined> =>
      this.#deliverFile(envoy, config, slotFile(slot), filterStats(slotFilterName(slot)));
    if (!isFunctionSlot(slot)) return module();
    const routes = (): Promise<string | undefined> =>
      this.#deliverFile(envoy, config, FUNCTIONS_FILE, FUNCTIONS_STATS);
    // A route leads to a function only while that is there.
    if (this.#store.history(slot).length > 0) return (await module()) ?? routes();
    const failure = await routes();
    if (failure !== undefined) return failure;
    await new Promise((resolve) => setTimeout(resolve, THREADS_MS));
    return module();
  }

  async #deliverFile(
    envoy: EnvoyProcess,
    config: RuntimeConfig,
    file: string,
    stats: string,
  ): Promise<string | undefined> {
    const text = this.#files.render(config).extensionConfigs[file];
    if (text === undefined || text === this.#filters[file]) return undefined;
    const failure = await envoy.push(file, text, stats);
    if (failure === undefined) this.#filters = { ...this.#filters, [file]: text };
    return failure;
  }

  /**
   * Waits until a slot's module does its work: its threads have their links to the bridge; or, of a function that events
   * trigger, events are taken, so that none is lost that is published when the push is through.
   *
   * @returns what is lacking when that takes too long
   */
  #working(slot: string): Promise<string | undefined> {
    const pushed = this.#store.history(slot).at(-1);
    // A function connects when it asks for something first.
    if (isFunctionSlot(slot)) {
      const id = pushed?.function?.id ?? '';
      const lack = 'its events are not taken yet; layotto status tells whether their broker is there';
      return this.#eventually((bridge) => bridge?.triggered?.[id] !== false, lack);
    }
    const alone = slot !== RUNTIME_SLOT && (pushed?.name === undefined || pushed.configuration !== undefined);
    if (alone) return Promise.resolve(undefined);
    return this.#eventually(
      (bridge) => (bridge?.filters?.[this.#files.versionOf(slot)] ?? 0) >= this.#expectedSessions,
      'not all of its threads are connected to the bridge yet',
    );
  }

  async #eventually(is: (bridge?: BridgeReport) => boolean, lack: string): Promise<string | undefined> {
    const end = Date.now() + WORKING_MS;
    while (Date.now() < end && !this.#stopping) {
      if (is(await bridgeReport(this.config.dataDir))) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return lack;
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
