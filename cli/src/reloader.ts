import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { Checked } from './config-options.js';
import { messageOf } from './errors.js';

/** What a reloader changes. */
export interface Reloadable {
  apply: (config: RuntimeConfig) => Promise<void>;
  takeOver: () => Promise<void>;
}

/** Reads the configuration again when it was edited, and has the runtime take it over. */
export class Reloader {
  #edited = false;
  #hungUp = false;
  #target: Reloadable | undefined;
  #busy = false;
  #work: Promise<void> = Promise.resolve();

  /**
   * @param check reads and checks the configuration as a whole
   * @param say takes what a person should know
   */
  constructor(
    private readonly check: () => Promise<Checked>,
    private readonly say: (line: string) => void,
  ) {}

  /** From here on requests are carried out; those that came before are made up for. */
  begin(target: Reloadable): void {
    this.#target = target;
    this.#wake();
  }

  /** Carries out nothing more; resolves when what it is at has ended. */
  async end(): Promise<void> {
    this.#target = undefined;
    await this.#work;
  }

  /** The configuration was edited. */
  edited(): void {
    this.#edited = true;
    this.#wake();
  }

  /** SIGHUP: the configuration is read again, and another bridge takes over. */
  hungUp(): void {
    this.#edited = true;
    this.#hungUp = true;
    this.#wake();
  }

  #wake(): void {
    if (!this.#busy) this.#work = this.#all();
  }

  /** Does what was asked for, and what is asked for meanwhile. */
  async #all(): Promise<void> {
    this.#busy = true;
    while (this.#target !== undefined && (this.#edited || this.#hungUp)) {
      try {
        if (this.#edited) {
          this.#edited = false;
          await this.#reload(this.#target);
        } else {
          this.#hungUp = false;
          await this.#target.takeOver();
        }
      } catch (error) {
        this.say(`layotto: changing what runs failed: ${messageOf(error)}`);
      }
    }
    this.#busy = false;
  }

  async #reload(target: Reloadable): Promise<void> {
    const { config, problems, notices } = await this.check();
    if (config === undefined) {
      for (const problem of problems) this.say(`layotto: ${problem}`);
      this.say('layotto: the configuration is wrong; everything stays as it is');
      return;
    }
    for (const notice of notices) this.say(`notice: ${notice}`);
    await target.apply(config);
  }
}
