import { DEFAULT_TRUST_DOMAIN } from '../policy/compile.js';
import { OPERATIONS } from '../policy/operations.js';
import type { Conditions, Effect, PolicyConfig, PolicyRule } from '../policy/types.js';
import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { appIdProblem } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { valueAt } from './schema.js';
import { hint } from './suggest.js';
import type { ComponentConfig } from './types.js';

type Path = readonly PropertyKey[];

const KEYS = ['default', 'trustDomain', 'rules'] as const;
const RULE_KEYS = ['name', 'apps', 'allow', 'deny'] as const;
const CONDITION_KEYS = [
  'primitives',
  'operations',
  'components',
  'secrets',
  'topics',
] as const satisfies readonly (keyof Conditions)[];

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
 */
export function readPolicy(document: ConfigDocument, findings: Findings): PolicyConfig | undefined {
  const path = ['policy'];
  const value = valueAt(document.value, path);
  if (value === undefined || value === null) return undefined;
  return new PolicyReader(document, findings).policy(value, path);
}

class PolicyReader {
  constructor(
    private readonly document: ConfigDocument,
    private readonly findings: Findings,
  ) {}

  policy(value: unknown, path: Path): PolicyConfig | undefined {
    if (!this.#isMap(value, path, KEYS)) return undefined;
    const written = value['rules'];
    const list = written ?? [];
    if (!Array.isArray(list)) {
      this.#problem([...path, 'rules'], `expected a list of rules, found ${describe(list)}`);
      return undefined;
    }
    if (list.length > MOST_RULES) {
      this.#problem([...path, 'rules'], `expected at most ${MOST_RULES} rules, found ${list.length}`);
      return undefined;
    }
    const names = new Set<string>();
    const rules = list.flatMap((item, index) => this.#rule(item, [...path, 'rules', index], names) ?? []);
    const base = this.#default(value['default'], [...path, 'default'], rules);
    return { default: base, trustDomain: this.#trustDomain([...path, 'trustDomain']), rules };
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
    const name = this.document.textOf([...path, 'name']) ?? '';
    if (!RULE_NAME.test(name) || name === DEFAULT_NAME) {
      const expected = `a name of its own of 1 to 64 letters, digits, ".", "_" and "-", and not "${DEFAULT_NAME}"`;
      this.#problem([...path, 'name'], `expected ${expected}, found ${describe(value['name'])}`);
    } else if (names.has(name)) {
      this.#problem([...path, 'name'], `another rule is called "${name}" too; denials are counted by name`);
    }
    names.add(name);
    const effects = (['allow', 'deny'] as const).filter((effect) => Object.hasOwn(value, effect));
    const [effect, second] = effects;
    if (effect === undefined || second !== undefined) {
      this.#problem(
        path,
        `expected either allow or deny, found ${second === undefined ? 'neither' : 'both'}`,
      );
      return undefined;
    }
    const apps = Object.hasOwn(value, 'apps') ? this.#names([...path, 'apps']) : [];
    for (const [index, app] of apps.entries()) {
      const wrong = appProblem(app);
      if (wrong !== undefined) this.#problem([...path, 'apps', index], `${wrong}, found ${describe(app)}`);
    }
    const conditions = this.#conditions(value[effect], [...path, effect]);
    return conditions === undefined ? undefined : { name, effect, apps, ...conditions };
  }

  #conditions(value: unknown, path: Path): Conditions | undefined {
    if (!this.#isMap(value, path, CONDITION_KEYS)) return undefined;
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
    const known = [...Object.keys(OPERATIONS), ...LATER];
    for (const [index, primitive] of primitives.entries()) {
      if (known.includes(primitive)) continue;
      const message = `there is no primitive ${describe(primitive)}; ${hint(primitive, known)}`;
      this.#problem([...path, 'primitives', index], message);
    }
    const about = primitives.length > 0 ? primitives : Object.keys(OPERATIONS);
    const possible = about.flatMap((primitive) => OPERATIONS[primitive] ?? []);
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

/** Primitives that rules may name although nothing serves them yet. */
const LATER = ['pubsub'];

/** Says of components that rules name and nobody has configured. */
export function noticeUnknownComponents(
  policy: PolicyConfig,
  components: readonly ComponentConfig[],
  notice: (path: string[], message: string) => void,
): void {
  for (const [index, rule] of policy.rules.entries()) {
    const about = components.filter(
      ({ primitive }) => rule.primitives.length === 0 || rule.primitives.includes(primitive),
    );
    const names = [...new Set(about.map(({ name }) => name))];
    for (const name of rule.components) {
      if (name.endsWith('*') || names.includes(name)) continue;
      const path = ['policy', 'rules', String(index), rule.effect, 'components'];
      notice(path, `the rule "${rule.name}" names ${JSON.stringify(name)}; ${hint(name, names)}`);
    }
  }
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
