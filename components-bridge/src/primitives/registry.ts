import type { Logger } from 'pino';

import type { ComponentConfig } from '../config/types.js';
import { Secrets } from '../telemetry/secrets.js';
import type { Component, ComponentType } from './component.js';
import { reasonOf } from './errors.js';

export type ComponentStatus = 'ready' | 'connecting' | 'down';

/** Where one component stands. */
export interface ComponentHealth {
  name: string;
  type: string;
  status: ComponentStatus;
  /** Why it is not ready, if that is known. */
  reason?: string;
}

/** Pause before the next try to open a component: doubled each time, with jitter. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

export interface RegistryOptions {
  components: readonly ComponentConfig[];
  types: readonly ComponentType[];
  dataDir: string;
  log: Logger;
  /** Taken out of the reasons that components give. */
  secrets?: Secrets;
  /** Told after each change of a component's status or reason. */
  onHealth?: (health: ComponentHealth) => void;
}

/** Every configured component: opened in the background, so that the bridge starts before its backends do. */
export class ComponentRegistry {
  readonly #slots = new Map<string, ComponentSlot>();

  constructor(options: RegistryOptions) {
    const types = new Map(options.types.map((type) => [type.type, type]));
    for (const config of options.components) {
      const slot = new ComponentSlot(config, types.get(config.type), options);
      this.#slots.set(slotId(config.primitive, config.name), slot);
    }
  }

  /** Starts opening every component. Returns at once. */
  start(): void {
    for (const slot of this.#slots.values()) slot.start();
  }

  /** Resolves when the first try to open each component has ended, well or not; after `limitMs` at the latest. */
  async firstTries(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([limit, Promise.all([...this.#slots.values()].map((slot) => slot.firstTry))]);
    clearTimeout(timer);
  }

  /** The component of that name, whatever its status; undefined if none is configured. */
  find(primitive: string, name: string): ComponentSlot | undefined {
    return this.#slots.get(slotId(primitive, name));
  }

  /** Every component of a primitive. */
  all(primitive: string): ComponentSlot[] {
    return [...this.#slots.values()].filter((slot) => slot.config.primitive === primitive);
  }

  health(): ComponentHealth[] {
    return [...this.#slots.values()].map((slot) => slot.health());
  }

  /** Closes every component; a failure to close is logged. */
  async close(): Promise<void> {
    await Promise.all([...this.#slots.values()].map((slot) => slot.close()));
  }
}

function slotId(primitive: string, name: string): string {
  return `${primitive}/${name}`;
}

/** One configured component through its life: connecting, ready, down and back. */
export class ComponentSlot {
  #status: ComponentStatus = 'connecting';
  #reason: string | undefined;
  #instance: Component | undefined;
  #closed = false;
  #opening: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #tried: () => void = () => undefined;
  /** Resolves when the first try to open it has ended, well or not. */
  readonly firstTry = new Promise<void>((resolve) => {
    this.#tried = resolve;
  });
  readonly #log: Logger;
  readonly #secrets: Secrets;

  constructor(
    readonly config: ComponentConfig,
    private readonly type: ComponentType | undefined,
    private readonly options: RegistryOptions,
  ) {
    this.#log = options.log.child({ component: config.name, type: config.type });
    this.#secrets = options.secrets ?? new Secrets();
  }

  /** The component, if it is ready. */
  get instance(): Component | undefined {
    return this.#status === 'ready' ? this.#instance : undefined;
  }

  /** Why `instance` is undefined, for people. */
  get reason(): string {
    return this.#reason ?? (this.#status === 'connecting' ? 'it is still connecting' : this.#status);
  }

  health(): ComponentHealth {
    const { name, type } = this.config;
    const health: ComponentHealth = { name, type, status: this.#status };
    if (this.#reason !== undefined) health.reason = this.#reason;
    return health;
  }

  start(): void {
    this.#opening ??= this.#open();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#opening;
    const instance = this.#instance;
    this.#instance = undefined;
    this.#set('down', 'the bridge is shutting down');
    await instance?.close().catch((error: unknown) => {
      this.#log.warn({ reason: reasonOf(error) }, 'component did not close cleanly');
    });
  }

  /** Tries until it is open or closed; never throws. */
  async #open(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#closed) {
      try {
        this.#instance = await this.#openOnce();
        this.#set('ready');
        this.#tried();
        return;
      } catch (error) {
        this.#set('connecting', reasonOf(error));
        this.#tried();
      }
      await this.#sleep(pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  async #openOnce(): Promise<Component> {
    const { name, type, metadata } = this.config;
    if (this.type === undefined) throw new Error(`this version does not serve the component type ${type}`);
    const module = await this.type.load();
    let opened = false;
    const instance = await module.open({
      name,
      metadata,
      dataDir: this.options.dataDir,
      log: this.#log,
      report: (status, reason) => {
        if (opened && !this.#closed) this.#set(status, reason);
      },
    });
    opened = true;
    return instance;
  }

  #sleep(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #set(status: ComponentStatus, why?: string): void {
    const reason = why === undefined ? undefined : this.#secrets.redact(why);
    if (this.#status === status && this.#reason === reason) return;
    this.#status = status;
    this.#reason = reason;
    if (status === 'ready') this.#log.info('component is ready');
    else if (!this.#closed) this.#log.warn({ status, reason }, 'component is not ready');
    this.options.onHealth?.(this.health());
  }
}
