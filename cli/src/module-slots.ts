import { isDeepStrictEqual } from 'node:util';

import { isFunctionSlot, RUNTIME_SLOT } from '../../components-bridge/src/config/slots.js';
import type { TrapLimit } from '../../components-bridge/src/config/types.js';
import { bridgeProblems, envoyProblems, ModuleError, readModule } from '../../envoy/module-info.js';
import type { BridgeOffer, ModuleInfo } from '../../envoy/module-info.js';
import { UserError } from './errors.js';
import type { FunctionSettings, ModuleStore, Pushed } from './module-store.js';

/** How often traps are looked for. */
const WATCH_MS = 1_000;

/** What a running runtime offers for changing its modules. */
export interface SlotParts {
  store: ModuleStore;
  slots: readonly string[];
  /** What the bridge that runs offers; undefined if it does not answer. */
  offer: () => Promise<BridgeOffer | undefined>;
  /**
   * Has Envoy take over what the store says of a slot.
   *
   * @returns why Envoy refused it; undefined if it was taken over
   */
  deliver: (slot: string) => Promise<string | undefined>;
  /** Puts back what Envoy refused to replace. */
  restore: (slot: string) => Promise<void>;
  /** Resolves when a slot's module does its work; to what it still lacks if that does not come. */
  working: (slot: string) => Promise<string | undefined>;
  /** How often each slot's virtual machines were made anew after a trap. */
  traps: () => Promise<ReadonlyMap<string, number>>;
  /** When a module is rolled back that was pushed without saying when. */
  rollbackOnTrap: TrapLimit | undefined;
  /** One after the other with everything else that changes what runs. */
  exclusively: <Result>(work: () => Promise<Result>) => Promise<Result>;
  say: (line: string) => void;
}

/** What a slot has in it, as `layotto module list` shows it. */
export interface SlotView {
  slot: string;
  /** Oldest first; the last one serves. */
  history: readonly Pushed[];
  /** Traps since Envoy started. */
  traps: number;
  note?: string;
}

/** A push. */
export interface PushOptions {
  configuration?: string | undefined;
  rootId?: string | undefined;
  rollbackOnTrap?: TrapLimit | undefined;
  /** In a slot for functions only, and there always. */
  function?: FunctionSettings | undefined;
  /** Looks once more at a module that could be run. @returns why it must not be */
  tryOut?: (() => Promise<string | undefined>) | undefined;
}

/** How a module is called: its name and version, or its checksum. */
export function titleOf({ name, version, sha256 }: Pushed): string {
  const short = sha256.slice(0, 12);
  return name === undefined ? `module ${short}` : `${name} ${version ?? ''} (${short})`;
}

/** The modules of a running runtime: pushed, rolled back, and watched for traps. */
export class ModuleSlots {
  #timer: NodeJS.Timeout | undefined;
  /** When a slot's module trapped, newest last. */
  readonly #trapped = new Map<string, number[]>();
  /** Envoy's counters when they were looked at last; they begin anew with each module. */
  #counted: ReadonlyMap<string, number> = new Map();
  /** How often each slot's modules trapped since Envoy started. */
  readonly #traps = new Map<string, number>();

  constructor(private readonly parts: SlotParts) {}

  /** Watches for traps from now on. */
  begin(): void {
    let looking = false;
    this.#timer = setInterval(() => {
      if (looking) return;
      looking = true;
      void this.#look()
        .catch((error: unknown) => this.parts.say(`watching for traps failed: ${String(error)}`))
        .finally(() => (looking = false));
    }, WATCH_MS);
    this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** @param functions those for functions; else all others */
  list(functions = false): SlotView[] {
    const slots = this.parts.slots.filter((slot) => isFunctionSlot(slot) === functions);
    return slots.map((slot) => {
      const note = this.parts.store.note(slot);
      return {
        slot,
        history: this.parts.store.history(slot),
        traps: this.#traps.get(slot) ?? 0,
        ...(note === undefined ? {} : { note }),
      };
    });
  }

  /**
   * Puts a module into a slot.
   *
   * @returns what to tell the person
   * @throws UserError if it is refused; then everything stays as it is
   */
  push(slot: string, wasm: Uint8Array, options: PushOptions): Promise<string> {
    return this.parts.exclusively(async () => {
      this.#expectSlot(slot);
      const info = await this.#check(slot, wasm, options);
      const { store } = this.parts;
      const before = store.history(slot);
      const { sha256, section } = info;
      const pushed: Pushed = {
        sha256,
        at: new Date().toISOString(),
        ...(section && { name: section.name, version: section.version }),
        ...(options.configuration !== undefined && { configuration: options.configuration }),
        ...(options.rootId !== undefined && { rootId: options.rootId }),
        ...(options.function && { function: options.function }),
        ...(options.rollbackOnTrap && { rollbackOnTrap: options.rollbackOnTrap }),
      };
      const last = before.at(-1);
      if (
        last?.sha256 === sha256 &&
        last.configuration === pushed.configuration &&
        last.rootId === pushed.rootId &&
        isDeepStrictEqual(last.function, pushed.function)
      ) {
        store.set(slot, [...before.slice(0, -1), { ...pushed, at: last.at }]);
        return `${slot}: ${titleOf(pushed)} serves already`;
      }
      store.keep(sha256, wasm);
      await this.#change(slot, [...before, pushed], `${titleOf(pushed)} was refused`);
      return this.#served(slot, `${titleOf(pushed)} serves now`);
    });
  }

  /**
   * Puts back what served before.
   *
   * @throws UserError if there is nothing to go back to
   */
  rollback(slot: string, note?: string): Promise<string> {
    return this.parts.exclusively(async () => {
      this.#expectSlot(slot);
      const history = this.parts.store.history(slot);
      const last = history.at(-1);
      if (last === undefined)
        throw new UserError(`${slot}: no module was pushed, so there is nothing to roll back to`);
      await this.#change(slot, history.slice(0, -1), 'rolling back failed', note);
      const now = history.at(-2);
      return this.#served(slot, `${now === undefined ? byItself(slot) : titleOf(now)} serves again`);
    });
  }

  /** Takes every pushed module out of a slot. */
  remove(slot: string): Promise<string> {
    return this.parts.exclusively(async () => {
      this.#expectSlot(slot);
      if (this.parts.store.history(slot).length === 0)
        throw new UserError(`${slot}: no module was pushed, so there is nothing to remove`);
      await this.#change(slot, [], 'removing failed');
      return this.#served(slot, `${byItself(slot)} serves`);
    });
  }

  #expectSlot(slot: string): void {
    if (this.parts.slots.includes(slot)) return;
    const slots = this.parts.slots.filter((name) => !isFunctionSlot(name));
    throw new UserError(
      `there is no slot ${slot}; there are ${slots.join(', ')}. More come with modules.slots and outbound in layotto.yaml`,
    );
  }

  /** @throws UserError if the module cannot run here */
  async #check(slot: string, wasm: Uint8Array, { tryOut }: PushOptions): Promise<ModuleInfo> {
    let info: ModuleInfo;
    try {
      info = readModule(wasm);
    } catch (error) {
      if (error instanceof ModuleError) throw new UserError(error.message);
      throw error;
    }
    const problems = envoyProblems(info);
    if (info.sectionProblem !== undefined)
      problems.push(`its section layotto.module cannot be read: ${info.sectionProblem}`);
    const isFunction = info.section?.function === true;
    if (isFunctionSlot(slot) && !isFunction && problems.length === 0)
      problems.push('it is no function; layotto function build makes one of a source');
    if (!isFunctionSlot(slot) && isFunction)
      problems.push('it is a function; push it with layotto function push');
    if (slot === RUNTIME_SLOT && info.section === undefined && problems.length === 0) {
      problems.push(
        'it has no section layotto.module, so it is no runtime; push it into another slot with --name',
      );
    }
    if (problems.length === 0 && info.section !== undefined) {
      const bridge = await this.parts.offer();
      if (bridge === undefined)
        problems.push('the bridge does not answer, so what it offers is not known; try again');
      else problems.push(...bridgeProblems(info, bridge));
    }
    const found = problems.length === 0 ? await tryOut?.() : undefined;
    if (found !== undefined) problems.push(found);
    if (problems.length > 0) throw new UserError(problems.join('\n'));
    return info;
  }

  /** @throws UserError if Envoy refuses it; then the slot is as it was */
  async #change(slot: string, history: readonly Pushed[], failed: string, note?: string): Promise<void> {
    const { store, deliver, restore } = this.parts;
    const before = { history: store.history(slot), note: store.note(slot) };
    store.set(slot, history, note);
    const reason = await deliver(slot);
    if (reason === undefined) {
      this.#trapped.delete(slot);
      return;
    }
    store.set(slot, before.history, before.note);
    await restore(slot);
    throw new UserError(`${slot}: ${failed}, and what served before goes on serving: ${reason}`);
  }

  async #served(slot: string, what: string): Promise<string> {
    const lack = await this.parts.working(slot);
    return `${slot}: ${what}${lack === undefined ? '' : `; ${lack}`}`;
  }

  async #look(): Promise<void> {
    const counts = await this.parts.traps();
    const before = this.#counted;
    this.#counted = counts;
    const now = Date.now();
    for (const [slot, count] of counts) {
      const known = before.get(slot) ?? 0;
      const more = count < known ? count : count - known;
      if (more === 0) continue;
      const traps = (this.#traps.get(slot) ?? 0) + more;
      this.#traps.set(slot, traps);
      this.parts.say(`${slot}: its module trapped and was started again (${traps} times since the start)`);
      const times = [
        ...(this.#trapped.get(slot) ?? []),
        ...Array.from({ length: Math.min(more, 1000) }, () => now),
      ];
      this.#trapped.set(slot, times.slice(-1000));
      await this.#judge(slot, now);
    }
  }

  async #judge(slot: string, now: number): Promise<void> {
    const last = this.parts.store.history(slot).at(-1);
    const limit = last?.rollbackOnTrap ?? this.parts.rollbackOnTrap;
    if (last === undefined || limit === undefined) return;
    const recent = (this.#trapped.get(slot) ?? []).filter((at) => now - at <= limit.withinMs);
    if (recent.length < limit.traps) return;
    const note = `${titleOf(last)} was rolled back: it trapped ${recent.length} times within ${limit.withinMs / 1000} s`;
    try {
      const said = await this.rollback(slot, note);
      this.parts.say(`${slot}: ${note}; ${said}`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.parts.say(error.message);
    }
  }
}

function byItself(slot: string): string {
  return slot === RUNTIME_SLOT ? 'the installed module' : 'no module';
}
