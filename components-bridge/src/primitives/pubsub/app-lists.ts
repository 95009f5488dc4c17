import { fromBinary } from '@bufbuild/protobuf';

import * as dapr from '../../gen/dapr/proto/runtime/v1/appcallback_pb.js';
import * as layotto from '../../gen/spec/proto/runtime/v1/appcallback_pb.js';
import { AppError, AppStatus } from '../app-channel.js';
import type { AppChannel } from '../app-channel.js';
import { Code, reasonOf } from '../errors.js';
import type { Callback, Rule } from './subscription.js';

/** How long the app may take to say what it subscribes to. */
const ASK_MS = 5_000;

/** Subscriptions of one app. */
const MOST_LISTED = 1_000;

/** What an app has asked for, before it is checked. */
export interface Listed {
  callback: Callback;
  pubsubName: string;
  topic: string;
  metadata: Record<string, string>;
  rules: Rule[];
  deadLetterTopic: string;
  bulk?: { maxMessages: number; maxAwaitMs: number };
}

/** What came of asking the app. */
export interface Answer {
  /** What it subscribes to; undefined if it did not say, so that what it said before holds. */
  listed?: Listed[];
  /** Whether it could be reached. */
  here: boolean;
  /** Entries and answers that are no good, for people. */
  problems: string[];
}

/** Asks the app what it subscribes to, in every API that it may have. Never throws. */
export async function askApp(channel: AppChannel): Promise<Answer> {
  const asked =
    channel.app.protocol === 'http' ? [askHttp(channel)] : [askLayotto(channel), askDapr(channel)];
  const answers = await Promise.all(asked);
  const problems = answers.flatMap((answer) => answer.problems);
  const here = answers.every((answer) => answer.here);
  if (!here || answers.some(({ listed }) => listed === undefined)) return { here, problems };
  const listed = answers.flatMap((answer) => answer.listed ?? []);
  if (listed.length > MOST_LISTED)
    problems.push(`the app has ${listed.length} subscriptions; only the first ${MOST_LISTED} are taken`);
  return { here, listed: listed.slice(0, MOST_LISTED), problems };
}

async function askLayotto(channel: AppChannel): Promise<Answer> {
  return asking('Layotto', async () => {
    const bytes = await list(channel, 'spec.proto.runtime.v1');
    const { subscriptions } = fromBinary(layotto.ListTopicSubscriptionsResponseSchema, bytes);
    const rules = [{ match: '', path: '' }];
    return subscriptions.map(({ pubsubName, topic, metadata }) => {
      return { callback: 'layotto', pubsubName, topic, metadata, rules, deadLetterTopic: '' };
    });
  });
}

async function askDapr(channel: AppChannel): Promise<Answer> {
  return asking('Dapr', async () => {
    const bytes = await list(channel, 'dapr.proto.runtime.v1');
    const { subscriptions } = fromBinary(dapr.ListTopicSubscriptionsResponseSchema, bytes);
    return subscriptions.map((one) => {
      const { pubsubName, topic, metadata, deadLetterTopic, bulkSubscribe: bulk } = one;
      // An app needs no path where it has but one place for events.
      const rules = rulesOf(one.routes?.rules ?? [], one.routes?.default ?? '');
      if (rules.length === 0) rules.push({ match: '', path: '' });
      return {
        ...{ callback: 'dapr-grpc', pubsubName, topic, metadata, rules, deadLetterTopic },
        ...(bulk?.enabled === true
          ? { bulk: { maxMessages: bulk.maxMessagesCount, maxAwaitMs: bulk.maxAwaitDurationMs } }
          : {}),
      };
    });
  });
}

function list(channel: AppChannel, service: string): Promise<Uint8Array> {
  const path = `/${service}.AppCallback/ListTopicSubscriptions`;
  return channel.grpc({ path, body: new Uint8Array(0), timeoutMs: ASK_MS });
}

async function asking(api: string, ask: () => Promise<Listed[]>): Promise<Answer> {
  try {
    return { here: true, listed: await ask(), problems: [] };
  } catch (error) {
    if (error instanceof AppError && error.kind === 'away') return { here: false, problems: [] };
    if (error instanceof AppStatus && error.code === Code.UNIMPLEMENTED)
      return { here: true, listed: [], problems: [] };
    const why = `the app does not say what it subscribes to by ${api}'s AppCallback: ${reasonOf(error)}`;
    return { here: true, problems: [why.slice(0, 500)] };
  }
}

async function askHttp(channel: AppChannel): Promise<Answer> {
  try {
    const call = { method: 'GET', path: '/dapr/subscribe', body: new Uint8Array(0), timeoutMs: ASK_MS };
    const { status, body } = await channel.http(call);
    if (status === 404) return { here: true, listed: [], problems: [] };
    if (status !== 200) throw new Error(`status ${status}`);
    return { here: true, ...readList(JSON.parse(body.toString()) as unknown) };
  } catch (error) {
    if (error instanceof AppError && error.kind === 'away') return { here: false, problems: [] };
    const why = `the app does not say what it subscribes to at /dapr/subscribe: ${reasonOf(error)}`;
    return { here: true, problems: [why.slice(0, 500)] };
  }
}

/** What stands at `/dapr/subscribe`. */
function readList(value: unknown): { listed: Listed[]; problems: string[] } {
  if (value === null) return { listed: [], problems: [] };
  if (!Array.isArray(value)) throw new Error('expected a list of subscriptions in JSON');
  const problems: string[] = [];
  const listed = value.flatMap((entry: unknown, index): Listed[] => {
    const one = recordIn(entry);
    const pubsubName = textIn(one['pubsubname'] ?? one['pubsubName']);
    const topic = textIn(one['topic']);
    const routes = recordIn(one['routes']);
    const written = Array.isArray(routes['rules']) ? routes['rules'].map(recordIn) : [];
    const given = written.map(({ match, path }) => ({ match: textIn(match), path: textIn(path) }));
    const rules = rulesOf(given, textIn(routes['default']) || textIn(one['route']));
    const name = `subscription ${index} (pubsub ${JSON.stringify(pubsubName)}, topic ${JSON.stringify(topic)})`;
    if (rules.length === 0) {
      problems.push(`${name} at /dapr/subscribe has no route; it is left out`);
      return [];
    }
    const bulk = recordIn(one['bulkSubscribe']);
    return [
      {
        callback: 'dapr-http',
        pubsubName,
        topic,
        metadata: textsIn(one['metadata']),
        rules: rules.map(({ match, path }) => ({ match, path: path.startsWith('/') ? path : `/${path}` })),
        deadLetterTopic: textIn(one['deadLetterTopic']),
        ...(bulk['enabled'] === true
          ? {
              bulk: {
                maxMessages: numberIn(bulk['maxMessagesCount']),
                maxAwaitMs: numberIn(bulk['maxAwaitDurationMs']),
              },
            }
          : {}),
      },
    ];
  });
  return { listed, problems };
}

/** Rules in the order in which they are tried: the default comes last. Rules without a path lead nowhere. */
function rulesOf(rules: readonly Rule[], otherwise: string): Rule[] {
  const given = rules.filter(({ path }) => path !== '').map(({ match, path }) => ({ match, path }));
  return otherwise === '' ? given : [...given, { match: '', path: otherwise }];
}

function recordIn(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function numberIn(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/** Metadata: numbers and switches as they are written. */
function textsIn(value: unknown): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [key, inner] of Object.entries(recordIn(value))) {
    if (typeof inner === 'string') texts[key] = inner;
    else if (typeof inner === 'number' || typeof inner === 'boolean') texts[key] = String(inner);
  }
  return texts;
}
