// Whether a policy's rules let something pass. components-bridge/src/policy
// says the same in TypeScript; test/policy holds both to the same vectors.

import { Policy, PolicyRule } from '../config/policy';
import { literal, View, viewByte, viewEquals, viewLen, viewSlice, viewStartsWith } from '../wire/view';

const STAR: u8 = 0x2a;
const SPIFFE = literal('spiffe://');
const SECRET = literal('secret');
const PUBSUB = literal('pubsub');
const HEALTH = literal('health');
const ACTUATOR = literal('actuator');
const LIVENESS = literal('Liveness');
const READINESS = literal('Readiness');

/** Nothing denies it. */
export const ALLOWED: i32 = -1;
/** No rule allows it, and the policy's default denies. */
export const BY_DEFAULT: i32 = -2;

/** Who calls: the app beside this Envoy, or whoever a certificate says. */
export class Caller {
  /** App id; no bytes for a caller with a certificate, which is not the app beside this Envoy. */
  app: View = 0;
  /** SPIFFE id; no bytes if there is none. */
  spiffe: View = 0;
}

/** What is asked for. What is not known yet may still be anything. */
export class Subject {
  primitive: View = 0;
  operation: View = 0;
  /** No bytes: none. */
  component: View = 0;
  componentKnown: bool = true;
  /** The secret or topic that is asked for, where the primitive has such. */
  name: View = 0;
  nameKnown: bool = true;
}

enum Match {
  No,
  Maybe,
  Yes,
}

/**
 * Asks the rules. Where something is not known yet, a rule that denies does so only if it does whatever that is, and a
 * rule that allows does so if it could.
 *
 * @param rules those that `relevantRules` found
 * @param denies what no rule is about is denied
 * @param strict nobody asks again: it is the other way round
 * @returns ALLOWED, BY_DEFAULT or the index of the rule that denies
 */
export function decide(rules: Array<PolicyRule>, denies: bool, subject: Subject, strict: bool): i32 {
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i];
    const match = matches(rule, subject);
    if (match == Match.Yes || (match == Match.Maybe && rule.deny == strict)) {
      return rule.deny ? rule.index : ALLOWED;
    }
  }
  return denies && !isProbe(subject.primitive, subject.operation) ? BY_DEFAULT : ALLOWED;
}

/** The rules that can matter to a caller's calls of an operation, in their order. */
export function relevantRules(
  policy: Policy,
  caller: Caller,
  primitive: View,
  operation: View,
): Array<PolicyRule> {
  const probe = isProbe(primitive, operation);
  const found: Array<PolicyRule> = [];
  for (let i = 0; i < policy.rules.length; i++) {
    const rule = policy.rules[i];
    if (probe && rule.primitives.length == 0) continue;
    if (isAbout(rule, primitive, operation) && isFor(rule, caller)) found.push(rule);
  }
  return found;
}

/** Whether a limit counts a call, of which everything is known that will be. */
export function concerns(rule: PolicyRule, caller: Caller, subject: Subject): bool {
  if (rule.primitives.length == 0 && isProbe(subject.primitive, subject.operation)) return false;
  if (!isAbout(rule, subject.primitive, subject.operation) || !isFor(rule, caller)) return false;
  return matches(rule, subject) == Match.Yes;
}

/** Questions about health: a default, or a rule that does not name their primitive, must not make an app look dead. */
function isProbe(primitive: View, operation: View): bool {
  if (viewEquals(primitive, HEALTH)) return true;
  if (!viewEquals(primitive, ACTUATOR)) return false;
  return viewEquals(operation, LIVENESS) || viewEquals(operation, READINESS);
}

/** Whether a rule can matter to calls of an operation. */
function isAbout(rule: PolicyRule, primitive: View, operation: View): bool {
  if (rule.primitives.length > 0 && !holds(rule.primitives, primitive)) return false;
  return rule.operations.length == 0 || holds(rule.operations, operation);
}

function isFor(rule: PolicyRule, caller: Caller): bool {
  if (rule.apps.length == 0) return true;
  for (let i = 0; i < rule.apps.length; i++) {
    const pattern = rule.apps[i];
    const id = viewStartsWith(pattern, SPIFFE) ? caller.spiffe : caller.app;
    if (viewLen(id) > 0 && fits(pattern, id)) return true;
  }
  return false;
}

function matches(rule: PolicyRule, subject: Subject): Match {
  let match = Match.Yes;
  if (rule.components.length > 0) {
    if (!subject.componentKnown) match = Match.Maybe;
    else if (viewLen(subject.component) == 0 || !fitsAny(rule.components, subject.component, rule.ofStore))
      return Match.No;
  }
  const ofSecrets = rule.secrets.length > 0 || rule.hasOthers;
  if (ofSecrets) {
    if (!viewEquals(subject.primitive, SECRET)) return Match.No;
    if (!subject.nameKnown) match = Match.Maybe;
    else {
      if (rule.secrets.length > 0 && !fitsAny(rule.secrets, subject.name, rule.ofStore)) return Match.No;
      if (rule.hasOthers && fitsAny(rule.others, subject.name, rule.ofStore)) return Match.No;
    }
  }
  if (rule.topics.length > 0 || rule.hasOtherTopics) {
    if (!viewEquals(subject.primitive, PUBSUB)) return Match.No;
    if (!subject.nameKnown) match = Match.Maybe;
    else {
      if (rule.topics.length > 0 && !fitsAny(rule.topics, subject.name, rule.ofStore)) return Match.No;
      if (rule.hasOtherTopics && fitsAny(rule.otherTopics, subject.name, rule.ofStore)) return Match.No;
    }
  }
  return match;
}

function holds(names: Array<View>, name: View): bool {
  for (let i = 0; i < names.length; i++) if (viewEquals(names[i], name)) return true;
  return false;
}

function fitsAny(patterns: Array<View>, text: View, exact: bool): bool {
  if (exact) return holds(patterns, text);
  for (let i = 0; i < patterns.length; i++) if (fits(patterns[i], text)) return true;
  return false;
}

/** Whether a text is a pattern, or begins like one that ends in `*`. */
function fits(pattern: View, text: View): bool {
  const last = viewLen(pattern) - 1;
  if (viewByte(pattern, last) != STAR) return viewEquals(pattern, text);
  return viewStartsWith(text, viewSlice(pattern, 0, last));
}
