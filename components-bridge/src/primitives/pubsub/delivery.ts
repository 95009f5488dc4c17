import type { Logger } from 'pino';

import { newSpanId, SpanKind } from '../../telemetry/otlp.js';
import type { SpanExporter } from '../../telemetry/otlp.js';
import { parseTraceparent } from '../../telemetry/traceparent.js';
import { AppError } from '../app-channel.js';
import { reasonOf } from '../errors.js';
import type { AppPresence } from './app-presence.js';
import { BrokerError } from './broker.js';
import type { Broker, IncomingMessage, Outcome } from './broker.js';
import type { Sent, Verdict } from './callbacks.js';
import { opened } from './envelope.js';
import type { OpenedEvent } from './envelope.js';
import type { Subscription } from './subscription.js';
import type { DeliveryStatus, Tally } from './tally.js';

/**
 * How long events in hand wait for an app that cannot be reached, in milliseconds: brokers wait longer for their
 * outcome, and an app that restarts is back before.
 */
export const HOLD_MS = 10_000;

/** An event whose app went away while it had it is tried so often before it counts as one that the app fails at. */
const MOST_BROKEN = 3;

export interface DeliveriesOptions {
  tally: Tally;
  presence: AppPresence;
  log: Logger;
  spans?: SpanExporter | undefined;
  /** Told when the app could not be reached. */
  onAway: () => void;
}

/** A verdict, and whether the connection was lost before the app could say its own. */
export interface Found extends Verdict {
  readonly broken?: boolean;
}

/** A delivery in its publisher's trace. */
export interface DeliverySpan {
  /** The delivery's place in the trace, for the app. */
  readonly traceparent: string;
  /** Tells what came of it. */
  end(found: Found | 'away'): void;
}

/** Hands an event to whoever is subscribed; `away`: nobody was there to take it. Never throws. */
export type Send = (sent: Sent) => Promise<Found | 'away'>;

/** What becomes of messages that a broker delivers: opened, routed, told, and settled by what the app says. */
export class Deliveries {
  /** Aborted when the bridge goes: then nobody waits for an app any more. */
  readonly #ending = new AbortController();

  constructor(private readonly options: DeliveriesOptions) {}

  /** Events that wait for their app do so no longer, and go back to their brokers. */
  end(): void {
    this.#ending.abort();
  }

  /** One message, from the broker to its outcome. Never throws. */
  async deliver(
    subscription: Subscription,
    broker: Broker,
    message: IncomingMessage,
    send: Send,
  ): Promise<Outcome> {
    const sent = this.open(subscription, message);
    if (sent === 'expired') return 'ack';
    if (sent === 'unrouted') return this.unrouted(broker, subscription, message);
    const span = this.span(sent);
    const found = await send({ ...sent, traceparent: span?.traceparent ?? sent.traceparent });
    span?.end(found);
    if (found === 'away') return this.away(subscription, message);
    return this.settle(broker, subscription, message, found);
  }

  /** What is to be told of a message, if it is to be told at all. What has expired is counted. */
  open(subscription: Subscription, message: IncomingMessage): Sent | 'expired' | 'unrouted' {
    const { pubsubName, topic, raw } = subscription;
    const { id, data, contentType } = message;
    const event = opened({ pubsub: pubsubName, topic, id, data, contentType, raw });
    if (event.expiresAt !== undefined && event.expiresAt <= Date.now()) {
      this.#count(subscription, 'expired', message);
      return 'expired';
    }
    const path = routeOf(subscription, event);
    if (path === undefined) return 'unrouted';
    const traceparent = parseTraceparent(event.traceparent) === undefined ? undefined : event.traceparent;
    return { subscription, message, event, path, traceparent };
  }

  /** Calls an app, again when it is back if it is away for a while. */
  async attempt<Answer>(
    { topic }: Subscription,
    call: () => Promise<Answer>,
  ): Promise<Answer | Found | 'away'> {
    const { presence, onAway, log } = this.options;
    const until = performance.now() + HOLD_MS;
    for (;;) {
      try {
        const answer = await call();
        presence.set(true);
        return answer;
      } catch (error) {
        if (!(error instanceof AppError))
          log.error({ err: error, topic }, 'a delivery failed in a way that is a bug');
        if (!(error instanceof AppError) || error.kind !== 'away')
          return { status: 'retry', why: reasonOf(error), broken: true };
        presence.set(false);
        onAway();
        const left = until - performance.now();
        if (left <= 0 || !(await presence.wait(left, this.#ending.signal))) return 'away';
      }
    }
  }

  /** An event that no rule fits. */
  unrouted(broker: Broker, subscription: Subscription, message: IncomingMessage): Promise<Outcome> {
    return this.settle(broker, subscription, message, NO_ROUTE);
  }

  /** An event whose app was away for too long: it has not been tried. */
  away(subscription: Subscription, message: IncomingMessage): Outcome {
    this.#count(subscription, 'away', message);
    return 'retry';
  }

  /** What the broker is told of an event, by what the app says. */
  async settle(
    broker: Broker,
    subscription: Subscription,
    message: IncomingMessage,
    { status, why, broken = false }: Found,
  ): Promise<Outcome> {
    if (status === 'success') {
      this.#count(subscription, 'success', message);
      return 'ack';
    }
    const { topic, pubsubName, deadLetterTopic, maxDeliveries } = subscription;
    const log = this.options.log.child({
      component: pubsubName,
      topic,
      event: message.id,
      attempt: message.attempt,
    });
    const last = maxDeliveries ?? (deadLetterTopic === '' ? Infinity : broken ? MOST_BROKEN : 1);
    if (status === 'retry' && message.attempt < last) {
      this.#count(subscription, 'retry', message);
      log.debug({ reason: why }, 'an event will be delivered again');
      return 'retry';
    }
    if (deadLetterTopic === '') {
      this.#count(subscription, 'drop', message);
      log.warn({ reason: why }, 'DROP: an event is not delivered again');
      return 'ack';
    }
    try {
      await deadLetter(broker, deadLetterTopic, message);
    } catch (error) {
      this.#count(subscription, 'retry', message);
      log.warn(
        { deadLetterTopic, reason: reasonOf(error) },
        'an event cannot be put on its dead letter topic',
      );
      return 'retry';
    }
    this.#count(subscription, 'dead_letter', message);
    log.info({ deadLetterTopic, reason: why }, 'an event was put on its dead letter topic');
    return 'ack';
  }

  #count({ pubsubName, topic }: Subscription, status: DeliveryStatus, { attempt }: IncomingMessage): void {
    this.options.tally.add(pubsubName, topic, status, attempt);
  }

  /** A span of a delivery that begins now, in its publisher's trace; undefined if that is not recorded here. */
  span(sent: Sent): DeliverySpan | undefined {
    const { spans } = this.options;
    const trace = spans === undefined ? undefined : parseTraceparent(sent.event.traceparent);
    if (spans === undefined || trace?.sampled !== true) return undefined;
    const spanId = newSpanId();
    const from = performance.now();
    const { subscription, message, event } = sent;
    return {
      traceparent: `00-${trace.traceId}-${spanId}-01`,
      end(found) {
        const status = found === 'away' ? found : found.status;
        spans.add({
          ...{ trace, spanId, from, to: performance.now() },
          kind: SpanKind.CONSUMER,
          name: `process ${subscription.topic}`,
          attributes: {
            'messaging.system': 'layotto',
            'messaging.operation.name': 'process',
            'messaging.operation.type': 'process',
            'messaging.destination.name': subscription.topic,
            'messaging.message.id': event.id,
            'layotto.component': subscription.pubsubName,
            'layotto.delivery.attempt': message.attempt,
            'layotto.delivery.status': status,
          },
          ...(status === 'success' ? {} : { error: status }),
        });
      },
    };
  }
}

const NO_ROUTE: Verdict = {
  status: 'drop',
  why: 'no rule of the subscription fits, and it has no default route',
};

/** The path of the first rule that an event fits; undefined if there is none. */
function routeOf({ rules, fits }: Subscription, { envelope }: OpenedEvent): string | undefined {
  let event: Record<string, unknown> | undefined;
  for (const [index, { match, path }] of rules.entries()) {
    if (match === '') return path;
    event ??= JSON.parse(Buffer.from(envelope).toString()) as Record<string, unknown>;
    if (fits[index]?.(event) === true) return path;
  }
  return undefined;
}

/** @throws BrokerError */
async function deadLetter(broker: Broker, topic: string, message: IncomingMessage): Promise<void> {
  const { data, contentType = '' } = message;
  const [published] = await broker.publish(topic, [{ data, contentType, metadata: {} }]);
  if (published instanceof BrokerError) throw published;
}
