// The policy as the plugin configuration brings it: rules in the order in which
// they are asked, those that deny first. components-bridge/src/policy compiles it.

import { literal, View, viewEquals, viewToString } from '../wire/view';
import { FieldReader } from './field-reader';

const K_NAME = literal('name');
const K_OPERATIONS = literal('operations');
const K_COMPONENTS = literal('components');
const K_DENIES = literal('denies');
const K_TRUST_DOMAIN = literal('trustDomain');
const K_RULES = literal('rules');
const K_DENY = literal('deny');
const K_APPS = literal('apps');
const K_PRIMITIVES = literal('primitives');
const K_SECRETS = literal('secrets');
const K_OTHERS = literal('otherSecrets');
const K_OTHER_TOPICS = literal('otherTopics');
const K_OF_STORE = literal('ofStore');
const K_TOPICS = literal('topics');
const K_LIMITS = literal('limits');
const K_ABOUT = literal('about');
const K_PER_HOUR = literal('perHour');
const K_BURST = literal('burst');
const K_PER = literal('per');
const PER_PRIMITIVE = literal('primitive');
const PER_COMPONENT = literal('component');
const PER_APP = literal('app');

/** Bounds of a rate, in calls an hour, and of a burst: a call an hour, and a million in a second. */
const MOST_PER_HOUR: i64 = 3_600_000_000;
const MOST_AT_ONCE: i64 = 1_000_000;

/** Whom and what one rule is about. A list that is empty does not matter. */
export class PolicyRule {
  /** Its place in the policy, from 0. */
  index: i32 = 0;
  name: View = 0;
  deny: bool = false;
  /** App ids and SPIFFE ids; what ends in `*` stands for everything that begins like it, here and below. */
  apps: Array<View> = [];
  primitives: Array<View> = [];
  operations: Array<View> = [];
  components: Array<View> = [];
  /** Names of secrets. */
  secrets: Array<View> = [];
  /** Names of secrets that it is not about, if `hasOthers`: all others it is. */
  others: Array<View> = [];
  hasOthers: bool = false;
  /** It stands with a component: names are taken as they are, and Dapr's words deny. */
  ofStore: bool = false;
  /** Names of topics. */
  topics: Array<View> = [];
  /** Names of topics that it is not about, if `hasOtherTopics`: all others it is. */
  otherTopics: Array<View> = [];
  hasOtherTopics: bool = false;
}

/** How many calls there may be in a time. */
export class PolicyLimit {
  /** Which calls it is about; its name is the limit's. */
  rule: PolicyRule = new PolicyRule();
  perHour: i64 = 0;
  /** Calls that may come at once after a pause. */
  burst: i32 = 0;
  /** Whether each primitive, component or app is counted by itself. */
  perPrimitive: bool = false;
  perComponent: bool = false;
  perApp: bool = false;
}

/** Rules, and what holds where none of them does; and limits. */
export class Policy {
  denies: bool = false;
  rules: Array<PolicyRule> = [];
  limits: Array<PolicyLimit> = [];
  /** The first part of SPIFFE ids in this mesh. */
  trustDomain: View = 0;

  /** Whether anything depends on who calls. */
  get asksWho(): bool {
    for (let i = 0; i < this.rules.length; i++) if (this.rules[i].apps.length > 0) return true;
    for (let i = 0; i < this.limits.length; i++) {
      const limit = this.limits[i];
      if (limit.perApp || limit.rule.apps.length > 0) return true;
    }
    return false;
  }
}

/** Reads the policy; null if it is none, which is noted. */
export function readPolicy(fields: FieldReader): Policy | null {
  if (!fields.object('policy')) return null;
  const reader = fields.json;
  const policy = new Policy();
  while (reader.nextKey()) {
    if (viewEquals(reader.key, K_DENIES)) policy.denies = fields.flag('policy.denies');
    else if (viewEquals(reader.key, K_TRUST_DOMAIN)) policy.trustDomain = fields.text('policy.trustDomain');
    else if (viewEquals(reader.key, K_RULES)) readRules(fields, policy.rules);
    else if (viewEquals(reader.key, K_LIMITS)) readLimits(fields, policy.limits);
    else reader.skip();
  }
  return policy;
}

function readRules(fields: FieldReader, rules: Array<PolicyRule>): void {
  if (!fields.list('policy.rules')) return;
  while (fields.json.nextItem()) {
    const rule = readRule(fields);
    rule.index = rules.length;
    rules.push(rule);
  }
}

function readRule(fields: FieldReader): PolicyRule {
  const reader = fields.json;
  const rule = new PolicyRule();
  if (!fields.object('policy.rules[]')) return rule;
  while (reader.nextKey()) {
    const key = reader.key;
    if (viewEquals(key, K_NAME)) rule.name = fields.text('policy.rules[].name');
    else if (viewEquals(key, K_DENY)) rule.deny = fields.flag('policy.rules[].deny');
    else if (viewEquals(key, K_APPS)) rule.apps = fields.texts('policy.rules[].apps');
    else if (viewEquals(key, K_PRIMITIVES)) rule.primitives = fields.texts('policy.rules[].primitives');
    else if (viewEquals(key, K_OPERATIONS)) rule.operations = fields.texts('policy.rules[].operations');
    else if (viewEquals(key, K_COMPONENTS)) rule.components = fields.texts('policy.rules[].components');
    else if (viewEquals(key, K_SECRETS)) rule.secrets = fields.texts('policy.rules[].secrets');
    else if (viewEquals(key, K_TOPICS)) rule.topics = fields.texts('policy.rules[].topics');
    else if (viewEquals(key, K_OF_STORE)) rule.ofStore = fields.flag('policy.rules[].ofStore');
    else if (viewEquals(key, K_OTHERS)) {
      rule.others = fields.texts('policy.rules[].otherSecrets');
      rule.hasOthers = true;
    } else if (viewEquals(key, K_OTHER_TOPICS)) {
      rule.otherTopics = fields.texts('policy.rules[].otherTopics');
      rule.hasOtherTopics = true;
    } else unknown(fields, 'rule', key);
  }
  if (rule.name == 0 && fields.problem.length == 0) fields.problem = 'a rule of "policy" needs "name"';
  return rule;
}

/** A condition that is not understood must not become none. */
function unknown(fields: FieldReader, what: string, key: View): void {
  if (fields.problem.length == 0) {
    const name = '"' + viewToString(key) + '"';
    fields.problem = 'a ' + what + ' of "policy" has the key ' + name + ', which this module does not know';
  }
  fields.json.skip();
}

function readLimits(fields: FieldReader, limits: Array<PolicyLimit>): void {
  if (!fields.list('policy.limits')) return;
  const reader = fields.json;
  while (reader.nextItem()) {
    if (!fields.object('policy.limits[]')) continue;
    const limit = new PolicyLimit();
    while (reader.nextKey()) {
      const key = reader.key;
      if (viewEquals(key, K_ABOUT)) limit.rule = readRule(fields);
      else if (viewEquals(key, K_PER_HOUR))
        limit.perHour = fields.whole('policy.limits[].perHour', 1, MOST_PER_HOUR);
      else if (viewEquals(key, K_BURST))
        limit.burst = <i32>fields.whole('policy.limits[].burst', 1, MOST_AT_ONCE);
      else if (viewEquals(key, K_PER)) readPer(fields, limit);
      else unknown(fields, 'limit', key);
    }
    if (fields.problem.length == 0 && (limit.rule.name == 0 || limit.perHour == 0 || limit.burst == 0))
      fields.problem = 'a limit of "policy" needs "about", "perHour" and "burst"';
    limits.push(limit);
  }
}

function readPer(fields: FieldReader, limit: PolicyLimit): void {
  const names = fields.texts('policy.limits[].per');
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (viewEquals(name, PER_PRIMITIVE)) limit.perPrimitive = true;
    else if (viewEquals(name, PER_COMPONENT)) limit.perComponent = true;
    else if (viewEquals(name, PER_APP)) limit.perApp = true;
    else if (fields.problem.length == 0)
      fields.problem =
        '"policy.limits[].per" names "' + viewToString(name) + '", which this module does not know';
  }
}
