// The policy as the plugin configuration brings it: rules in the order in which
// they are asked, those that deny first. components-bridge/src/policy compiles it.

import { JsonKind } from '../wire/json';
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
const K_OF_STORE = literal('ofStore');
const K_TOPICS = literal('topics');

/** Whom and what one rule is about. A list that is empty does not matter. */
export class PolicyRule {
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
  /** It stands with a secret store: names are taken as they are, and the store's own words deny. */
  ofStore: bool = false;
  /** Names of topics. */
  topics: Array<View> = [];
}

/** Rules, and what holds where none of them does. */
export class Policy {
  denies: bool = false;
  rules: Array<PolicyRule> = [];
  /** The first part of SPIFFE ids in this mesh. */
  trustDomain: View = 0;

  /** Whether any rule is about some apps only. */
  get asksWho(): bool {
    for (let i = 0; i < this.rules.length; i++) if (this.rules[i].apps.length > 0) return true;
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
    else reader.skip();
  }
  return policy;
}

function readRules(fields: FieldReader, rules: Array<PolicyRule>): void {
  const reader = fields.json;
  if (reader.peek() != JsonKind.ARRAY) {
    fields.wrong('policy.rules', 'an array of objects');
    return;
  }
  reader.enterArray();
  while (reader.nextItem()) {
    if (!fields.object('policy.rules[]')) continue;
    const rule = new PolicyRule();
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
      } else if (fields.problem.length == 0) {
        // A condition that is not understood must not become none.
        fields.problem =
          'a rule of "policy" has the key "' + viewToString(key) + '", which this module does not know';
        reader.skip();
      } else reader.skip();
    }
    if (rule.name == 0 && fields.problem.length == 0) fields.problem = 'a rule of "policy" needs "name"';
    rules.push(rule);
  }
}
