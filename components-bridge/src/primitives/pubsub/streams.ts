import { create, toBinary } from '@bufbuild/protobuf';
import type { Logger } from 'pino';

import * as dapr from '../../gen/dapr/proto/runtime/v1/appcallback_pb.js';
import * as layotto from '../../gen/spec/proto/runtime/v1/appcallback_pb.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { ComponentRegistry } from '../registry.js';
import type { MessageStream, StreamHandler } from '../stream.js';
import { daprEvent, layottoEvent, verdictOf } from './callbacks.js';
import type { Sent } from './callbacks.js';
import type { Deliveries, Found } from './delivery.js';
import { Feed } from './feed.js';
import { idOf, settingsOf } from './subscription.js';
import type { Subscription, SubscriptionSpec } from './subscription.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime/SubscribeTopicEvents';
const DAPR = '/dapr.proto.runtime.v1.Dapr/SubscribeTopicEventsAlpha1';

export interface EventStreamsOptions {
  registry: ComponentRegistry;
  deliveries: Deliveries;
  log: Logger;
  /** Told when `list` has changed. */
  onChange?: (() => void) | undefined;
}

/** Subscriptions as streams, as Layotto's and Dapr's APIs have them. */
export class EventStreams {
  readonly handlers: ReadonlyMap<string, StreamHandler> = new Map<string, StreamHandler>([
    [LAYOTTO, (stream) => this.#serve(stream, 'layotto')],
    [DAPR, (stream) => this.#serve(stream, 'dapr-grpc')],
  ]);
  readonly #open = new Set<Subscription>();

  constructor(private readonly options: EventStreamsOptions) {}

  /** What is subscribed to now. */
  get list(): SubscriptionSpec[] {
    return [...this.#open];
  }

  async #serve(stream: MessageStream, callback: 'layotto' | 'dapr-grpc'): Promise<void> {
    const { registry, log } = this.options;
    const subscription = subscriptionOf(await initialOf(stream), callback);
    const { pubsubName, topic } = subscription;
    stream.admit({
      primitive: 'pubsub',
      operation: 'SubscribeTopicEvents',
      component: pubsubName,
      name: topic,
    });
    this.#check(subscription);
    const events = new EventStream(stream, subscription);
    const feed = new Feed({
      registry,
      subscription,
      concurrency: subscription.concurrency,
      log,
      receive: (broker, message) =>
        this.options.deliveries.deliver(subscription, broker, message, (sent) => events.tell(sent)),
    });
    const forget = registry.onChange((primitive, name) => {
      if (primitive === 'pubsub' && name === pubsubName && registry.find(primitive, name) === undefined)
        events.fail(new OperationError(Code.FAILED_PRECONDITION, `pubsub ${name} was removed`));
    });
    const leaving = (): void => {
      // What the app has in hand it may still settle.
      void feed.close().then(() => events.fail(new OperationError(Code.UNAVAILABLE, LEAVING)));
    };
    stream.leaving.addEventListener('abort', leaving, { once: true, signal: stream.signal });
    this.#open.add(subscription);
    this.options.onChange?.();
    try {
      if (stream.leaving.aborted) throw new OperationError(Code.UNAVAILABLE, LEAVING);
      feed.active = true;
      await Promise.race([feed.opened, events.failed, aborted(stream)]);
      await events.begin();
      await Promise.race([events.read(), events.failed]);
    } finally {
      stream.leaving.removeEventListener('abort', leaving);
      forget();
      this.#open.delete(subscription);
      this.options.onChange?.();
      events.end();
      await feed.close();
    }
  }

  /** @throws OperationError */
  #check(subscription: Subscription): void {
    const { pubsubName, topic, callback } = subscription;
    const slot = this.options.registry.find('pubsub', pubsubName);
    const layotto = callback === 'layotto';
    if (slot === undefined) {
      const text = layotto ? `pubsub ${pubsubName} is not initialized.` : `pubsub ${pubsubName} is not found`;
      throw new OperationError(layotto ? Code.UNKNOWN : Code.INVALID_ARGUMENT, text);
    }
    const same = [...this.#open].some(
      (other) => other.callback === callback && idOf(other) === idOf(subscription),
    );
    if (layotto && same) {
      const text = `already subscribed to pubsub ${JSON.stringify(pubsubName)} topic ${JSON.stringify(topic)}`;
      throw new OperationError(Code.UNKNOWN, text);
    }
    if (slot.instance === undefined)
      throw new OperationError(Code.UNAVAILABLE, `pubsub ${pubsubName} is not ready: ${slot.reason}`);
  }
}

const LEAVING = 'the bridge is shutting down; subscribe again';

/** What the caller subscribes to. @throws OperationError in the words of both APIs */
async function initialOf(stream: MessageStream): Promise<layotto.SubscribeTopicEventsRequestInitial> {
  const payload = await stream.read();
  const { request } =
    payload === undefined
      ? { request: { case: undefined } }
      : decode(layotto.SubscribeTopicEventsRequestSchema, payload);
  if (request.case !== 'initialRequest')
    throw new OperationError(Code.UNKNOWN, 'initial request is required');
  if (request.value.pubsubName === '') throw new OperationError(Code.UNKNOWN, 'pubsubName is required');
  if (request.value.topic === '') throw new OperationError(Code.UNKNOWN, 'topic is required');
  return request.value;
}

function subscriptionOf(
  { pubsubName, topic, metadata, deadLetterTopic }: layotto.SubscribeTopicEventsRequestInitial,
  callback: 'layotto' | 'dapr-grpc',
): Subscription {
  const { settings, problems } = settingsOf(metadata);
  const [problem] = problems;
  if (problem !== undefined) throw new OperationError(Code.INVALID_ARGUMENT, problem);
  return {
    ...{ pubsubName, topic, callback, metadata },
    ...settings,
    origin: 'STREAMING',
    rules: [{ match: '', path: '' }],
    fits: [() => true],
    deadLetterTopic: deadLetterTopic ?? settings.deadLetterTopic,
  };
}

/** The events on one stream: told one after the other, settled in any order. */
class EventStream {
  /** Whoever waits for the outcome of an event, by its id: two may have the same. */
  readonly #waiting = new Map<string, ((found: Found | 'away') => void)[]>();
  #onBegun: () => void = () => undefined;
  /** Messages leave one after the other, the first one first. */
  #sending = new Promise<void>((resolve) => (this.#onBegun = resolve));
  #over = false;
  #onFailed: (error: OperationError) => void = () => undefined;
  /** Rejects when the stream should end. */
  readonly failed = new Promise<never>((_, reject) => (this.#onFailed = reject));

  constructor(
    private readonly stream: MessageStream,
    private readonly subscription: Subscription,
  ) {
    // It may fail when nobody waits any more.
    this.failed.catch(() => undefined);
  }

  /** Says that the subscription holds; events follow. */
  async begin(): Promise<void> {
    await this.stream.send(this.#first());
    this.#onBegun();
  }

  /** Reads what becomes of events, until the caller has said his last word. @throws OperationError */
  async read(): Promise<void> {
    for (;;) {
      const payload = await this.stream.read();
      if (payload === undefined) return;
      const { request } = decode(layotto.SubscribeTopicEventsRequestSchema, payload);
      if (request.case === 'initialRequest')
        throw new OperationError(Code.UNKNOWN, 'duplicate initial request received');
      if (request.case !== 'eventProcessed') continue;
      const { id, status } = request.value;
      this.#settle(id, verdictOf(status?.status ?? 0));
    }
  }

  /** One event; resolves when the caller has settled it. */
  tell(sent: Sent): Promise<Found | 'away'> {
    if (this.#over) return Promise.resolve('away');
    const { id } = sent.event;
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) this.#waiting.set(id, [resolve]);
      else waiting.push(resolve);
      this.#sending = this.#sending.then(async () => {
        if (this.#over) return;
        try {
          await this.stream.send(this.#encoded(sent));
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          this.#settle(id, this.stream.signal.aborted ? 'away' : { status: 'retry', why });
        }
      });
    });
  }

  fail(error: OperationError): void {
    this.#onFailed(error);
  }

  /** Nobody settles anything any more. */
  end(): void {
    this.#over = true;
    this.#onBegun();
    for (const waiting of this.#waiting.values()) for (const resolve of waiting) resolve('away');
    this.#waiting.clear();
  }

  #settle(id: string, found: Found | 'away'): void {
    const waiting = this.#waiting.get(id);
    waiting?.shift()?.(found);
    if (waiting?.length === 0) this.#waiting.delete(id);
  }

  #first(): Uint8Array {
    if (this.subscription.callback === 'layotto') {
      const schema = layotto.SubscribeTopicEventsResponseSchema;
      return toBinary(schema, create(schema, { response: { case: 'initialResponse', value: {} } }));
    }
    const schema = dapr.SubscribeTopicEventsResponseAlpha1Schema;
    return toBinary(schema, create(schema, { response: { case: 'initialResponse', value: {} } }));
  }

  #encoded({ subscription, message, event }: Sent): Uint8Array {
    if (subscription.callback === 'layotto') {
      const schema = layotto.SubscribeTopicEventsResponseSchema;
      const value = layottoEvent(subscription, message, event);
      return toBinary(schema, create(schema, { response: { case: 'eventMessage', value } }));
    }
    const schema = dapr.SubscribeTopicEventsResponseAlpha1Schema;
    const value = daprEvent(subscription, event, '');
    return toBinary(schema, create(schema, { response: { case: 'eventMessage', value } }));
  }
}

/** Rejects when nobody waits for the stream any more. */
function aborted({ signal }: MessageStream): Promise<never> {
  return new Promise((_, reject) => {
    const gone = (): void => reject(signal.reason as Error);
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
  });
}
