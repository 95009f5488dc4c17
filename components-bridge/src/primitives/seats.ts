import { fits } from '../policy/decide.js';
import type { PolicyLimit } from '../policy/types.js';
import type { Call } from './call.js';
import { Code, OperationError } from './errors.js';
import type { ComponentSlot } from './slot.js';

/** How many calls of a component may be at work at once: the bridge's part of `policy.limits`. */
export class Seats {
  #limits: readonly PolicyLimit[] = [];
  /** Calls at work, by primitive and name of their component. */
  readonly #taken = new Map<string, number>();
  /** Questions of a call that are open, by component; a call that was let in once may ask on. */
  readonly #open = new WeakMap<Call, Map<string, number>>();

  /** Takes the place of what held until now. Calls that are at work stay so. */
  use(limits: readonly PolicyLimit[]): void {
    this.#limits = limits.filter(({ concurrency }) => concurrency !== undefined);
  }

  /**
   * Lets a call ask a component.
   *
   * @returns what to call when it has been answered; undefined if there is nothing to count
   * @throws OperationError RESOURCE_EXHAUSTED that names the limit
   */
  take(call: Call, { config: { primitive, name } }: ComponentSlot): (() => void) | undefined {
    if (this.#limits.length === 0) return undefined;
    const key = `${primitive}/${name}`;
    let open = this.#open.get(call);
    const asked = open?.get(key);
    if (asked === undefined) this.#admit(primitive, name, key);
    if (open === undefined) {
      open = new Map();
      this.#open.set(call, open);
    }
    open.set(key, (asked ?? 0) + 1);
    if ((asked ?? 0) === 0) this.#taken.set(key, (this.#taken.get(key) ?? 0) + 1);
    return () => this.#giveBack(open, key);
  }

  #admit(primitive: string, name: string, key: string): void {
    const taken = this.#taken.get(key) ?? 0;
    for (const limit of this.#limits) {
      const { concurrency = Infinity } = limit;
      if (taken < concurrency || !isAbout(limit, primitive, name)) continue;
      const message = `component "${name}" has ${taken} calls at work: the limit "${limit.name}" of the policy is met`;
      throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
    }
  }

  #giveBack(open: Map<string, number>, key: string): void {
    const left = (open.get(key) ?? 1) - 1;
    open.set(key, left);
    if (left > 0) return;
    const taken = (this.#taken.get(key) ?? 1) - 1;
    if (taken > 0) this.#taken.set(key, taken);
    else this.#taken.delete(key);
  }
}

function isAbout({ primitives, components }: PolicyLimit, primitive: string, name: string): boolean {
  if (primitives.length > 0 && !primitives.includes(primitive)) return false;
  return components.length === 0 || components.some((pattern) => fits(pattern, name));
}
