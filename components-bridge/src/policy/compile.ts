import { rulesOfTopics } from './topics.js';
import type { TopicScopes } from './topics.js';
import type {
  CompiledLimit,
  CompiledPolicy,
  CompiledRule,
  Conditions,
  PolicyConfig,
  PolicyLimit,
  PolicyRule,
} from './types.js';

/** The trust domain of a mesh that was not given another. */
export const DEFAULT_TRUST_DOMAIN = 'cluster.local';

/** Which secrets of a store the app may have: only those allowed, if any are named; else all but those denied. */
export interface StoreAccess {
  default: 'allow' | 'deny';
  allowed: readonly string[];
  denied: readonly string[];
}

/** What of a configuration the policy is made of. */
export interface PolicySource {
  policy?: PolicyConfig | undefined;
  components: readonly {
    name: string;
    primitive: string;
    access?: StoreAccess | undefined;
    topicScopes?: TopicScopes | undefined;
  }[];
  /** The app that the runtime serves; what is said of topics is said of apps. */
  app?: { id: string };
}

/**
 * Puts everything that is said of who may do what into one form: the policy's rules, those that deny first because
 * they count whatever another rule allows, and the rules that stand with components.
 *
 * @returns undefined if everything is allowed
 */
export function compilePolicy({ policy, components, app }: PolicySource): CompiledPolicy | undefined {
  const ofStores = components.flatMap(({ name, access, topicScopes }) => [
    ...(access === undefined ? [] : ruleOfStore(name, access)),
    ...(topicScopes === undefined ? [] : rulesOfTopics(name, topicScopes, app?.id ?? '')),
  ]);
  if (policy === undefined && ofStores.length === 0) return undefined;
  const rules = policy?.rules ?? [];
  const denies = policy?.default === 'deny';
  const limits = policy?.limits?.flatMap(compileLimit) ?? [];
  return {
    denies,
    trustDomain: policy?.trustDomain ?? DEFAULT_TRUST_DOMAIN,
    rules: [
      ...ofStores,
      ...rules.filter(({ effect }) => effect === 'deny').map(compileRule),
      ...rules.filter(({ effect }) => effect === 'allow').map(compileRule),
    ],
    ...(limits.length === 0 ? {} : { limits }),
  };
}

const CONDITIONS = [
  'primitives',
  'operations',
  'components',
  'secrets',
  'topics',
] as const satisfies readonly (keyof Conditions)[];

function compileRule(rule: PolicyRule): CompiledRule {
  const compiled: CompiledRule = { name: rule.name };
  if (rule.effect === 'deny') compiled.deny = true;
  if (rule.apps.length > 0) compiled.apps = [...rule.apps];
  for (const key of CONDITIONS) if (rule[key].length > 0) compiled[key] = [...rule[key]];
  return compiled;
}

function compileLimit({ perHour, burst = 1, per, name, apps, ...about }: PolicyLimit): CompiledLimit[] {
  if (perHour === undefined) return [];
  const rule = compileRule({ ...about, name, apps, effect: 'allow', secrets: [], topics: [] });
  return [{ about: rule, perHour, burst, ...(per.length === 0 ? {} : { per: [...per] }) }];
}

/** Dapr's rules: if any secrets are allowed by name, only these; else those denied are not, or none is. */
function ruleOfStore(store: string, access: StoreAccess): CompiledRule[] {
  const { allowed, denied } = access;
  const rule = {
    name: `access:${store}`,
    deny: true,
    ofStore: true,
    primitives: ['secret'],
    components: [store],
  } as const;
  const common = { ...rule, primitives: [...rule.primitives], components: [...rule.components] };
  if (allowed.length > 0) return [{ ...common, otherSecrets: [...allowed] }];
  if (access.default === 'deny') return [{ ...common, otherSecrets: [] }];
  return denied.length === 0 ? [] : [{ ...common, secrets: [...denied] }];
}
