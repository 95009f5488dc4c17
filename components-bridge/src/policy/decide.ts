import type { Caller, CompiledPolicy, CompiledRule, Subject } from './types.js';

/** Nothing denies it. */
export const ALLOWED = -1;
/** No rule allows it, and the policy's default denies. */
export const BY_DEFAULT = -2;

const NO = 0;
const MAYBE = 1;
const YES = 2;

/**
 * Asks the rules. Where something is not known yet, a rule that denies does so only if it does whatever that is, and a
 * rule that allows does so if it could. `assembly/policy/rules.ts` says the same for Envoy's filter.
 *
 * @param strict nobody asks again: it is the other way round
 * @returns ALLOWED, BY_DEFAULT or the index of the rule that denies
 */
export function decide(policy: CompiledPolicy, caller: Caller, subject: Subject, strict = false): number {
  const probe = isProbe(subject);
  for (const [index, rule] of policy.rules.entries()) {
    const { primitives = [], operations = [] } = rule;
    if (probe && primitives.length === 0) continue;
    if (primitives.length > 0 && !primitives.includes(subject.primitive)) continue;
    if (operations.length > 0 && !operations.includes(subject.operation)) continue;
    if (!isFor(rule, caller)) continue;
    const match = matches(rule, subject);
    const deny = rule.deny === true;
    if (match === YES || (match === MAYBE && deny === strict)) return deny ? index : ALLOWED;
  }
  return policy.denies && !probe ? BY_DEFAULT : ALLOWED;
}

/** Whether a limit counts a call, of which everything is known that will be. */
export function concerns(rule: CompiledRule, caller: Caller, subject: Subject): boolean {
  const { primitives = [], operations = [] } = rule;
  if (primitives.length === 0 ? isProbe(subject) : !primitives.includes(subject.primitive)) return false;
  if (operations.length > 0 && !operations.includes(subject.operation)) return false;
  return isFor(rule, caller) && matches(rule, subject) === YES;
}

/** Questions about health: a default, or a rule that does not name their primitive, must not make an app look dead. */
function isProbe({ primitive, operation }: Subject): boolean {
  if (primitive === 'health') return true;
  return primitive === 'actuator' && (operation === 'Liveness' || operation === 'Readiness');
}

function isFor({ apps = [] }: CompiledRule, { app, spiffe }: Caller): boolean {
  if (apps.length === 0) return true;
  return apps.some((pattern) => {
    const id = pattern.startsWith('spiffe://') ? spiffe : app;
    return id !== '' && fits(pattern, id);
  });
}

function matches(rule: CompiledRule, { primitive, component, name }: Subject): number {
  const { components = [], secrets = [], otherSecrets, topics = [], otherTopics } = rule;
  const exact = rule.ofStore === true;
  let match = YES;
  if (components.length > 0) {
    if (component === undefined) match = MAYBE;
    else if (component === '' || !fitsAny(components, component, exact)) return NO;
  }
  if (secrets.length > 0 || otherSecrets !== undefined) {
    if (primitive !== 'secret') return NO;
    if (name === undefined) match = MAYBE;
    else if (secrets.length > 0 && !fitsAny(secrets, name, exact)) return NO;
    else if (otherSecrets !== undefined && fitsAny(otherSecrets, name, exact)) return NO;
  }
  if (topics.length > 0 || otherTopics !== undefined) {
    if (primitive !== 'pubsub') return NO;
    if (name === undefined) match = MAYBE;
    else if (topics.length > 0 && !fitsAny(topics, name, exact)) return NO;
    else if (otherTopics !== undefined && fitsAny(otherTopics, name, exact)) return NO;
  }
  return match;
}

function fitsAny(patterns: readonly string[], text: string, exact = false): boolean {
  return exact ? patterns.includes(text) : patterns.some((pattern) => fits(pattern, text));
}

/** Whether a text is a pattern, or begins like one that ends in `*`. */
export function fits(pattern: string, text: string): boolean {
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : pattern === text;
}
