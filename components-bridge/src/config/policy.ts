import { DEFAULT_TRUST_DOMAIN } from '../policy/compile.js';
import { OPERATIONS } from '../policy/operations.js';
import type {
  Conditions,
  Effect,
  LimitScope,
  PolicyConfig,
  PolicyLimit,
  PolicyRule,
} from '../policy/types.js';
import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { appIdProblem } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { valueAt } from './schema.js';
import { hint } from './suggest.js';
import type { RuntimeConfig } from './types.js';

type Path = readonly PropertyKey[];

const KEYS = ['default', 'trustDomain', 'rules', 'limits'] as const;
const RULE_KEYS = ['name', 'apps', 'allow', 'deny'] as const;
const CONDITION_KEYS = [
  'primitives',
  'operations',
  'components',
  'secrets',
  'topics',
] as const satisfies readonly (keyof Conditions)[];

const LIMIT_KEYS = [
  'name',
  'apps',
  'primitives',
  'operations',
  'components',
  'rate',
  'burst',
  'per',
  'concurrency',
] as const;
const SCOPES = ['primitive', 'component', 'app'] as const satisfies readonly LimitScope[];
const CALLS_PER_HOUR = { s: 3_600, m: 60, h: 1 } as const;
const MOST_PER_HOUR = 3_600_000_000;
const MOST_AT_ONCE = 1_000_000;
const MOST_LIMITS = 100;

/** Bounds of what the filter holds and goes through for a call. */
const MOST_RULES = 500;
const MOST_NAMES = 200;
const LONGEST_NAME = 512;

/** A trust domain as SPIFFE has it. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const RULE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What metrics call the policy's default. */
const DEFAULT_NAME = 'default';

/**
 * Reads `policy:`. What is wrong is a problem: a rule that is not understood must not become no rule, nor one that is
 * about more than its author meant.
 *
 * @param own operations of primitives that are not the runtime's, by primitive
 */
export function readPolicy(
  document: ConfigDocument,
  findings: Findings,
  own: Readonly<Record<string, readonly string[]>> = {},
): PolicyConfig | undefined {
  const path = ['policy'];
  const value = valueAt(document.value, path);
  if (value === undefined || value === null) return undefined;
  return new PolicyReader(document, findings, { ...own, ...OPERATIONS }).policy(value, path);
}

class PolicyReader {
  constructor(
    private readonly document: ConfigDocument,
    private readonly findings: Findings,
    private readonly operations: Readonly<Record<string, readonly string[]>>,
  ) {}

  policy(value: unknown, path: Path): PolicyConfig | undefined {
    if (!this.#isMap(value, path, KEYS)) return undefined;
    const names = new Set<string>();
    const rules = this.#list([...path, 'rules'], 'rules', MOST_RULES).flatMap(
      (item, index) => this.#rule(item, [...path, 'rules', index], names) ?? [],
    );
    const base = this.#default(value['default'], [...path, 'default'], rules);
    const limitNames = new Set<string>();
    const limits = this.#list([...path, 'limits'], 'limits', MOST_LIMITS).flatMap(
      (item, index) => this.#limit(item, [...path, 'limits', index], limitNames) ?? [],
    );
    return { default: base, trustDomain: this.#trustDomain([...path, 'trustDomain']), rules, limits };
  }

  #list(path: Path, what: string, most: number): unknown[] {
    const list = valueAt(this.document.value, path) ?? [];
    if (!Array.isArray(list)) {
      this.#problem(path, `expected a list of ${what}, found ${describe(list)}`);
      return [];
    }
    if (list.length <= most) return list;
    this.#problem(path, `expected at most ${most} ${what}, found ${list.length}`);
    return [];
  }

  /** Rules that allow mean nothing where everything is allowed anyway, so then the default must have been said. */
  #default(value: unknown, path: Path, rules: readonly PolicyRule[]): Effect {
    const text = (this.document.textOf(path) ?? '').toLowerCase();
    if (text === 'allow' || text === 'deny') return text;
    if (value !== undefined && value !== null)
      this.#problem(path, `expected allow or deny, found ${describe(value)}`);
    else if (rules.some(({ effect }) => effect === 'allow')) {
      const message =
        'expected allow or deny, because there are rules that allow; found nothing: with deny they are all that is allowed';
      this.#problem(path, message);
    }
    return 'allow';
  }

  #trustDomain(path: Path): string {
    const value = valueAt(this.document.value, path);
    if (value === undefined || value === null) return DEFAULT_TRUST_DOMAIN;
    if (typeof value === 'string' && TRUST_DOMAIN.test(value)) return value;
    this.#problem(path, `expected a trust domain such as cluster.local, found ${describe(value)}`);
    return DEFAULT_TRUST_DOMAIN;
  }

  #rule(value: unknown, path: Path, names: Set<string>): PolicyRule | undefined {
    if (!this.#isMap(value, path, RULE_KEYS)) return undefined;
    const name = this.#name(value['name'], path, names, 'rule');
    const effects = (['allow', 'deny'] as const).filter((effect) => Object.hasOwn(value, effect));
    const [effect, second] = effects;
    if (effect === undefined || second !== undefined) {
      this.#problem(
        path,
        `expected either allow or deny, found ${second === undefined ? 'neither' : 'both'}`,
      );
      return undefined;
    }
    const apps = this.#apps(value, path);
    const conditions = this.#conditions(value[effect], [...path, effect]);
    return conditions === undefined ? undefined : { name, effect, apps, ...conditions };
  }

  #name(value: unknown, path: Path, names: Set<string>, what: string): string {
    const name = this.document.textOf([...path, 'name']) ?? '';
    if (!RULE_NAME.test(name) || name === DEFAULT_NAME) {
      const expected = `a name of its own of 1 to 64 letters, digits, ".", "_" and "-", and not "${DEFAULT_NAME}"`;
      this.#problem([...path, 'name'], `expected ${expected}, found ${describe(value)}`);
    } else if (names.has(name)) {
      this.#problem(
        [...path, 'name'],
        `another ${what} is called "${name}" too; refusals are counted by name`,
      );
    }
    names.add(name);
    return name;
  }

  #apps(value: Record<string, unknown>, path: Path): string[] {
    const apps = Object.hasOwn(value, 'apps') ? this.#names([...path, 'apps']) : [];
    for (const [index, app] of apps.entries()) {
      const wrong = appProblem(app);
      if (wrong !== undefined) this.#problem([...path, 'apps', index], `${wrong}, found ${describe(app)}`);
    }
    return apps;
  }

  #limit(value: unknown, path: Path, names: Set<string>): PolicyLimit | undefined {
    if (!this.#isMap(value, path, LIMIT_KEYS)) return undefined;
    const name = this.#name(value['name'], path, names, 'limit');
    const apps = this.#apps(value, path);
    const { primitives, operations, components } = this.#conditionsOf(value, path);
    const limit: PolicyLimit = {
      name,
      apps,
      primitives,
      operations,
      components,
      per: this.#per(value, path),
    };
    const perHour = this.#rate([...path, 'rate']);
    const burst = this.#count(value, [...path, 'burst']);
    const concurrency = this.#count(value, [...path, 'concurrency']);
    if (perHour !== undefined) {
      limit.perHour = perHour;
      // What a second gives, so that calls that come evenly, if not to the microsecond, are not refused.
      limit.burst = burst ?? Math.min(MOST_AT_ONCE, Math.max(1, Math.ceil(perHour / CALLS_PER_HOUR.s)));
    }
    if (concurrency !== undefined) limit.concurrency = concurrency;
    for (const key of ['burst', 'per'] as const)
      if (Object.hasOwn(value, key) && !Object.hasOwn(value, 'rate'))
        this.#problem([...path, key], `${key} says more about a rate, and there is none`);
    if (!Object.hasOwn(value, 'rate') && !Object.hasOwn(value, 'concurrency'))
      this.#problem(path, 'expected rate, concurrency or both, found neither');
    if (Object.hasOwn(value, 'concurrency')) this.#checkConcurrency(limit, path);
    return limit;
  }

  /** The bridge knows which component is asked, and for what; not who asked Envoy. */
  #checkConcurrency({ apps, operations }: PolicyLimit, path: Path): void {
    for (const [key, list] of Object.entries({ apps, operations })) {
      if (list.length > 0)
        this.#problem(
          [...path, key],
          `concurrency is counted by component; make a limit of its own without ${key}`,
        );
    }
  }

  #rate(path: Path): number | undefined {
    const value = valueAt(this.document.value, path);
    if (value === undefined) return undefined;
    const found = /^([1-9]\d{0,8})\/([smh])$/.exec(typeof value === 'string' ? value.trim() : '');
    const perHour = Number(found?.[1]) * CALLS_PER_HOUR[(found?.[2] ?? 's') as keyof typeof CALLS_PER_HOUR];
    if (perHour <= MOST_PER_HOUR) return perHour;
    this.#problem(
      path,
      `expected a rate such as 100/s, 600/m or 50/h, at most 1000000/s, found ${describe(value)}`,
    );
    return undefined;
  }

  #count(value: Record<string, unknown>, path: Path): number | undefined {
    const key = String(path.at(-1));
    if (!Object.hasOwn(value, key)) return undefined;
    const count = value[key];
    if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= MOST_AT_ONCE)
      return count;
    this.#problem(path, `expected a whole number from 1 to ${MOST_AT_ONCE}, found ${describe(count)}`);
    return undefined;
  }

  #per(value: Record<string, unknown>, path: Path): LimitScope[] {
    if (!Object.hasOwn(value, 'per')) return [];
    if (!Array.isArray(value['per'])) {
      const expected = `a list of ${SCOPES.join(', ')}`;
      this.#problem([...path, 'per'], `expected ${expected}, found ${describe(value['per'])}`);
      return [];
    }
    return this.#names([...path, 'per']).flatMap((name, index) => {
      const scope = SCOPES.find((known) => known === name);
      if (scope !== undefined) return [scope];
      this.#problem(
        [...path, 'per', index],
        `expected ${SCOPES.join(', ')}, found ${describe(name)}; ${hint(name, SCOPES)}`,
      );
      return [];
    });
  }

  #conditions(value: unknown, path: Path): Conditions | undefined {
    return this.#isMap(value, path, CONDITION_KEYS) ? this.#conditionsOf(value, path) : undefined;
  }

  #conditionsOf(value: Record<string, unknown>, path: Path): Conditions {
    const found: Conditions = { primitives: [], operations: [], components: [], secrets: [], topics: [] };
    for (const key of CONDITION_KEYS) if (Object.hasOwn(value, key)) found[key] = this.#names([...path, key]);
    for (const key of ['components', 'secrets', 'topics'] as const) {
      for (const [index, name] of found[key].entries()) {
        const star = name.indexOf('*');
        if (star >= 0 && star < name.length - 1)
          this.#problem([...path, key, index], `expected "*" at the end only, found ${describe(name)}`);
      }
    }
    this.#checkNames(found, path);
    return found;
  }

  /** An operation must be one of the primitives that are named beside it. */
  #checkNames({ primitives, operations, secrets, topics }: Conditions, path: Path): void {
    const known = Object.keys(this.operations);
    for (const [index, primitive] of primitives.entries()) {
      if (known.includes(primitive)) continue;
      const message = `there is no primitive ${describe(primitive)}; ${hint(primitive, known)}`;
      this.#problem([...path, 'primitives', index], message);
    }
    const about = primitives.length > 0 ? primitives : Object.keys(this.operations);
    const possible = about.flatMap((primitive) => this.operations[primitive] ?? []);
    for (const [index, operation] of operations.entries()) {
      if (possible.includes(operation)) continue;
      const where = primitives.length > 0 ? ` of ${primitives.join(', ')}` : '';
      const message = `there is no operation ${describe(operation)}${where}; ${hint(operation, possible)}`;
      this.#problem([...path, 'operations', index], message);
    }
    const needs = (key: 'secrets' | 'topics', primitive: string): void => {
      const others = primitives.filter((name) => name !== primitive);
      if (primitives.length > 0 && !primitives.includes(primitive)) {
        const message = `only calls of ${primitive} have ${key}, and this rule is about ${others.join(', ')}; add ${primitive} to primitives`;
        this.#problem([...path, key], message);
      }
    };
    if (secrets.length > 0) needs('secrets', 'secret');
    if (topics.length > 0) needs('topics', 'pubsub');
    if (secrets.length > 0 && topics.length > 0) {
      this.#problem([...path, 'topics'], 'no call has a secret and a topic; make two rules of it');
    }
  }

  /** An empty list would be about nothing or about everything, depending on who reads it. */
  #names(path: Path): string[] {
    const list = valueAt(this.document.value, path);
    const texts = Array.isArray(list)
      ? list.map((_, index) => this.document.textOf([...path, index]) ?? '')
      : [''];
    const good = texts.every((text) => text !== '' && Buffer.byteLength(text) <= LONGEST_NAME);
    if (texts.length > 0 && texts.length <= MOST_NAMES && good) return texts;
    const expected = `a list of 1 to ${MOST_NAMES} names (leave it out if it does not matter)`;
    const found = Array.isArray(list) && list.length === 0 ? 'an empty list' : describe(list);
    this.#problem(path, `expected ${expected}, found ${found}`);
    return [];
  }

  #isMap(value: unknown, path: Path, keys: readonly string[]): value is Record<string, unknown> {
    if (!isRecord(value)) {
      const empty = keys === CONDITION_KEYS ? '; {} stands for everything' : '';
      this.#problem(path, `expected a map with ${keys.join(', ')}, found ${describe(value)}${empty}`);
      return false;
    }
    for (const key of Object.keys(value))
      if (!keys.includes(key)) this.#problem([...path, key], `unknown key; ${hint(key, keys)}`);
    return true;
  }

  #problem(path: Path, message: string): void {
    this.findings.problem(this.document.file, this.document.lineOf(path), keyText(path), message);
  }
}

/** Says of components that rules or limits name and nobody has configured. */
export function noticeUnknownComponents(
  {
    components,
    callees = {},
    invoke,
    outbound,
  }: Pick<RuntimeConfig, 'components' | 'callees' | 'invoke' | 'outbound'>,
  policy: PolicyConfig,
  notice: (path: string[], message: string) => void,
): void {
  const called = [...Object.keys(callees), ...outbound.map(({ name }) => name), 'other', 'none'];
  const known = [
    ...components.map(({ primitive, name }) => ({ primitive, name })),
    ...called.map((name) => ({ primitive: 'http', name })),
    ...Object.keys(callees).map((name) => ({ primitive: 'invoke', name })),
  ];
  const look = (of: Pick<Conditions, 'primitives' | 'components'>, what: string, path: string[]): void => {
    const about = known.filter(
      ({ primitive }) => of.primitives.length === 0 || of.primitives.includes(primitive),
    );
    const names = [...new Set(about.map(({ name }) => name))];
    for (const name of of.components) {
      // In a mesh callees have the names that it knows them by; a pattern finds apps that are not named here.
      const ofMesh = of.primitives.includes('http') && name.includes('.');
      if (of.primitives.includes('invoke') && invoke?.pattern !== undefined) continue;
      if (name.endsWith('*') || names.includes(name) || ofMesh) continue;
      notice([...path, 'components'], `${what} names ${JSON.stringify(name)}; ${hint(name, names)}`);
    }
  };
  for (const [index, rule] of policy.rules.entries())
    look(rule, `the rule "${rule.name}"`, ['policy', 'rules', String(index), rule.effect]);
  for (const [index, limit] of (policy.limits ?? []).entries())
    look(limit, `the limit "${limit.name}"`, ['policy', 'limits', String(index)]);
}

/** What is wrong with one of a rule's apps. */
function appProblem(app: string): string | undefined {
  if (app.includes('://')) {
    const id = /^spiffe:\/\/([^/]+)((?:\/[A-Za-z0-9._-]+)*)(\/\*)?$/.exec(app);
    if (id !== null && TRUST_DOMAIN.test(id[1] ?? '') && `${id[2]}${id[3] ?? ''}` !== '') return undefined;
    return 'expected a SPIFFE id such as spiffe://cluster.local/ns/shop/sa/checkout, or one that ends in "/*"';
  }
  return app.includes('*') ? 'expected an app id without "*"' : appIdProblem(app);
}
