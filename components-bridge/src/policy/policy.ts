import { clip } from './clip.js';
import { compilePolicy } from './compile.js';
import type { PolicySource } from './compile.js';
import { ALLOWED, decide } from './decide.js';
import { RateLimits } from './rates.js';
import type { Spent } from './rates.js';
import type { Caller, CompiledPolicy, Subject } from './types.js';

/** Why something is denied. */
export interface Denial {
  /** Name of the rule; `default` if none matched. */
  rule: string;
  /** For people. */
  message: string;
  /** The rule stands with the component, and denies in words of its own. */
  ofComponent: boolean;
}

/** The policy that holds now, as whoever serves calls in this process asks it. */
export class Policy {
  #compiled: CompiledPolicy | undefined;
  #rates: RateLimits;
  readonly #denials = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  constructor(source: PolicySource) {
    this.#compiled = compilePolicy(source);
    this.#rates = new RateLimits(this.#compiled?.limits);
  }

  /** How often each rule has denied. */
  get denials(): ReadonlyMap<string, number> {
    return this.#denials;
  }

  /** How many calls of this process' own doors each limit has refused. */
  get rateRefusals(): ReadonlyMap<string, number> {
    return this.#refusals;
  }

  /** Takes the place of what held until now. */
  use(source: PolicySource): void {
    this.#compiled = compilePolicy(source);
    this.#rates = new RateLimits(this.#compiled?.limits, this.#rates);
    for (const listener of this.#listeners) listener();
  }

  /** @returns what ends the listening */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Asks for one call, or for one part of it.
   *
   * @param strict nobody asks again when more is known
   * @returns undefined if it is allowed
   */
  denialOf(caller: Caller, subject: Subject, strict = false): Denial | undefined {
    const compiled = this.#compiled;
    if (compiled === undefined) return undefined;
    const found = decide(compiled, caller, subject, strict);
    if (found === ALLOWED) return undefined;
    const rule = compiled.rules[found];
    const name = rule?.name ?? 'default';
    const ofComponent = rule?.ofStore === true && subject.name !== undefined;
    const message =
      rule?.ofStore === true && subject.name !== undefined
        ? wordsOfStore(caller, subject, subject.name)
        : explain(caller, subject, rule?.name);
    return { rule: name, message, ofComponent };
  }

  /** The same for a call that is refused if it is denied: it is counted. */
  admit(caller: Caller, subject: Subject, strict = false): Denial | undefined {
    const denial = this.denialOf(caller, subject, strict);
    if (denial !== undefined) this.#denials.set(denial.rule, (this.#denials.get(denial.rule) ?? 0) + 1);
    return denial;
  }

  /**
   * Takes what the rate limits ask of a call that the rules allow. Only for calls that came by a door of this process:
   * those of a filter have paid in Envoy.
   *
   * @returns the limit that refuses it, which is counted; undefined if it may go on
   */
  spend(caller: Caller, subject: Subject): Spent | undefined {
    const spent = this.#rates.take(caller, subject, performance.now());
    if (spent !== undefined) this.#refusals.set(spent.limit, (this.#refusals.get(spent.limit) ?? 0) + 1);
    return spent;
  }
}

/** The words of Dapr's API. */
function wordsOfStore({ app, spiffe }: Caller, { primitive, component = '' }: Subject, name: string): string {
  if (primitive === 'pubsub')
    return `topic ${clip(name)} is not allowed for app id ${clip(app === '' ? spiffe : app)}`;
  return `access denied by policy to get ${JSON.stringify(clip(name))} from ${JSON.stringify(clip(component))}`;
}

function explain({ app, spiffe }: Caller, subject: Subject, rule: string | undefined): string {
  const { primitive, operation, component = '', name } = subject;
  const who = app === '' ? `caller "${clip(spiffe)}"` : `app "${app}"`;
  const place = component === '' ? '' : ` of component "${clip(component)}"`;
  const what = name === undefined ? '' : ` for "${clip(name)}"`;
  const why = rule === undefined ? 'by default' : `rule "${rule}"`;
  return `${who} may not call ${primitive} ${operation}${place}${what}: denied by the policy, ${why}`;
}
