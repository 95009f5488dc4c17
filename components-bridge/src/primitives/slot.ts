import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';

import { issueText } from '../config/schema.js';
import type { ComponentConfig } from '../config/types.js';
import { Secrets } from '../telemetry/secrets.js';
import type { Component, ComponentType } from './component.js';
import { reasonOf } from './errors.js';
import { Pause } from './pause.js';
import { Probing } from './probing.js';

export type ComponentStatus = 'ready' | 'connecting' | 'down';

/** Where one component stands. */
export interface ComponentHealth {
  primitive: string;
  name: string;
  type: string;
  status: ComponentStatus;
  /** Why it is not ready, if that is known. */
  reason?: string;
}

/** Pause before the next try to open a component: doubled each time, with jitter. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * What a primitive does with a component before the first call finds it.
 *
 * @throws Error that says why it cannot serve; it is then closed, and opened again after a pause
 */
export type Prepare = (config: ComponentConfig, instance: Component) => Promise<void>;

/** Completes a component's metadata. @throws Error that says what is missing */
export type MetadataOf = (config: ComponentConfig) => Promise<Record<string, string>>;

export interface SlotOptions {
  /** The app that the runtime serves. */
  appId: string;
  /** Absolute folder for what components keep. */
  dataDir: string;
  log: Logger;
  /** Taken out of the reasons that the component gives. */
  secrets?: Secrets;
  /** The component's metadata with what it keeps in secret stores. */
  metadataOf?: MetadataOf;
  prepare?: Prepare;
  /** Told after each change of its status or reason. */
  onChange: (slot: ComponentSlot) => void;
  /** Told of stored keys whose values, read before, may be out of date. */
  onInvalid?: ((slot: ComponentSlot, keys: readonly string[] | 'all') => void) | undefined;
}

/** One component, with one set of settings, through its life: connecting, ready, down and back, closed. */
export class ComponentSlot {
  #status: ComponentStatus = 'connecting';
  #reason: string | undefined;
  /** What was found when it was looked at last, if that was bad. */
  #ailment: string | undefined;
  #probing: Probing | undefined;
  #instance: Component | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;
  #opening: Promise<void> | undefined;
  #holders = 0;
  /** What it was opened with. */
  #metadata: Readonly<Record<string, string>> | undefined;
  /** Why its secrets could not be read again. */
  #missing: string | undefined;
  #unheld: () => void = () => undefined;
  readonly #pause = new Pause();
  #tried: () => void = () => undefined;
  #settle: () => void = () => undefined;
  /** Resolves when the first try to open it has ended, well or not. */
  readonly firstTry = new Promise<void>((resolve) => {
    this.#tried = resolve;
  });
  /** Resolves when it is ready for the first time, or closed. */
  readonly settled = new Promise<void>((resolve) => {
    this.#settle = resolve;
  });
  /** Its own log, and the component's. */
  readonly log: Logger;
  readonly #secrets: Secrets;

  /** @param type undefined if this version does not serve it: then it never becomes ready */
  constructor(
    readonly config: ComponentConfig,
    private readonly type: ComponentType | undefined,
    private readonly options: SlotOptions,
  ) {
    this.log = options.log.child({ component: config.name, type: config.type });
    this.#secrets = options.secrets ?? new Secrets();
  }

  /** The component, if it is ready. */
  get instance(): Component | undefined {
    return this.#status === 'ready' ? this.#instance : undefined;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Why `instance` is undefined, for people. */
  get reason(): string {
    return this.#reason ?? (this.#status === 'connecting' ? 'it is still connecting' : this.#status);
  }

  health(): ComponentHealth {
    const { primitive, name, type } = this.config;
    const ailing = this.#status === 'ready' && this.#ailment !== undefined;
    const health: ComponentHealth = { primitive, name, type, status: ailing ? 'down' : this.#status };
    const reason = ailing ? this.#ailment : this.#reason;
    if (reason !== undefined) health.reason = reason;
    return health;
  }

  /** Whether it was made for the same settings, wherever they stand. */
  isFor(config: ComponentConfig): boolean {
    const settings = ({ origin: _, ...rest }: ComponentConfig): unknown => rest;
    return isDeepStrictEqual(settings(this.config), settings(config));
  }

  /** Whether what it was opened with is not any more what its secret stores say. */
  async outdated(): Promise<boolean> {
    const before = this.#metadata;
    if (this.config.secretRefs === undefined || before === undefined || this.#closed) return false;
    try {
      const now = await this.#completeMetadata();
      this.#missing = undefined;
      return !isDeepStrictEqual(now, before);
    } catch (error) {
      // What cannot be had now is not new; the component goes on with what it has.
      const reason = this.#secrets.redact(reasonOf(error));
      if (reason !== this.#missing) this.log.warn({ reason }, 'its secrets cannot be read again');
      this.#missing = reason;
      return false;
    }
  }

  /** Starts opening it. Returns at once. */
  start(): void {
    this.#opening ??= this.#open();
  }

  /** A call begins that will use it: `retire` waits for its `release`. */
  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.#unheld();
  }

  /** Performs a call that uses it, and holds it as long. */
  async use<Result>(perform: () => Promise<Result>): Promise<Result> {
    this.hold();
    try {
      return await perform();
    } finally {
      this.release();
    }
  }

  /** Closes it when no call uses it any more, after `graceMs` at the latest. */
  async retire(graceMs: number): Promise<void> {
    if (this.#holders > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#unheld = resolve;
        timer = setTimeout(resolve, graceMs);
      });
      clearTimeout(timer);
    }
    await this.close('other settings have taken its place');
  }

  /** Closes it; a failure to close is logged. @param why what calls that still use it are told */
  close(why = 'the bridge is shutting down'): Promise<void> {
    this.#closing ??= this.#close(why);
    return this.#closing;
  }

  async #close(why: string): Promise<void> {
    this.#closed = true;
    this.#pause.end();
    this.#settle();
    this.#unheld();
    await this.#opening;
    const instance = this.#instance;
    this.#instance = undefined;
    this.#probing?.stop();
    this.#set('down', why);
    await instance?.close().catch((error: unknown) => {
      this.log.warn({ reason: reasonOf(error) }, 'component did not close cleanly');
    });
  }

  /** Tries until it is open or closed; never throws. */
  async #open(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#closed) {
      try {
        this.#instance = await this.#openOnce();
        this.#set('ready');
        this.#probing = new Probing(this.#instance, (failure) => this.#looked(failure));
        this.#probing.start();
        this.#tried();
        this.#settle();
        return;
      } catch (error) {
        this.#set('connecting', reasonOf(error));
        this.#tried();
      }
      if (!this.#closed) await this.#pause.take(pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  async #openOnce(): Promise<Component> {
    const { name, type, version } = this.config;
    if (this.type === undefined) throw new Error(`this version does not serve the component type ${type}`);
    const metadata = await this.#completeMetadata();
    const module = await this.type.load();
    let opened = false;
    const instance = await module.open({
      name,
      version,
      metadata,
      appId: this.options.appId,
      dataDir: this.options.dataDir,
      log: this.log,
      report: (status, reason) => {
        if (opened && !this.#closed) this.#set(status, reason);
      },
      invalidate: (keys) => this.options.onInvalid?.(this, keys),
    });
    try {
      await this.options.prepare?.(this.config, instance);
    } catch (error) {
      await instance.close().catch(() => undefined);
      throw error;
    }
    opened = true;
    this.#metadata = metadata;
    return instance;
  }

  /** @throws Error that says which secret is missing, or for which setting one is no good */
  async #completeMetadata(): Promise<Readonly<Record<string, string>>> {
    const { metadata, secretRefs } = this.config;
    if (secretRefs === undefined) return metadata;
    const { metadataOf } = this.options;
    if (metadataOf === undefined) throw new Error('there are no secret stores');
    const complete = await metadataOf(this.config);
    const result = this.type?.metadata.safeParse(complete);
    const [issue] = result?.error?.issues ?? [];
    if (issue !== undefined) {
      // What was found there is a secret.
      const what = secretRefs.some(({ injectAs }) => injectAs === issue.path[0])
        ? ', found something else'
        : '';
      throw new Error(`${issue.path.map(String).join('.')}: ${issueText(issue)}${what}`);
    }
    return complete;
  }

  #looked(failure: string | undefined): void {
    const ailment = failure === undefined ? undefined : this.#secrets.redact(failure);
    if (this.#ailment === ailment) return;
    this.#ailment = ailment;
    // What it reports itself says more.
    if (this.#status === 'ready') this.options.onChange(this);
  }

  #set(status: ComponentStatus, why?: string): void {
    const reason = why === undefined ? undefined : this.#secrets.redact(why);
    if (this.#status === status && this.#reason === reason) return;
    this.#status = status;
    this.#reason = reason;
    this.options.onChange(this);
  }
}
