import { readRule } from '../../config/routing-rules.js';
import type { Fits } from '../../config/routing-rules.js';
import type { SubscriptionConfig } from '../../config/types.js';
import type { Listed } from './app-lists.js';
import { DEFAULT_BULK, idOf, LONGEST_AWAIT_MS, MOST_IN_BULK, settingsOf } from './subscription.js';
import type { Bulk, Subscription } from './subscription.js';

/** Longest name of a component or topic, in characters. */
const LONGEST_NAME = 256;

/** What subscriptions come to. */
export interface Resolved {
  subscriptions: Map<string, Subscription>;
  /** What is left out, and why, for people. */
  problems: string[];
}

/**
 * What is subscribed to: what the configuration says, and what the app has asked for. Of two for one topic the
 * configuration's counts, else the first. What is wrong is left out and named.
 *
 * @param protocol what the app speaks
 */
export async function resolveSubscriptions(
  declared: readonly SubscriptionConfig[],
  listed: readonly Listed[],
  protocol: 'http' | 'grpc',
): Promise<Resolved> {
  const subscriptions = new Map<string, Subscription>();
  const problems: string[] = [];
  const add = (name: string, found: Subscription | string): void => {
    if (typeof found === 'string') problems.push(`${name} is left out: ${found}`);
    else if (subscriptions.has(idOf(found)))
      problems.push(`${name} is left out: there is one for this topic already`);
    else subscriptions.set(idOf(found), found);
  };
  for (const one of declared)
    add(`subscription ${one.name} (${one.origin.file}:${one.origin.line})`, await declaredOne(one, protocol));
  for (const one of listed) {
    const name = `the app's subscription to topic ${JSON.stringify(one.topic.slice(0, 100))} of pubsub ${JSON.stringify(one.pubsubName.slice(0, 100))}`;
    add(name, await listedOne(one, problems, name));
  }
  return { subscriptions, problems };
}

/** @returns what is wrong with it, if something is */
async function listedOne(one: Listed, problems: string[], name: string): Promise<Subscription | string> {
  const wrong = nameProblem(one.pubsubName, one.topic);
  if (wrong !== undefined) return wrong;
  const fits = await readRules(one.rules);
  if (typeof fits === 'string') return fits;
  const { settings, problems: ofMetadata } = settingsOf(one.metadata);
  problems.push(...ofMetadata.map((problem) => `${name}: ${problem}`));
  const { bulk, ...rest } = one;
  return {
    ...rest,
    ...settings,
    origin: 'PROGRAMMATIC',
    deadLetterTopic: one.deadLetterTopic || settings.deadLetterTopic,
    fits,
    // Layotto's API has no call for many events.
    ...(bulk === undefined || one.callback === 'layotto' ? {} : { bulk: bounded(bulk) }),
  };
}

async function declaredOne(
  one: SubscriptionConfig,
  protocol: 'http' | 'grpc',
): Promise<Subscription | string> {
  const { pubsubName, topic, metadata, rules, bulk } = one;
  const fits = await readRules(rules);
  if (typeof fits === 'string') return fits;
  const routed = rules.some(({ path }) => path !== '');
  if (protocol === 'http' && !routed) return 'it has no route, and the app speaks HTTP';
  const grpc = routed || one.form === 'dapr' ? 'dapr-grpc' : 'layotto';
  const called = protocol === 'http' ? 'dapr-http' : grpc;
  const callback = one.function === undefined ? called : 'function';
  const { settings } = settingsOf(metadata);
  return {
    ...{ pubsubName, topic, metadata, rules, fits },
    ...settings,
    ...{ origin: 'DECLARATIVE', callback },
    ...(one.function === undefined ? {} : { function: one.function }),
    deadLetterTopic: one.deadLetterTopic ?? settings.deadLetterTopic,
    concurrency: one.concurrency ?? settings.concurrency,
    maxDeliveries: one.maxDeliveries ?? settings.maxDeliveries,
    ...(bulk === undefined || callback === 'layotto' ? {} : { bulk: bounded(bulk) }),
  };
}

function nameProblem(pubsubName: string, topic: string): string | undefined {
  if (pubsubName === '') return 'it names no pubsub';
  if (topic === '') return 'it names no topic';
  if (pubsubName.length > LONGEST_NAME || topic.length > LONGEST_NAME)
    return `names have at most ${LONGEST_NAME} characters`;
  return undefined;
}

async function readRules(rules: readonly { match: string }[]): Promise<Fits[] | string> {
  const fits: Fits[] = [];
  for (const { match } of rules) {
    if (match === '') {
      fits.push(() => true);
      continue;
    }
    const rule = await readRule(match);
    if (typeof rule !== 'function') return `rule ${JSON.stringify(match.slice(0, 200))}: ${rule.problem}`;
    fits.push(rule);
  }
  return fits;
}

function bounded({ maxMessages, maxAwaitMs }: Bulk): Bulk {
  return {
    maxMessages: Math.min(maxMessages > 0 ? maxMessages : DEFAULT_BULK.maxMessages, MOST_IN_BULK),
    maxAwaitMs: Math.min(maxAwaitMs > 0 ? maxAwaitMs : DEFAULT_BULK.maxAwaitMs, LONGEST_AWAIT_MS),
  };
}
