import { create, toBinary } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';

import * as dapr from '../../gen/dapr/proto/runtime/v1/appcallback_pb.js';
import { AppStatus } from '../app-channel.js';
import type { AppCall, AppChannel } from '../app-channel.js';
import { decode } from '../decode.js';
import { Code } from '../errors.js';
import type { Broker, IncomingMessage, Outcome } from './broker.js';
import {
  DELIVERY_MS,
  extensionsOf,
  tell,
  verdictNamed,
  verdictOf,
  verdictOfError,
  verdictOfStatus,
} from './callbacks.js';
import type { Sent, Verdict } from './callbacks.js';
import type { Deliveries, Found } from './delivery.js';
import type { Bulk, Subscription } from './subscription.js';

const TYPE = 'com.dapr.event.sent.bulk';

/** What Dapr's API has for many events, newest first: an app of an older SDK has the second only. */
const METHODS = [
  '/dapr.proto.runtime.v1.AppCallback/OnBulkTopicEvent',
  '/dapr.proto.runtime.v1.AppCallbackAlpha/OnBulkTopicEventAlpha1',
];

/** A message that waits for others. */
interface Waiting {
  readonly broker: Broker;
  readonly message: IncomingMessage;
  readonly sent: Sent;
  readonly resolve: (outcome: Outcome) => void;
}

/** By `entryId`: what the app made of it; what it does not name is delivered again. */
type Verdicts = (entryId: string) => Found | 'away';

export interface BulkDeliveryOptions {
  subscription: Subscription & { bulk: Bulk };
  deliveries: Deliveries;
  channel: AppChannel;
  /** Bytes of events in one call, about. */
  messageBytes: number;
}

/** Gathers the events of one subscription, and tells the app of many in one call. */
export class BulkDelivery {
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #methods = [...METHODS];

  constructor(private readonly options: BulkDeliveryOptions) {}

  /** One message, from the broker to its outcome. Never throws. */
  async deliver(broker: Broker, message: IncomingMessage): Promise<Outcome> {
    const { subscription, deliveries, messageBytes } = this.options;
    const sent = deliveries.open(subscription, message);
    if (sent === 'expired') return 'ack';
    if (sent === 'unrouted') return deliveries.unrouted(broker, subscription, message);
    const { maxMessages, maxAwaitMs } = subscription.bulk;
    const size = sent.event.envelope.length;
    if (this.#waiting.length > 0 && this.#bytes + size > messageBytes / 2) this.#flush();
    return new Promise((resolve) => {
      this.#waiting.push({ broker, message, sent, resolve });
      this.#bytes += size;
      if (this.#waiting.length >= maxMessages) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), maxAwaitMs);
    });
  }

  /** Tells the app of what waits now: no more comes. */
  flush(): void {
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes = 0;
    const paths = new Map<string, Waiting[]>();
    for (const one of this.#waiting.splice(0)) {
      const { path } = one.sent;
      const group = paths.get(path);
      if (group === undefined) paths.set(path, [one]);
      else group.push(one);
    }
    for (const [path, group] of paths) void this.#tell(path, group);
  }

  /** Never throws. */
  async #tell(path: string, group: readonly Waiting[]): Promise<void> {
    const { subscription, deliveries } = this.options;
    const spans = group.map(({ sent }) => deliveries.span(sent));
    // One call stands in one trace: that of the first event that has one.
    const traceparent = spans.find((span) => span !== undefined)?.traceparent;
    const entries = group.map(({ sent }) => ({ entryId: randomUUID(), sent }));
    const answer = await deliveries.attempt(subscription, () => this.#call(path, entries, traceparent));
    await Promise.all(
      group.map(async ({ broker, message, resolve }, index) => {
        const found = typeof answer === 'function' ? answer(entries[index]?.entryId ?? '') : answer;
        spans[index]?.end(found);
        if (found === 'away') resolve(deliveries.away(subscription, message));
        else resolve(await deliveries.settle(broker, subscription, message, found));
      }),
    );
  }

  /** @throws AppError */
  async #call(path: string, entries: readonly Entry[], traceparent: string | undefined): Promise<Verdicts> {
    const { subscription, channel } = this.options;
    if (subscription.callback === 'dapr-http')
      return overHttp(channel, path, subscription, entries, traceparent);
    const { topic, pubsubName } = subscription;
    const request = create(dapr.TopicEventBulkRequestSchema, {
      ...{ id: randomUUID(), topic, pubsubName, path, type: TYPE },
      entries: entries.map(grpcEntry),
    });
    const body = toBinary(dapr.TopicEventBulkRequestSchema, request);
    try {
      const answer = await this.#answer({ body, timeoutMs: DELIVERY_MS, traceparent });
      if (answer === undefined) return await this.#oneByOne(entries);
      const { statuses } = decode(dapr.TopicEventBulkResponseSchema, answer);
      const found = new Map(statuses.map(({ entryId, status }) => [entryId, verdictOf(status)]));
      return (entryId) => found.get(entryId) ?? UNNAMED;
    } catch (error) {
      const verdict = verdictOfError(error);
      return () => verdict;
    }
  }

  /** Of the app's method for many events, whichever it has; undefined: it has none. @throws AppError, AppStatus */
  async #answer(call: Omit<AppCall, 'path'>): Promise<Uint8Array | undefined> {
    for (const [index, path] of this.#methods.entries()) {
      try {
        const answer = await this.options.channel.grpc({ ...call, path });
        // The next call begins with it; an app that is another one by then may have another.
        if (index > 0) this.#methods.reverse();
        return answer;
      } catch (error) {
        if (!(error instanceof AppStatus) || error.code !== Code.UNIMPLEMENTED) throw error;
      }
    }
    return undefined;
  }

  /** An app without a method for many events gets each by itself, as many at a time as it may have in hand. */
  async #oneByOne(entries: readonly Entry[]): Promise<Verdicts> {
    const { subscription, deliveries, channel } = this.options;
    const found = new Map<string, Found | 'away'>();
    for (let first = 0; first < entries.length; first += subscription.concurrency) {
      const some = entries.slice(first, first + subscription.concurrency);
      const told = some.map(async ({ entryId, sent }) => {
        found.set(entryId, await deliveries.attempt(subscription, () => tell(channel, sent)));
      });
      await Promise.all(told);
    }
    return (entryId) => found.get(entryId) ?? UNNAMED;
  }
}

interface Entry {
  entryId: string;
  sent: Sent;
}

const UNNAMED: Verdict = { status: 'retry', why: 'the app says nothing of this event' };

async function overHttp(
  channel: AppChannel,
  path: string,
  { topic, pubsubName }: Subscription,
  entries: readonly Entry[],
  traceparent: string | undefined,
): Promise<Verdicts> {
  const body = Buffer.from(bulkJson(topic, pubsubName, entries));
  const headers = { 'content-type': 'application/json' };
  const { status, body: answer } = await channel.http({
    ...{ path, headers, body, traceparent },
    timeoutMs: DELIVERY_MS,
  });
  const refused = verdictOfStatus(status);
  if (refused !== undefined) return () => refused;
  const found = new Map<string, Verdict>();
  for (const one of statusesIn(answer)) {
    const { entryId, status: said } = (one ?? {}) as { entryId?: unknown; status?: unknown };
    if (typeof entryId === 'string') found.set(entryId, verdictNamed(typeof said === 'string' ? said : ''));
  }
  return (entryId) => found.get(entryId) ?? UNNAMED;
}

function statusesIn(answer: Buffer): unknown[] {
  try {
    const { statuses } = JSON.parse(answer.toString()) as { statuses?: unknown };
    return Array.isArray(statuses) ? statuses : [];
  } catch {
    return [];
  }
}

/** Events are JSON already. */
function bulkJson(topic: string, pubsubName: string, entries: readonly Entry[]): string {
  const head = JSON.stringify({ id: randomUUID(), type: TYPE, topic, pubsubname: pubsubName, metadata: {} });
  const written = entries.map(({ entryId, sent: { event, message } }) => {
    const { metadata } = message;
    const raw = event.wrapped;
    const contentType = raw ? event.dataContentType : 'application/cloudevents+json';
    const text = raw
      ? JSON.stringify(Buffer.from(event.data).toString('base64'))
      : Buffer.from(event.envelope).toString();
    return `{"entryId":"${entryId}","event":${text},"metadata":${JSON.stringify(metadata)},"contentType":${JSON.stringify(contentType)}}`;
  });
  return `${head.slice(0, -1)},"entries":[${written.join(',')}]}`;
}

function grpcEntry({ entryId, sent: { event, message } }: Entry): dapr.TopicEventBulkRequestEntry {
  const { id, source, type, specVersion, dataContentType, data } = event;
  const cloudEvent = {
    id,
    source,
    type,
    specVersion,
    dataContentType,
    data,
    extensions: extensionsOf(event),
  };
  return create(dapr.TopicEventBulkRequestEntrySchema, {
    ...{ entryId, metadata: { ...message.metadata } },
    ...(event.wrapped
      ? { event: { case: 'bytes' as const, value: data }, contentType: dataContentType }
      : {
          event: { case: 'cloudEvent' as const, value: create(dapr.TopicEventCERequestSchema, cloudEvent) },
          contentType: 'application/cloudevents+json',
        }),
  });
}
