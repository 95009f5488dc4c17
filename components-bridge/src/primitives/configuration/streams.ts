import { create, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';

import * as dapr from '../../gen/dapr/proto/runtime/v1/configuration_pb.js';
import * as pb from '../../gen/layotto/bridge/v1/configuration_pb.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { ComponentRegistry } from '../registry.js';
import type { MessageStream, StreamHandler, StreamSubject } from '../stream.js';
import { itemMessage } from './encode.js';
import { Outbox } from './outbox.js';
import { canonical, checkKeys } from './query.js';
import type { Asked } from './query.js';
import type { Change, Follower } from './watched-query.js';
import type { Following, Watches } from './watches.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime/';
const DAPR = '/dapr.proto.runtime.v1.Dapr/';

/** Subscriptions on one stream. */
export const MOST_SUBSCRIPTIONS = 1_000;

export interface ConfigurationStreamsOptions {
  registry: ComponentRegistry;
  watches: Watches;
}

/** A subscription of Layotto's, as its pushes name it. */
type Subject = Pick<pb.SubscribeConfigurationRequest, 'storeName' | 'appId'>;

/** Whose subscriptions are known by ids. */
export interface KnownById {
  /** Ends one. @returns false if there is none of that store and id */
  unsubscribe(storeName: string, id: string): boolean;
}

/** Subscriptions as streams, as Layotto's and Dapr's APIs have them. */
export class ConfigurationStreams implements KnownById {
  readonly handlers: ReadonlyMap<string, StreamHandler> = new Map<string, StreamHandler>([
    [`${LAYOTTO}SubscribeConfiguration`, (stream) => this.#layotto(stream)],
    [`${DAPR}SubscribeConfiguration`, (stream) => this.#dapr(stream)],
    [`${DAPR}SubscribeConfigurationAlpha1`, (stream) => this.#dapr(stream)],
  ]);
  /** Dapr's subscriptions by id: what ends each. */
  readonly #ends = new Map<string, { storeName: string; end: () => void }>();

  constructor(private readonly options: ConfigurationStreamsOptions) {}

  unsubscribe(storeName: string, id: string): boolean {
    const found = this.#ends.get(id);
    if (found?.storeName !== storeName) return false;
    found.end();
    return true;
  }

  /** Many subscriptions on one stream; a push for each change, none for what is there at the beginning. */
  async #layotto(stream: MessageStream): Promise<void> {
    const outbox = outboxOf<Subject>(stream);
    const followings = new Map<string, Following>();
    this.#readSubscriptions(stream, outbox, followings).catch((error: unknown) => outbox.fail(error));
    try {
      for (;;) {
        const [{ storeName, appId }, changes] = await outbox.next();
        const items = changes.map(itemOfLayotto);
        const response = create(pb.SubscribeConfigurationResponseSchema, { storeName, appId, items });
        await stream.send(toBinary(pb.SubscribeConfigurationResponseSchema, response));
      }
    } finally {
      outbox.fail(new OperationError(Code.CANCELLED, 'the stream is over'));
      for (const following of followings.values()) following.close();
    }
  }

  /** Reads to the end of what the caller sends; his subscriptions last as long as the stream. */
  async #readSubscriptions(
    stream: MessageStream,
    outbox: Outbox<Subject>,
    followings: Map<string, Following>,
  ): Promise<void> {
    for (;;) {
      const payload = await stream.read();
      if (payload === undefined) return;
      const request = decode(pb.SubscribeConfigurationRequestSchema, payload);
      const { storeName, appId } = request;
      stream.admit(subscribing(storeName));
      this.#check(storeName, request.keys, `configure store [${storeName}] don't support now`);
      const id = JSON.stringify([storeName, canonical(request)]);
      if (followings.has(id)) continue;
      if (followings.size === MOST_SUBSCRIPTIONS) {
        const message = `this stream has ${MOST_SUBSCRIPTIONS} subscriptions, no more are taken; open another`;
        throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
      }
      const subject: Subject = { storeName, appId };
      followings.set(id, this.#follow(storeName, request, subject, outbox));
    }
  }

  /** One subscription: its id, then a message for each change. */
  async #dapr(stream: MessageStream): Promise<void> {
    const payload = await stream.read();
    if (payload === undefined)
      throw new OperationError(Code.INVALID_ARGUMENT, 'the request holds no message');
    const { storeName, keys, metadata } = decode(dapr.SubscribeConfigurationRequestSchema, payload);
    stream.admit(subscribing(storeName));
    this.#check(storeName, keys, `configuration store ${storeName} not found`);
    const id = randomUUID();
    const outbox = outboxOf<null>(stream);
    const asked: Asked = { appId: '', group: '', label: '', keys, metadata };
    const following = this.#follow(storeName, asked, null, outbox);
    const over = new OperationError(Code.CANCELLED, 'unsubscribed');
    this.#ends.set(id, { storeName, end: () => outbox.fail(over) });
    const send = (changes: readonly Change[]): Promise<void> => {
      const items = changes.map(entryOfDapr);
      const response = create(dapr.SubscribeConfigurationResponseSchema, { id, items });
      return stream.send(toBinary(dapr.SubscribeConfigurationResponseSchema, response));
    };
    try {
      // Who has the id misses nothing from then on.
      await following.query.firstTry;
      await send([]);
      for (;;) await send((await outbox.next())[1]);
    } catch (error) {
      if (error !== over) throw error;
    } finally {
      this.#ends.delete(id);
      outbox.fail(over);
      following.close();
    }
  }

  #check(storeName: string, keys: readonly string[], unknown: string): void {
    if (this.options.registry.find('configuration', storeName) === undefined) {
      throw new OperationError(Code.INVALID_ARGUMENT, unknown);
    }
    checkKeys(keys);
  }

  #follow<S>(
    storeName: string,
    { appId, group, label, keys, metadata }: Asked,
    subject: S,
    outbox: Outbox<S>,
  ): Following {
    const follower: Follower = {
      changed: (changes) => outbox.put(subject, changes),
      ended: (reason) => outbox.fail(new OperationError(Code.FAILED_PRECONDITION, reason)),
    };
    return this.options.watches.follow(storeName, { appId, group, label, keys, metadata }, follower);
  }
}

/** What the policy is asked. */
function subscribing(component: string): StreamSubject {
  return { primitive: 'configuration', operation: 'SubscribeConfiguration', component };
}

/** An outbox that ends with its stream. */
function outboxOf<Subject>({ signal, leaving }: MessageStream): Outbox<Subject> {
  const outbox = new Outbox<Subject>();
  const gone = (): void => outbox.fail(signal.reason);
  const left = (): void =>
    outbox.fail(new OperationError(Code.UNAVAILABLE, 'the bridge is shutting down; subscribe again'));
  if (signal.aborted) gone();
  if (leaving.aborted) left();
  signal.addEventListener('abort', gone, { once: true });
  leaving.addEventListener('abort', left, { once: true, signal });
  return outbox;
}

/** A deleted item has no content. */
function itemOfLayotto({ item, deleted }: Change): pb.ConfigurationItem {
  if (!deleted) return itemMessage(item);
  const { key, group, label } = item;
  return create(pb.ConfigurationItemSchema, { key, group, label });
}

/** What Dapr says of an item; nothing if it was deleted. */
export function daprItem({ item, deleted }: Change): MessageInitShape<typeof dapr.ConfigurationItemSchema> {
  const { content, version, metadata } = item;
  return deleted ? {} : { value: content, version, metadata: { ...metadata } };
}

function entryOfDapr({ item, deleted }: Change): dapr.ConfigurationEntry {
  return create(dapr.ConfigurationEntrySchema, { key: item.key, value: daprItem({ item, deleted }) });
}
