import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { parseTrapLimit } from '../../components-bridge/src/config/slots.js';
import type { TrapLimit } from '../../components-bridge/src/config/types.js';
import { UserError } from './errors.js';
import { functionSettings } from './function-settings.js';
import type { GivenSettings } from './function-settings.js';
import { titleOf } from './module-slots.js';
import type { ModuleSlots, SlotView } from './module-slots.js';
import type { FunctionSettings } from './module-store.js';
import { tryOut } from './preflight.js';
import { Queue } from './queue.js';

/** A push of a function. */
export interface FunctionOptions extends GivenSettings {
  rollbackOnTrap?: TrapLimit | undefined;
  /** It is called before it is pushed, unless false. */
  tryCall?: boolean | undefined;
}

/** A function, as `layotto function list` shows it. */
export interface FunctionView extends Omit<SlotView, 'history'> {
  settings: FunctionSettings;
  /** Oldest first; the last one serves. */
  history: readonly string[];
  /** When the last one was pushed. */
  at: string;
}

/** Reads what the command has sent. */
export function functionOptions(options: URLSearchParams): FunctionOptions {
  const number = (name: string): number | undefined => {
    const value = options.get(name);
    return value === null ? undefined : Number(value);
  };
  return {
    id: options.get('id') ?? '',
    path: options.get('path') ?? undefined,
    bodyBytes: number('bodyBytes'),
    inFlight: number('inFlight'),
    deadlineMs: number('deadlineMs'),
    rollbackOnTrap: parseTrapLimit(options.get('rollbackOnTrap')),
    tryCall: options.get('try') !== 'no',
  };
}

/** The functions of a running runtime: modules in slots of their own, by ids. */
export class Functions {
  /** Changes: two that were pushed at the same time would else be put into the same place. */
  readonly #queue = new Queue();

  constructor(
    private readonly modules: ModuleSlots,
    private readonly slots: readonly string[],
    private readonly limits: RuntimeConfig['limits'],
    /** The plugin configuration of a function. */
    private readonly configurationOf: (settings: FunctionSettings) => string,
  ) {}

  list(): FunctionView[] {
    return this.modules.list(true).flatMap(({ history, ...view }) => {
      const last = history.at(-1);
      if (last?.function === undefined) return [];
      return [{ ...view, settings: last.function, history: history.map(titleOf), at: last.at }];
    });
  }

  /**
   * Puts a function where its callers find it, or another version of it in its place.
   *
   * @returns what to tell the person
   * @throws UserError if it is refused; then everything stays as it is
   */
  push(wasm: Uint8Array, options: FunctionOptions): Promise<string> {
    return this.#queue.run(() => this.#push(wasm, options));
  }

  async #push(wasm: Uint8Array, options: FunctionOptions): Promise<string> {
    const known = this.list();
    const same = known.find(({ settings }) => settings.id === options.id);
    const settings = functionSettings(options, this.limits, same?.settings);
    this.#check(settings, known);
    const slot = same?.slot ?? this.slots.find((name) => !known.some((one) => one.slot === name));
    if (slot === undefined)
      throw new UserError(
        `all ${this.slots.length} places for functions are taken; take one out with layotto function remove, or raise functions.slots in layotto.yaml`,
      );
    const said = await this.modules.push(slot, wasm, {
      function: settings,
      rollbackOnTrap: options.rollbackOnTrap,
      tryOut: () =>
        tryOut({ wasm, configuration: this.configurationOf(settings), call: options.tryCall !== false }),
    });
    return named(settings.id, said);
  }

  /** The version before serves again, with the settings that it had. */
  rollback(id: string): Promise<string> {
    return this.#queue.run(async () => {
      const { slot, history } = this.#find(id);
      if (history.length < 2)
        throw new UserError(
          `function ${id}: there is nothing before what serves; layotto function remove takes it out`,
        );
      return named(id, await this.modules.rollback(slot));
    });
  }

  remove(id: string): Promise<string> {
    return this.#queue.run(async () => {
      await this.modules.remove(this.#find(id).slot);
      return `function ${id}: removed`;
    });
  }

  #find(id: string): FunctionView {
    const found = this.list().find(({ settings }) => settings.id === id);
    if (found !== undefined) return found;
    const ids = this.list().map(({ settings }) => settings.id);
    throw new UserError(
      `there is no function ${id}; ${ids.length === 0 ? 'there are none' : `there are ${ids.join(', ')}`}`,
    );
  }

  #check({ id, path }: FunctionSettings, known: readonly FunctionView[]): void {
    const other = known.find(({ settings }) => settings.id !== id && settings.path === path);
    if (path !== undefined && other !== undefined)
      throw new UserError(`the path ${path} is that of function ${other.settings.id}; choose another one`);
  }
}

/** What was said of a slot, of the function in it. */
function named(id: string, said: string): string {
  return said.replace(/^function-\d+/, `function ${id}`);
}
