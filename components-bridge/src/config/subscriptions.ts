import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { asAppIds, asCount } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { readRule } from './routing-rules.js';
import { valueAt } from './schema.js';
import { FUNCTION_ID_FORM, isFunctionId } from './slots.js';
import { hint } from './suggest.js';
import type { RuntimeConfig, SubscriptionConfig } from './types.js';
import { parseDuration } from './units.js';

type Path = readonly PropertyKey[];

/** A subscription as a form wrote it. */
export interface DraftSubscription extends SubscriptionConfig {
  /** The apps that it is meant for; absent: any. */
  apps?: string[];
  /** Its path in the file, for messages. */
  path: Path;
  document: ConfigDocument;
}

/** What the keys of one form are called. */
interface Keys {
  form: 'native' | 'dapr';
  pubsub: string;
  known: readonly string[];
}

const NATIVE: Keys = {
  form: 'native',
  pubsub: 'pubsub',
  known: [
    ...['name', 'function', 'pubsub', 'topic', 'route', 'routes', 'metadata', 'deadLetterTopic'],
    ...['maxDeliveries', 'concurrency', 'bulk', 'apps'],
  ],
};
const DAPR: Keys = {
  form: 'dapr',
  pubsub: 'pubsubname',
  known: ['pubsubname', 'topic', 'route', 'routes', 'metadata', 'deadLetterTopic', 'bulkSubscribe'],
};

/** How many subscriptions a configuration may have. */
const MOST = 1_000;

/** Reads `subscriptions` of the native form. */
export function readNativeSubscriptions(document: ConfigDocument, findings: Findings): DraftSubscription[] {
  const path = ['subscriptions'];
  const list = valueAt(document.value, path);
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list) || list.length > MOST) {
    const found = Array.isArray(list) ? `${list.length}` : describe(list);
    const message = `expected a list of at most ${MOST} subscriptions, found ${found}`;
    findings.problem(document.file, document.lineOf(path), keyText(path), message);
    return [];
  }
  return list.flatMap((_, index): DraftSubscription[] => {
    const at = [...path, index];
    const reader = new Reader(document, at, NATIVE, findings);
    const name = document.textOf([...at, 'name']) || `subscriptions[${index}]`;
    return reader.read(name);
  });
}

/** Reads a Dapr resource of the kind Subscription; its scopes have been heeded. */
export function readDaprSubscription(document: ConfigDocument, findings: Findings): DraftSubscription[] {
  const version = valueAt(document.value, ['apiVersion']);
  if (version !== 'dapr.io/v1alpha1' && version !== 'dapr.io/v2alpha1') {
    const message = `expected dapr.io/v1alpha1 or dapr.io/v2alpha1, found ${describe(version)}`;
    findings.problem(document.file, document.lineOf(['apiVersion']), 'apiVersion', message);
  }
  const name = document.textOf(['metadata', 'name']) || 'without a name';
  return new Reader(document, ['spec'], DAPR, findings).read(name);
}

class Reader {
  #wrong = false;

  constructor(
    readonly document: ConfigDocument,
    readonly path: Path,
    readonly keys: Keys,
    readonly findings: Findings,
  ) {}

  /** None if it is wrong, which has been reported. */
  read(name: string): DraftSubscription[] {
    const value = valueAt(this.document.value, this.path);
    if (!isRecord(value)) {
      this.#problem([], `expected a map with ${this.keys.pubsub} and topic, found ${describe(value)}`);
      return [];
    }
    for (const key of Object.keys(value))
      if (!this.keys.known.includes(key)) this.#problem([key], `unknown key; ${hint(key, this.keys.known)}`);
    const pubsubName = this.#text([this.keys.pubsub], 'the name of a pub/sub component');
    const topic = this.#text(['topic'], 'the name of a topic');
    const called = this.#function(value);
    const rules = this.#rules(value, called === undefined ? '' : '/');
    const metadata = this.#metadata(value['metadata']);
    const deadLetterTopic = this.document.textOf([...this.path, 'deadLetterTopic']) || undefined;
    const maxDeliveries = this.#count(value['maxDeliveries'], ['maxDeliveries'], 1_000_000);
    const concurrency = this.#count(value['concurrency'], ['concurrency'], 1_000);
    const bulk =
      this.keys.form === 'native' ? this.#bulk(value['bulk']) : this.#bulkSubscribe(value['bulkSubscribe']);
    const apps = this.#apps(value['apps']);
    if (this.#wrong) return [];
    return [
      {
        ...{ name, pubsubName, topic, rules, metadata, form: this.keys.form },
        ...(called === undefined ? {} : { function: called }),
        origin: { file: this.document.file, line: this.document.lineOf(this.path) },
        ...(deadLetterTopic === undefined ? {} : { deadLetterTopic }),
        ...(maxDeliveries === undefined ? {} : { maxDeliveries }),
        ...(concurrency === undefined ? {} : { concurrency }),
        ...(bulk === undefined ? {} : { bulk }),
        ...(apps === undefined ? {} : { apps }),
        ...{ path: this.path, document: this.document },
      },
    ];
  }

  #problem(at: Path, message: string): void {
    this.#wrong = true;
    const path = [...this.path, ...at];
    this.findings.problem(this.document.file, this.document.lineOf(path), keyText(path), message);
  }

  #text(at: Path, what: string): string {
    const text = this.document.textOf([...this.path, ...at]);
    if (text !== undefined && text !== '' && text.length <= 256) return text;
    this.#problem(at, `expected ${what}, of at most 256 characters, found ${describe(text)}`);
    return '';
  }

  /** Whom events are for, if it is not the app. */
  #function(value: Record<string, unknown>): string | undefined {
    if (this.keys.form !== 'native' || value['function'] === undefined || value['function'] === null)
      return undefined;
    const id = this.document.textOf([...this.path, 'function']);
    if (!isFunctionId(id))
      this.#problem(['function'], `expected a function's id, ${FUNCTION_ID_FORM}; found ${describe(id)}`);
    if (value['bulk'] !== undefined && value['bulk'] !== null)
      this.#problem(['bulk'], 'a function gets its events one by one; remove bulk');
    return id;
  }

  /**
   * `route`, or `routes` with `rules` and a `default`; an app that has one place for events needs neither.
   *
   * @param usual the path of events if nothing is said of it
   */
  #rules(value: Record<string, unknown>, usual: string): SubscriptionConfig['rules'] {
    const { route, routes } = value;
    if (route !== undefined && route !== null && routes !== undefined && routes !== null) {
      this.#problem(['routes'], 'expected either route or routes, found both');
      return [];
    }
    if (routes === undefined || routes === null) {
      const path = this.document.textOf([...this.path, 'route']);
      if (route !== undefined && route !== null && !path)
        this.#problem(['route'], `expected a path, found ${describe(route)}`);
      return [{ match: '', path: withSlash(path ?? usual) }];
    }
    if (!isRecord(routes)) {
      this.#problem(['routes'], `expected a map with rules and a default, found ${describe(routes)}`);
      return [];
    }
    const list = routes['rules'] ?? [];
    if (!Array.isArray(list)) {
      this.#problem(
        ['routes', 'rules'],
        `expected a list of rules with match and path, found ${describe(list)}`,
      );
      return [];
    }
    const rules = list.map((_, index) => ({
      match: this.document.textOf([...this.path, 'routes', 'rules', index, 'match']) ?? '',
      path: withSlash(this.#text(['routes', 'rules', index, 'path'], 'the path of this rule')),
    }));
    const otherwise = this.document.textOf([...this.path, 'routes', 'default']) ?? '';
    if (otherwise !== '') rules.push({ match: '', path: withSlash(otherwise) });
    if (rules.length === 0) this.#problem(['routes'], 'expected rules or a default, found neither');
    return rules;
  }

  #metadata(value: unknown): Record<string, string> {
    if (value === undefined || value === null) return {};
    const metadata: Record<string, string> = {};
    if (!isRecord(value)) {
      this.#problem(['metadata'], `expected a map of texts, found ${describe(value)}`);
      return metadata;
    }
    for (const key of Object.keys(value)) {
      const text = this.document.textOf([...this.path, 'metadata', key]);
      if (text === undefined)
        this.#problem(['metadata', key], `expected text, found ${describe(value[key])}`);
      else metadata[key] = text;
    }
    return metadata;
  }

  #count(value: unknown, at: Path, most: number): number | undefined {
    if (value === undefined || value === null) return undefined;
    const count = asCount(value, 1, most);
    if (count === undefined)
      this.#problem(at, `expected a whole number from 1 to ${most}, found ${describe(value)}`);
    return count;
  }

  #bulk(value: unknown): SubscriptionConfig['bulk'] {
    if (value === undefined || value === null) return undefined;
    if (!isRecord(value)) {
      this.#problem(['bulk'], `expected a map with maxMessages and maxAwait, found ${describe(value)}`);
      return undefined;
    }
    for (const key of Object.keys(value))
      if (key !== 'maxMessages' && key !== 'maxAwait')
        this.#problem(['bulk', key], `unknown key; ${hint(key, ['maxMessages', 'maxAwait'])}`);
    const maxMessages = this.#count(value['maxMessages'], ['bulk', 'maxMessages'], 1_000) ?? 0;
    const written = value['maxAwait'];
    const maxAwaitMs = written === undefined || written === null ? 0 : parseDuration(written);
    if (maxAwaitMs === undefined || maxAwaitMs > 60_000) {
      const message = `expected a duration of at most 60s, such as 100ms, found ${describe(written)}`;
      this.#problem(['bulk', 'maxAwait'], message);
    }
    return { maxMessages, maxAwaitMs: maxAwaitMs ?? 0 };
  }

  #bulkSubscribe(value: unknown): SubscriptionConfig['bulk'] {
    if (!isRecord(value) || value['enabled'] !== true) return undefined;
    return {
      maxMessages:
        this.#count(value['maxMessagesCount'], ['bulkSubscribe', 'maxMessagesCount'], 1_000_000) ?? 0,
      maxAwaitMs:
        this.#count(value['maxAwaitDurationMs'], ['bulkSubscribe', 'maxAwaitDurationMs'], 3_600_000) ?? 0,
    };
  }

  #apps(value: unknown): string[] | undefined {
    if (value === undefined || value === null) return undefined;
    const apps = asAppIds(value);
    if (apps === undefined)
      this.#problem(
        ['apps'],
        `expected a list of app ids, such as [orders, billing], found ${describe(value)}`,
      );
    return apps;
  }
}

function withSlash(path: string): string {
  return path === '' || path.startsWith('/') ? path : `/${path}`;
}

/**
 * Checks subscriptions against the app and against each other, and their rules.
 *
 * @returns those that are for the app
 */
export async function checkSubscriptions(
  drafts: readonly DraftSubscription[],
  { app, components, functions }: Pick<RuntimeConfig, 'app' | 'components' | 'functions'>,
  findings: Findings,
): Promise<SubscriptionConfig[]> {
  const checked: SubscriptionConfig[] = [];
  const seen = new Map<string, SubscriptionConfig>();
  for (const { apps, path, document, ...subscription } of drafts) {
    const { name, pubsubName, topic, rules } = subscription;
    const at = (...more: PropertyKey[]): [file: string, line: number, key: string] => {
      const inner = [...path, ...more];
      return [document.file, document.lineOf(inner), keyText(inner)];
    };
    if (apps !== undefined && !apps.includes(app.id)) {
      findings.notice(...at('apps'), `"${name}" is not meant for the app "${app.id}"; it is left out`);
      continue;
    }
    const id = JSON.stringify([subscription.function, pubsubName, topic]);
    const earlier = seen.get(id)?.origin;
    if (earlier !== undefined)
      findings.problem(
        ...at(),
        `topic "${topic}" of "${pubsubName}" is subscribed to at ${earlier.file}:${earlier.line} already; keep one`,
      );
    seen.set(id, subscription);
    if (!components.some(({ primitive, name: known }) => primitive === 'pubsub' && known === pubsubName))
      findings.notice(
        ...at(),
        `there is no pub/sub component "${pubsubName}"; "${name}" waits until there is one`,
      );
    if (subscription.function !== undefined) {
      if (functions === undefined)
        findings.problem(...at('function'), 'there are no functions here; add functions.listen');
    } else if (app.port === 0)
      findings.notice(...at(), `"${name}" delivers to nobody: the app has no port (app.port)`);
    else if (app.protocol === 'http' && rules.every(({ path: route }) => route === ''))
      findings.problem(...at(), 'expected a route, because the app speaks HTTP');
    for (const [index, { match }] of rules.entries()) {
      if (match === '') continue;
      const rule = await readRule(match);
      if (typeof rule !== 'function')
        findings.problem(...at('routes', 'rules', index, 'match'), rule.problem);
    }
    checked.push(subscription);
  }
  return checked;
}
