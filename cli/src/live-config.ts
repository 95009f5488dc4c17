import { isDeepStrictEqual } from 'node:util';

import {
  BRIDGE_SETTINGS,
  CALLEES,
  changes,
  FILTER_SETTINGS,
  formatFixed,
  sameSettings,
} from '../../components-bridge/src/config/changes.js';
import type { ComponentConfig, RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { Applied } from './bridge-child.js';
import type { BridgeProcess } from './bridge-process.js';
import { UserError } from './errors.js';
import { Queue } from './queue.js';

/** How long new settings of a component may take to be ready before it is said that the old ones go on serving. */
const WAIT_MS = 6_000;

/** Envoy's threads take a configuration over one after the other; until then they may still ask for what it removes. */
const THREADS_MS = 200;

/** When ways that Envoy did not take over are tried again. */
const AGAIN_MS = 5_000;

/** What a running runtime offers for changing it. */
export interface Parts {
  bridge: Pick<BridgeProcess, 'apply' | 'replace'>;
  /** Writes what a bridge reads when it starts. */
  writeConfig: (config: RuntimeConfig) => void;
  /** Has Envoy call others as a configuration says; resolves with why it does not. */
  pushWays: (config: RuntimeConfig) => Promise<string | undefined>;
  /** Has the filter take over what it must know of a configuration; resolves with what went wrong. */
  pushFilter: (config: RuntimeConfig) => Promise<string | undefined>;
  /** Takes what a person should know. */
  say: (line: string) => void;
}

/**
 * The configuration of a running runtime, and how it is changed without a call that is refused: the bridge knows a new
 * component before the filter asks for it, and a removed one leaves the filter first; so do Envoy's routes know callees.
 * Everything asked of it is done one after the other.
 */
export class LiveConfig {
  #wanted: RuntimeConfig;
  /** As wanted, but with the components that really serve. */
  #effective: RuntimeConfig;
  /** Components whose old settings go on serving. */
  readonly #kept = new Set<string>();
  readonly #queue = new Queue();
  /** By which calls have the filter or not. */
  #waysPolicy: RuntimeConfig['policy'];
  /** The ways do not follow yet, and when they are to be tried again. */
  #behind = false;
  #later: NodeJS.Timeout | undefined;

  constructor(
    private readonly parts: Parts,
    running: RuntimeConfig,
  ) {
    this.#wanted = running;
    this.#effective = running;
    this.#waysPolicy = running.policy;
  }

  /** What serves now. */
  get effective(): RuntimeConfig {
    return this.#effective;
  }

  /** Takes over what can be taken over of another configuration, and says what was and what was not. */
  apply(wanted: RuntimeConfig): Promise<void> {
    return this.#queue.run(() => this.#apply(wanted));
  }

  /** Starts another bridge, which takes over from the running one. */
  takeOver(): Promise<void> {
    return this.#queue.run(async () => {
      if (await this.#replaceBridge(this.#effective))
        this.parts.say('a new bridge has taken over; the one before it finishes its calls and ends');
      this.parts.writeConfig(this.#wanted);
      if (this.#kept.size > 0)
        await this.parts.bridge.apply(this.#wanted, { removeOthers: false, waitMs: 0 });
    });
  }

  /** The bridge has put settings in use that it could not reach when they were applied. */
  replaced(primitive: string, name: string): void {
    void this.#queue.run(async () => {
      if (!this.#kept.delete(idOf({ primitive, name }))) return;
      this.parts.say(`${name}: the new settings are in use now`);
      await this.#push(this.#mixed());
    });
  }

  /** The bridge was started again, with everything that is wanted. */
  restarted(): void {
    void this.#queue.run(async () => {
      if (this.#kept.size === 0) return;
      this.#kept.clear();
      await this.#push(this.#wanted);
    });
  }

  /** Tries nothing more. */
  end(): void {
    clearTimeout(this.#later);
  }

  /** Does something else that changes what runs, in its turn. A failure is the caller's own. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#queue.run(work);
  }

  async #apply(wanted: RuntimeConfig): Promise<void> {
    const { bridge, say, writeConfig } = this.parts;
    const before = this.#wanted;
    const { config, fixed } = changes(before, wanted, [...FILTER_SETTINGS, ...BRIDGE_SETTINGS, CALLEES]);
    for (const one of fixed) say(formatFixed(one));
    if (sameSettings(config, before)) {
      say('the configuration was read again; nothing that is running changes');
      return;
    }
    if (BRIDGE_SETTINGS.some((key) => valueOf(config, key) !== valueOf(before, key))) {
      const replaced = await this.#replaceBridge({ ...this.#effective, limits: config.limits });
      if (!replaced) config.limits = before.limits;
    }
    const callees = changedCallees(before, config);
    if (callees.length > 0 && !(await this.#openWays(before, config))) {
      callees.length = 0;
      setCallees(config, before);
    }
    this.#wanted = config;
    writeConfig(config);
    const applied = await bridge.apply(config, { removeOthers: false, waitMs: WAIT_MS });
    // A bridge that is not there starts with all of it.
    this.#kept.clear();
    for (const one of applied ?? []) if (one.outcome === 'kept') this.#kept.add(idOf(one));
    const removed = this.#effective.components.filter((component) => !has(config, component));
    const known = await this.#push(this.#mixed());
    // Calls that no rule is about pass by other ways.
    const ruled = known && !isDeepStrictEqual(config.policy, this.#waysPolicy);
    if (ruled || callees.some(({ outcome }) => outcome === 'removed'))
      await this.#follow(ruled ? 'policy' : CALLEES);
    if (removed.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, THREADS_MS));
      await bridge.apply(config, { removeOthers: true, waitMs: 0 });
    }
    for (const { name, outcome } of callees) say(`${CALLEES}.${name}: ${outcome}`);
    this.#sayWhat(before, applied ?? [], removed);
  }

  /**
   * Opens the ways of what is wanted, beside those to callees that the filter still knows, and by the policy of before.
   *
   * @returns whether they are open
   */
  async #openWays(before: RuntimeConfig, { policy: _, ...wanted }: RuntimeConfig): Promise<boolean> {
    const failure = await this.parts.pushWays({
      ...wanted,
      ...(this.#waysPolicy === undefined ? {} : { policy: this.#waysPolicy }),
      callees: { ...before.callees, ...wanted.callees },
    });
    if (failure !== undefined) this.parts.say(`${CALLEES}: calls go on going where they went: ${failure}`);
    return failure === undefined;
  }

  /** Has the ways follow what the filter knows, now or later. @param key what was edited */
  async #follow(key: string): Promise<void> {
    clearTimeout(this.#later);
    const { policy } = this.#wanted;
    const failure = await this.parts.pushWays(this.#wanted);
    const { say } = this.parts;
    if (failure !== undefined) {
      if (!this.#behind) say(`${key}: does not hold for calls to other apps yet, trying on: ${failure}`);
      this.#later = setTimeout(() => void this.#queue.run(() => this.#follow(key)), AGAIN_MS);
      this.#later.unref();
    } else {
      this.#waysPolicy = policy;
      if (this.#behind) say(`${key}: holds for calls to other apps, too, now`);
    }
    this.#behind = failure !== undefined;
  }

  /** @returns whether another bridge has taken over */
  async #replaceBridge(config: RuntimeConfig): Promise<boolean> {
    this.parts.writeConfig(config);
    try {
      // Its calls end by their deadline; the rest is for closing everything.
      await this.parts.bridge.replace(config.limits.deadlineMs + 10_000);
      return true;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.parts.say(error.message);
      return false;
    }
  }

  /** What is wanted, but with the components that are kept. */
  #mixed(): RuntimeConfig {
    const serving = new Map(this.#effective.components.map((component) => [idOf(component), component]));
    const components = this.#wanted.components.map((component) => {
      const id = idOf(component);
      return (this.#kept.has(id) ? serving.get(id) : undefined) ?? component;
    });
    return { ...this.#wanted, components };
  }

  /** @returns whether the filter knows it */
  async #push(config: RuntimeConfig): Promise<boolean> {
    this.#effective = config;
    const failure = await this.parts.pushFilter(config);
    if (failure !== undefined) this.parts.say(`the filter keeps its configuration: ${failure}`);
    return failure === undefined;
  }

  #sayWhat(before: RuntimeConfig, applied: readonly Applied[], removed: readonly ComponentConfig[]): void {
    const { say } = this.parts;
    for (const { name, outcome, reason = '' } of applied) {
      const but = reason === '' ? '' : `; not ready yet: ${reason}`;
      if (outcome === 'added') say(`${name}: added${but}`);
      if (outcome === 'replaced') say(`${name}: the new settings are in use${but}`);
      if (outcome === 'kept')
        say(`${name}: the old settings go on serving, the new ones are tried on: ${reason}`);
    }
    for (const { name } of removed) say(`${name}: removed`);
    for (const key of [...FILTER_SETTINGS, ...BRIDGE_SETTINGS]) {
      const [now, then] = [valueOf(this.#wanted, key), valueOf(before, key)];
      if (isDeepStrictEqual(now, then)) continue;
      say(`${key}: now ${key === 'policy' ? policyText(this.#wanted.policy) : JSON.stringify(now)}`);
    }
  }
}

/** What became of a callee. */
interface CalleeChange {
  name: string;
  outcome: 'added' | 'the new settings are in use' | 'removed';
}

function changedCallees(
  { callees: before = {} }: RuntimeConfig,
  { callees = {} }: RuntimeConfig,
): CalleeChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(callees)])];
  return names.flatMap((name): CalleeChange[] => {
    const [then, now] = [before[name], callees[name]];
    if (isDeepStrictEqual(then, now)) return [];
    if (then === undefined) return [{ name, outcome: 'added' }];
    return [{ name, outcome: now === undefined ? 'removed' : 'the new settings are in use' }];
  });
}

function setCallees(config: RuntimeConfig, { callees }: RuntimeConfig): void {
  if (callees === undefined) delete config.callees;
  else config.callees = callees;
}

/** A policy in a few words: its rules may be many. */
function policyText(policy: RuntimeConfig['policy']): string {
  if (policy === undefined) return 'none, everything is allowed';
  const count = (things: readonly unknown[], what: string): string =>
    `${things.length} ${what}${things.length === 1 ? '' : 's'}`;
  const { limits: all = [] } = policy;
  const limits = all.length === 0 ? '' : `, ${count(all, 'limit')}`;
  return `${count(policy.rules, 'rule')}${limits}, ${policy.default} by default`;
}

function idOf({ primitive, name }: { primitive: string; name: string }): string {
  return `${primitive}/${name}`;
}

function has({ components }: RuntimeConfig, { primitive, name }: ComponentConfig): boolean {
  return components.some((component) => component.primitive === primitive && component.name === name);
}

/** A setting by its key in the resolved configuration, such as `limits.bytes`. */
function valueOf(config: RuntimeConfig, key: string): unknown {
  let value: unknown = config;
  for (const part of key.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value;
}
