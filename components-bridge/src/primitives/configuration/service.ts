import { create, toBinary } from '@bufbuild/protobuf';
import type { Logger } from 'pino';

import { answerStaleness } from '../../config/answer-in-envoy.js';
import * as pb from '../../gen/layotto/bridge/v1/configuration_pb.js';
import type { AppCaller } from '../app-channel.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import type { StreamHandler } from '../stream.js';
import { AppCalls } from './app-calls.js';
import { encodeItems } from './encode.js';
import type { LiveAnswers } from './live.js';
import { ConfigurationStreams } from './streams.js';
import type { Watches } from './watches.js';
import { checkKeys, inOrder, orDefault, queryFor } from './query.js';
import { ANY, ConfigurationError } from './store.js';
import type { ConfigurationStore } from './store.js';

export interface ConfigurationServiceOptions {
  registry: ComponentRegistry;
  /** Counts what stores are asked; by default for nobody. */
  backends?: Backends;
  /** Largest message. */
  messageBytes: number;
  /** The app that the runtime serves. */
  appId: string;
  /** By which the app of a pod is called for its subscriptions; by default it is not. */
  callerOf?: (pod: string) => AppCaller | undefined;
  log: Logger;
  /** What subscriptions follow. */
  watches: Watches;
  /** What Envoy answers by itself; undefined: nothing. */
  live?: LiveAnswers;
}

/** Items that one call may write. */
const MOST_ITEMS = 1_000;

/** What a store is asked to do, as metrics and traces name it. */
type Asking = 'get' | 'save' | 'delete';

/** The configuration primitive. */
export class ConfigurationService implements Service {
  readonly name = pb.Configuration.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #backends: Backends;
  readonly #streams: ConfigurationStreams;
  readonly #appCalls: AppCalls;

  constructor(private readonly options: ConfigurationServiceOptions) {
    const { watches, log, callerOf = () => undefined } = options;
    this.#streams = new ConfigurationStreams(options);
    this.#appCalls = new AppCalls({ watches, log, callerOf });
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/GetConfiguration`, (payload, call) => this.#get(payload, call)],
      [`${this.name}/SaveConfiguration`, (payload, call) => this.#save(payload, call)],
      [`${this.name}/DeleteConfiguration`, (payload, call) => this.#delete(payload, call)],
      [`${this.name}/CallApp`, (payload, call) => this.#callApp(payload, call)],
      [`${this.name}/UnsubscribeConfiguration`, (payload) => this.#unsubscribe(payload)],
    ]);
  }

  get streams(): ReadonlyMap<string, StreamHandler> {
    return this.#streams.handlers;
  }

  async #get(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.GetConfigurationRequestSchema, payload);
    const slot = this.#slot(request.storeName, 'get');
    checkKeys(request.keys);
    if (answerStaleness(slot.config) !== undefined) this.options.live?.touch(slot.config, payload, request);
    const { appId, messageBytes } = this.options;
    const items = await this.#run(call, slot, 'get', (store) => store.get(queryFor(store, request, appId)));
    const response = encodeItems(inOrder(items));
    if (response.length > messageBytes) {
      const limit = `the limit of ${messageBytes} bytes (limits.message)`;
      const message = `the ${items.length} items together exceed ${limit}; ask for fewer keys`;
      throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
    }
    return response;
  }

  async #save(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, appId, items, metadata } = decode(pb.SaveConfigurationRequestSchema, payload);
    const slot = this.#slot(storeName, 'save');
    if (items.length > MOST_ITEMS) {
      const message = `${items.length} items are given, at most ${MOST_ITEMS} can be saved at once; save them in parts`;
      throw new OperationError(Code.INVALID_ARGUMENT, message);
    }
    for (const { key, group, label } of items) checkPlace(key, group, label);
    await this.#write(call, slot, 'save', (store) => {
      const { defaults } = store;
      const writes = items.map(({ key, content, group, label, tags, metadata: said }) => {
        const place = { group: orDefault(group, defaults.group), label: orDefault(label, defaults.label) };
        return { key, content, ...place, tags, metadata: said };
      });
      return store.save(this.#appIdOr(appId), writes, metadata);
    });
    return toBinary(pb.SaveConfigurationResponseSchema, create(pb.SaveConfigurationResponseSchema));
  }

  async #delete(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const request = decode(pb.DeleteConfigurationRequestSchema, payload);
    const slot = this.#slot(request.storeName, 'delete');
    checkKeys(request.keys);
    for (const key of request.keys) checkPlace(key, request.group, request.label);
    await this.#write(call, slot, 'delete', async (store) => {
      // Not everything: a list that came out empty must not cost the others theirs.
      if (request.keys.length > 0) await store.delete(queryFor(store, request, this.options.appId));
    });
    return toBinary(pb.DeleteConfigurationResponseSchema, create(pb.DeleteConfigurationResponseSchema));
  }

  /** Ends the calls to the app in a pod. */
  forget(pod: string): void {
    this.#appCalls.forget(pod);
  }

  /** Ends the calls to the app. */
  close(): void {
    this.#appCalls.close();
  }

  async #callApp(payload: Uint8Array, { pod }: Call): Promise<Uint8Array> {
    const { storeName, keys, metadata } = decode(pb.CallAppRequestSchema, payload);
    this.#slot(storeName, 'get');
    checkKeys(keys);
    const asked = { appId: '', group: '', label: '', keys, metadata };
    const id = await this.#appCalls.subscribe(storeName, asked, pod);
    return toBinary(pb.CallAppResponseSchema, create(pb.CallAppResponseSchema, { id }));
  }

  async #unsubscribe(payload: Uint8Array): Promise<Uint8Array> {
    const { storeName, id } = decode(pb.UnsubscribeConfigurationRequestSchema, payload);
    const ok = [this.#streams, this.#appCalls].some((known) => known.unsubscribe(storeName, id));
    const message = ok
      ? ''
      : `there is no subscription ${id.slice(0, 100)} of configuration store ${storeName}`;
    const response = create(pb.UnsubscribeConfigurationResponseSchema, { ok, message });
    return toBinary(pb.UnsubscribeConfigurationResponseSchema, response);
  }

  #appIdOr(appId: string): string {
    return appId === '' ? this.options.appId : appId;
  }

  #slot(storeName: string, operation: Asking): ComponentSlot {
    const slot = this.options.registry.find('configuration', storeName);
    if (slot !== undefined) return slot;
    const message = `configuration store ${storeName} is not found`;
    throw this.#backends.unknown(operation, new OperationError(Code.INVALID_ARGUMENT, message));
  }

  #run<Result>(
    call: Call,
    slot: ComponentSlot,
    operation: Asking,
    perform: (store: ConfigurationStore) => Promise<Result>,
  ): Promise<Result> {
    return slot.use(() => this.#backends.ask(call, slot, operation, perform, WORDING));
  }

  async #write(
    call: Call,
    slot: ComponentSlot,
    operation: Asking,
    perform: (store: ConfigurationStore) => Promise<void>,
  ): Promise<void> {
    try {
      await this.#run(call, slot, operation, perform);
    } finally {
      // Also after a failure: it may have been done.
      this.options.live?.wrote(slot.config.name);
    }
  }
}

/** @throws OperationError if nothing can be kept there */
function checkPlace(key: string, group: string, label: string): void {
  const refused = (message: string): OperationError => new OperationError(Code.INVALID_ARGUMENT, message);
  if (key === '') throw refused('an item has no key');
  if (group.trim() === ANY || label.trim() === ANY) {
    throw refused(`item ${key}: "${ANY}" stands for every group or label; name one, or none for the default`);
  }
}

/** How the stores' failures are told to the filter. */
const WORDING: Wording = {
  notReady: ({ config, reason }) =>
    new OperationError(Code.UNAVAILABLE, `configuration store ${config.name} is not ready: ${reason}`),
  failure: (error) =>
    error instanceof ConfigurationError ? new OperationError(codeOf(error), error.message) : error,
};

/** google.rpc.Code of a store's failure. */
export function codeOf({ kind }: ConfigurationError): Code {
  if (kind === 'invalid') return Code.INVALID_ARGUMENT;
  return kind === 'unavailable' ? Code.UNAVAILABLE : Code.INTERNAL;
}
