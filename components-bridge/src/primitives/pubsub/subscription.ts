import { isDeepStrictEqual } from 'node:util';

import { metadataValue } from '../../config/types.js';
import type { Fits } from '../../config/routing-rules.js';

/** How events reach the app: Layotto's AppCallback, Dapr's, or Dapr's HTTP; and how they reach a function. */
export type Callback = 'layotto' | 'dapr-grpc' | 'dapr-http' | 'function';

/** Who has asked for a subscription: a configuration, the app when it was asked, or a stream. */
export type Origin = 'DECLARATIVE' | 'PROGRAMMATIC' | 'STREAMING';

/** Where events go that fit a rule. */
export interface Rule {
  /** The expression, as it was written; empty: every event. */
  readonly match: string;
  readonly path: string;
}

/** Many events in one call. */
export interface Bulk {
  readonly maxMessages: number;
  readonly maxAwaitMs: number;
}

/** What a subscription asks for. Two that are equal need no change. */
export interface SubscriptionSpec {
  readonly pubsubName: string;
  readonly topic: string;
  readonly callback: Callback;
  /** Id of the function that gets the events; absent: the app does. */
  readonly function?: string;
  readonly origin: Origin;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order in which they are tried; the last may have no expression. */
  readonly rules: readonly Rule[];
  /** Empty: none. */
  readonly deadLetterTopic: string;
  readonly bulk?: Bulk | undefined;
  /** Events in hand at the same time, at most. */
  readonly concurrency: number;
  /** After so many deliveries that failed an event goes to the dead letter topic, or is dropped; undefined: never. */
  readonly maxDeliveries: number | undefined;
  /** The broker's bytes are data, whatever they look like. */
  readonly raw: boolean;
}

/** A subscription whose rules were read. */
export interface Subscription extends SubscriptionSpec {
  /** Of `rules`, in their order. */
  readonly fits: readonly Fits[];
}

/** What a subscription may leave out. */
const DEFAULT_CONCURRENCY = 10;
const MOST_CONCURRENT = 1_000;
const MOST_DELIVERIES = 1_000_000;
export const DEFAULT_BULK: Bulk = { maxMessages: 100, maxAwaitMs: 1_000 };
export const MOST_IN_BULK = 1_000;
export const LONGEST_AWAIT_MS = 60_000;

/** What a subscription's metadata say to the runtime; what is wrong is left out and named. */
export function settingsOf(metadata: Readonly<Record<string, string>>): {
  settings: Pick<SubscriptionSpec, 'concurrency' | 'maxDeliveries' | 'raw' | 'deadLetterTopic'>;
  problems: string[];
} {
  const problems: string[] = [];
  const count = (key: string, most: number): number | undefined => {
    const text = metadataValue(metadata, key) ?? '';
    if (text === '') return undefined;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (value >= 1 && value <= most) return value;
    problems.push(
      `metadata ${key}: expected a whole number from 1 to ${most}, found ${JSON.stringify(text.slice(0, 100))}`,
    );
    return undefined;
  };
  const settings = {
    concurrency: count('maxConcurrentMessages', MOST_CONCURRENT) ?? DEFAULT_CONCURRENCY,
    maxDeliveries: count('maxDeliveries', MOST_DELIVERIES),
    raw: /^(true|1|t)$/i.test(metadataValue(metadata, 'rawPayload') ?? ''),
    deadLetterTopic: metadataValue(metadata, 'deadLetterTopic') ?? '',
  };
  return { settings, problems };
}

/** What no two subscriptions of an app share. */
export function idOf({ pubsubName, topic }: Pick<SubscriptionSpec, 'pubsubName' | 'topic'>): string {
  return JSON.stringify([pubsubName, topic]);
}

/** Whether two subscriptions ask for the same. */
export function sameSubscription(one: Subscription, other: Subscription): boolean {
  const { fits: _, ...a } = one;
  const { fits: __, ...b } = other;
  return isDeepStrictEqual(a, b);
}
