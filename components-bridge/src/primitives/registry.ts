import type { Logger } from 'pino';

import type { ComponentConfig } from '../config/types.js';
import type { Secrets } from '../telemetry/secrets.js';
import type { ComponentType } from './component.js';
import { ComponentSlot } from './slot.js';
import type { ComponentHealth, MetadataOf, Prepare } from './slot.js';

/** How long calls may go on using a component whose place another has taken. */
const RETIRE_MS = 15_000;

export interface RegistryOptions {
  components: readonly ComponentConfig[];
  types: readonly ComponentType[];
  /** The type of a component that `types` need not have: of a primitive of its owner's. */
  ownType?: (config: ComponentConfig) => ComponentType | undefined;
  /** The app that the runtime serves. Default `app`, as in the configuration. */
  appId?: string;
  dataDir: string;
  log: Logger;
  /** Taken out of the reasons that components give. */
  secrets?: Secrets;
  /** Completes the metadata of components that keep some of it in secret stores. */
  metadataOf?: MetadataOf;
  prepare?: Prepare;
  /** Told after each change of a component's status or reason, as long as calls find it. */
  onHealth?: (health: ComponentHealth) => void;
  /** Told when a component's new settings have taken the place of the old ones. */
  onReplaced?: (config: ComponentConfig) => void;
  /**
   * Told of stored keys of a component whose values, read before, may be out of date: by the component, and of all
   * when another takes its place and when its last calls have ended.
   */
  onInvalid?: (config: ComponentConfig, keys: readonly string[] | 'all') => void;
}

/** What became of one component that was applied. */
export type Outcome =
  /** It has these settings already. */
  | 'unchanged'
  /** There was none of that name. It is found from now on, ready or not. */
  | 'added'
  /** The settings took the place of the old ones. */
  | 'replaced'
  /** The old settings go on serving, because nothing could be reached by the new ones yet. */
  | 'kept'
  | 'removed';

export interface Applied {
  primitive: string;
  name: string;
  outcome: Outcome;
  /** Why it is not ready by its new settings, if it is not. */
  reason?: string;
}

export interface ApplyOptions {
  /** Whether components that are not among those given are removed. */
  removeOthers: boolean;
  /** How long each may take to become ready before it is said not to be. It is still tried after that. */
  waitMs: number;
}

/** Every configured component: opened in the background, so that the bridge starts before its backends do. */
export class ComponentRegistry {
  readonly #types: ReadonlyMap<string, ComponentType>;
  /** What calls find, by primitive and name. */
  readonly #found = new Map<string, Map<string, ComponentSlot>>();
  /** New settings of components that have others, while they are tried; by primitive and name. */
  readonly #candidates = new Map<string, ComponentSlot>();
  /** New settings that take the place of the old ones if they are ready at once, and else are given up. */
  readonly #trials = new Set<ComponentSlot>();
  /** Components that nobody finds any more, until they are closed. */
  readonly #leaving = new Set<ComponentSlot>();
  readonly #listeners = new Set<(primitive: string, name: string) => void>();
  readonly #log: Logger;
  /** How much components log, where that was set, by primitive and name. */
  readonly #levels = new Map<string, string>();

  constructor(private readonly options: RegistryOptions) {
    this.#log = options.log;
    this.#types = new Map(options.types.map((type) => [type.type, type]));
    for (const config of options.components) this.#place(this.#slot(config));
  }

  /** Starts opening every component. Returns at once. */
  start(): void {
    for (const slot of this.#all()) slot.start();
  }

  /** Resolves when the first try to open each component has ended, well or not; after `limitMs` at the latest. */
  firstTries(limitMs: number): Promise<void> {
    return within(
      limitMs,
      this.#all().map((slot) => slot.firstTry),
    );
  }

  /** Resolves when every component was ready once; after `limitMs` at the latest. */
  allReady(limitMs: number): Promise<void> {
    return within(
      limitMs,
      this.#all().map((slot) => slot.settled),
    );
  }

  /**
   * Brings components to these settings, without a call that finds none: new settings are tried beside the old ones
   * and take their place when they are ready; what they replace is closed when its calls have ended. Settings that
   * cannot be reached are tried on in the background, until they can, or others are applied: giving back the old ones
   * ends the trying. A component that is not ready has nothing to lose, and is replaced at once.
   *
   * Calls of this may overlap; the later one wins for each component.
   *
   * @returns what became of each, removed ones last
   */
  async apply(
    components: readonly ComponentConfig[],
    { removeOthers, waitMs }: ApplyOptions,
  ): Promise<Applied[]> {
    const applied = components.map((config) => this.#apply(config, waitMs));
    const removed = removeOthers ? this.#removeAllBut(new Set(components.map(idOf))) : [];
    return [...(await Promise.all(applied)), ...removed];
  }

  /**
   * Brings one component to these settings if they can be used, and else leaves it as it is. They are tried beside the
   * old ones, once.
   *
   * @param waitMs how long that may take
   * @returns why they are not used; undefined if they are
   */
  async exchange(config: ComponentConfig, waitMs: number): Promise<string | undefined> {
    const { primitive, name } = config;
    const found = this.find(primitive, name);
    if (found?.isFor(config)) return found.instance === undefined ? found.reason : undefined;
    const slot = this.#slot(config);
    this.#trials.add(slot);
    slot.start();
    await within(waitMs, [slot.firstTry]);
    if (this.find(primitive, name) === slot) return undefined;
    // It may have been in use for a moment, until the next settings came.
    if (!this.#trials.delete(slot)) return 'other settings have come since';
    this.#retire(slot);
    return slot.reason;
  }

  /**
   * Looks for components whose secrets have changed since they were opened, and starts to open them with the new ones.
   * They take over when they are ready; until then the old ones serve.
   */
  async renew(): Promise<void> {
    for (const slot of this.#all()) {
      const { primitive, name } = slot.config;
      const id = idOf(slot.config);
      if (this.#candidates.has(id) || !(await slot.outdated())) continue;
      if (this.#candidates.has(id) || this.find(primitive, name) !== slot) continue;
      this.#log.info(
        { component: name },
        'a secret of the component has changed; it is opened with the new one',
      );
      const candidate = this.#slot(slot.config);
      this.#candidates.set(id, candidate);
      candidate.start();
    }
  }

  /** The component of that name, whatever its status; undefined if there is none. */
  find(primitive: string, name: string): ComponentSlot | undefined {
    return this.#found.get(primitive)?.get(name);
  }

  /** Whether there is a component of the primitive, whatever its status. */
  serves(primitive: string): boolean {
    return (this.#found.get(primitive)?.size ?? 0) > 0;
  }

  /**
   * Listens for whatever may change what `find` returns, or the status of it: another status, other settings, removal.
   *
   * @returns stops it
   */
  onChange(listener: (primitive: string, name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  health(): ComponentHealth[] {
    return this.#all().map((slot) => slot.health());
  }

  /** How much each component logs, as pino names it. */
  logLevels(): { config: ComponentConfig; level: string }[] {
    return this.#all().map(({ config, log }) => ({ config, level: log.level }));
  }

  /** Sets how much a component logs, also by its later settings. @param level one of pino's */
  setLogLevel(config: ComponentConfig, level: string): void {
    const id = idOf(config);
    this.#levels.set(id, level);
    for (const slot of [...this.#all(), ...this.#candidates.values(), ...this.#trials])
      if (idOf(slot.config) === id) slot.log.level = level;
  }

  /** Closes every component; a failure to close is logged. */
  async close(): Promise<void> {
    const slots = [...this.#all(), ...this.#candidates.values(), ...this.#trials, ...this.#leaving];
    await Promise.all(slots.map((slot) => slot.close()));
  }

  async #apply(config: ComponentConfig, waitMs: number): Promise<Applied> {
    const { primitive, name } = config;
    const id = idOf(config);
    const found = this.find(primitive, name);
    this.#dropTrials(id);
    if (found?.isFor(config)) {
      this.#dropCandidate(id);
      return { primitive, name, outcome: 'unchanged' };
    }
    let slot = this.#candidates.get(id);
    if (!slot?.isFor(config)) {
      this.#dropCandidate(id);
      slot = this.#slot(config);
      if (found?.instance === undefined) this.#replace(slot);
      else this.#candidates.set(id, slot);
      slot.start();
    }
    await within(waitMs, [slot.settled]);
    const inPlace = this.find(primitive, name) === slot;
    const applied: Applied = { primitive, name, outcome: 'kept' };
    if (inPlace) applied.outcome = found === undefined ? 'added' : 'replaced';
    if (slot.closed) applied.reason = 'other settings have come since';
    else if (slot.instance === undefined) applied.reason = slot.reason;
    return applied;
  }

  #removeAllBut(ids: ReadonlySet<string>): Applied[] {
    const removed: Applied[] = [];
    for (const slot of this.#all()) {
      const { primitive, name } = slot.config;
      const id = idOf(slot.config);
      if (ids.has(id)) continue;
      this.#dropCandidate(id);
      this.#dropTrials(id);
      this.#found.get(primitive)?.delete(name);
      this.#announce(slot.config);
      this.#retire(slot);
      removed.push({ primitive, name, outcome: 'removed' });
    }
    return removed;
  }

  #slot(config: ComponentConfig): ComponentSlot {
    const { appId = 'app', dataDir, log, secrets, metadataOf, prepare } = this.options;
    secrets?.addComponents([config]);
    const type = this.options.ownType?.(config) ?? this.#types.get(config.type);
    const slot = new ComponentSlot(config, type, {
      appId,
      dataDir,
      log,
      ...(secrets === undefined ? {} : { secrets }),
      ...(metadataOf === undefined ? {} : { metadataOf }),
      ...(prepare === undefined ? {} : { prepare }),
      onChange: (slot) => this.#changed(slot),
      onInvalid: ({ config }, keys) => this.options.onInvalid?.(config, keys),
    });
    slot.log.level = this.#levels.get(idOf(config)) ?? slot.log.level;
    return slot;
  }

  #all(): ComponentSlot[] {
    return [...this.#found.values()].flatMap((slots) => [...slots.values()]);
  }

  #place(slot: ComponentSlot): void {
    const { primitive, name } = slot.config;
    let slots = this.#found.get(primitive);
    if (slots === undefined) this.#found.set(primitive, (slots = new Map<string, ComponentSlot>()));
    slots.set(name, slot);
  }

  #replace(slot: ComponentSlot): void {
    const { primitive, name } = slot.config;
    const before = this.find(primitive, name);
    this.#place(slot);
    this.#announce(slot.config);
    if (before === undefined) return;
    this.options.onInvalid?.(slot.config, 'all');
    this.#retire(before);
  }

  #retire(slot: ComponentSlot): void {
    this.#leaving.add(slot);
    void slot.retire(RETIRE_MS).then(() => {
      this.#leaving.delete(slot);
      this.options.onInvalid?.(slot.config, 'all');
    });
  }

  #dropCandidate(id: string): void {
    const slot = this.#candidates.get(id);
    if (slot === undefined) return;
    this.#candidates.delete(id);
    this.#retire(slot);
  }

  #dropTrials(id: string): void {
    for (const slot of this.#trials) {
      if (idOf(slot.config) !== id) continue;
      this.#trials.delete(slot);
      this.#retire(slot);
    }
  }

  #changed(slot: ComponentSlot): void {
    const { config } = slot;
    const { status, reason } = slot.health();
    const { log } = slot;
    const id = idOf(config);
    if (this.#trials.has(slot)) {
      if (slot.instance === undefined) return;
      this.#trials.delete(slot);
      this.#dropCandidate(id);
      this.#replace(slot);
      this.options.onReplaced?.(config);
    }
    if (this.#candidates.get(id) === slot) {
      if (slot.closed) return;
      if (slot.instance === undefined) {
        log.warn({ status, reason }, 'the new settings are not ready; the old ones go on serving');
        return;
      }
      this.#candidates.delete(id);
      this.#replace(slot);
      this.options.onReplaced?.(config);
    }
    if (this.find(config.primitive, config.name) !== slot) return;
    if (status === 'ready') log.info('component is ready');
    else if (!slot.closed) log.warn({ status, reason }, 'component is not ready');
    this.options.onHealth?.(slot.health());
    this.#announce(config);
  }

  #announce({ primitive, name }: ComponentConfig): void {
    for (const listener of this.#listeners) listener(primitive, name);
  }
}

function idOf({ primitive, name }: ComponentConfig): string {
  return `${primitive}/${name}`;
}

/** Resolves when all have, after `limitMs` at the latest. */
async function within(limitMs: number, all: readonly Promise<void>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([limit, Promise.all(all)]);
  clearTimeout(timer);
}
