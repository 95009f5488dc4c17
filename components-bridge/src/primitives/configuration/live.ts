import { create, toBinary } from '@bufbuild/protobuf';

import { answerStaleness } from '../../config/answer-in-envoy.js';
import type { ComponentConfig } from '../../config/types.js';
import { PushSchema } from '../../gen/layotto/bridge/v1/session_pb.js';
import { OperationError } from '../errors.js';
import type { ComponentRegistry } from '../registry.js';
import { encodeItems } from './encode.js';
import type { Asked } from './query.js';
import type { WatchedQuery } from './watched-query.js';
import type { Following, Watches } from './watches.js';

const PRIMITIVE = 'configuration';

/** Longest answer that Envoy keeps, and longest request that it keeps one for, in bytes. */
const LONGEST_ANSWER = 256 * 1024;
const LONGEST_REQUEST = 16 * 1024;

/** What an answer takes in the filter beside its bytes, at most. */
const OVERHEAD = 512;

/** Answers kept up to date per store. */
const MOST_ANSWERS = 500;

/** How often a store proves that its watches hear: a quarter of the staleness, and at least once a second. */
const BEAT_EVERY_MS = 1_000;
const BEATS_PER_STALENESS = 4;

/** Soon after a write: until the filter knows better it asks the bridge. */
const AFTER_WRITE_MS = 5;

/** A filter that has this much unread is told later, of the latest only; and how long until it is looked at again. */
const BACKLOG = 512 * 1024;
const LATER_MS = 20;

/** Where a filter is told something unasked. */
export interface Outlet {
  /** @param payload a Push message */
  push(payload: Uint8Array): void;
  /** Bytes that the filter has not taken. */
  readonly backlog: number;
}

export interface LiveAnswersOptions {
  registry: ComponentRegistry;
  watches: Watches;
  /** Bytes of answers that one filter keeps. */
  cacheBytes: number;
}

/** One answer, kept up to date. */
interface Live {
  readonly id: number;
  readonly store: LiveStore;
  readonly request: Uint8Array;
  following: Following | undefined;
  /** Undefined: there is none yet, or none that can be kept. */
  response: Uint8Array | undefined;
  /** Filters were told a response, and must be told if there is none any more. */
  told: boolean;
  /** When filters were told that it is right: of which moment. */
  freshAt: number;
}

interface LiveStore {
  readonly name: string;
  readonly stalenessMs: number;
  /** By request; who was asked for last stands last. */
  readonly answers: Map<string, Live>;
  timer: NodeJS.Timeout | undefined;
  beating: boolean;
  beatAgain: boolean;
}

/** A filter: what it still has to be told. */
interface Listener {
  readonly outlet: Outlet;
  readonly pending: Set<Live>;
}

/**
 * The answers that Envoy gives by itself: of stores that ask for it, what was asked for most recently. Each is a
 * follower of its query; when it changes, every filter is told. While a store proves that it would have told of
 * changes, filters are told that what they have is still right.
 */
export class LiveAnswers {
  readonly #stores = new Map<string, LiveStore>();
  readonly #listeners = new Set<Listener>();
  readonly #unsubscribe: () => void;
  #bytes = 0;
  #nextId = 1;
  #flushing: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly options: LiveAnswersOptions) {
    this.#unsubscribe = options.registry.onChange((primitive, name) => {
      if (primitive === PRIMITIVE) this.#storeChanged(name);
    });
  }

  /** A filter has come: it is told everything there is. @returns says that it has gone */
  join(outlet: Outlet): () => void {
    const listener: Listener = { outlet, pending: new Set() };
    this.#listeners.add(listener);
    for (const { answers } of this.#stores.values()) {
      for (const live of answers.values()) if (live.response !== undefined) listener.pending.add(live);
    }
    this.#flush();
    return () => this.#listeners.delete(listener);
  }

  /**
   * A read has come to the bridge: its answer is kept up to date from now on, and the filters are told it.
   *
   * @param component a store that has a staleness
   * @param payload the request message as it came
   */
  touch(component: ComponentConfig, payload: Uint8Array, asked: Asked): void {
    if (this.#closed || payload.length > LONGEST_REQUEST) return;
    try {
      this.#touch(component, payload, asked);
    } catch (error) {
      // There is no room to watch more: this read is answered by the bridge alone.
      if (!(error instanceof OperationError)) throw error;
    }
  }

  #touch(component: ComponentConfig, payload: Uint8Array, asked: Asked): void {
    const store = this.#storeFor(component);
    if (store === undefined) return;
    const key = Buffer.from(payload).toString('latin1');
    const known = store.answers.get(key);
    if (known !== undefined) {
      // It stands last now, and whoever asked does not have it, or not fresh enough.
      store.answers.delete(key);
      store.answers.set(key, known);
      if (known.response !== undefined) this.#tellAll(known, LATER_MS);
      return;
    }
    const request = Uint8Array.from(payload);
    const live: Live = {
      id: this.#nextId++,
      store,
      request,
      following: undefined,
      response: undefined,
      told: false,
      freshAt: -Infinity,
    };
    const { group, label, appId, keys, metadata } = asked;
    live.following = this.options.watches.follow(
      store.name,
      { appId, group, label, keys: [...keys], metadata: { ...metadata } },
      {
        read: (query) => this.#read(live, query),
        ended: () => this.#drop(live),
      },
    );
    store.answers.set(key, live);
    this.#bytes += request.length + OVERHEAD;
    this.#makeRoom(store);
  }

  /** Something of a store was written, or perhaps: filters wait for word that what they have is from after it. */
  wrote(name: string): void {
    const store = this.#stores.get(name);
    if (store !== undefined) this.#beatIn(store, AFTER_WRITE_MS);
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    clearTimeout(this.#flushing);
    for (const { timer, answers } of this.#stores.values()) {
      clearTimeout(timer);
      for (const { following } of answers.values()) following?.close();
    }
    this.#stores.clear();
    this.#listeners.clear();
  }

  #storeFor({ name, ...config }: ComponentConfig): LiveStore | undefined {
    const stalenessMs = answerStaleness({ name, ...config });
    if (stalenessMs === undefined) return undefined;
    let store = this.#stores.get(name);
    if (store === undefined) {
      store = { name, stalenessMs, answers: new Map(), timer: undefined, beating: false, beatAgain: false };
      this.#stores.set(name, store);
      this.#beatIn(store, this.#rhythm(store));
    }
    return store;
  }

  /** Other settings may have another staleness, or none. */
  #storeChanged(name: string): void {
    const store = this.#stores.get(name);
    const config = this.options.registry.find(PRIMITIVE, name)?.config;
    if (store === undefined) return;
    if (config !== undefined && answerStaleness(config) === store.stalenessMs) return;
    for (const live of [...store.answers.values()]) this.#drop(live);
    clearTimeout(store.timer);
    this.#stores.delete(name);
  }

  /** Its query was read. */
  #read(live: Live, { items = [] }: WatchedQuery): void {
    const response = encodeItems(items);
    if (response.length > LONGEST_ANSWER) {
      this.#withdraw(live);
      return;
    }
    const before = live.response;
    if (before !== undefined && Buffer.compare(before, response) === 0) return;
    this.#bytes += response.length - (before?.length ?? 0);
    live.response = response;
    live.told = true;
    this.#tellAll(live);
    this.#makeRoom(live.store);
  }

  #withdraw(live: Live): void {
    this.#bytes -= live.response?.length ?? 0;
    live.response = undefined;
    if (live.told) this.#tellAll(live);
    live.told = false;
  }

  /** Gives up the answers that were asked for longest ago, until what is left has room. */
  #makeRoom(store: LiveStore): void {
    const stores = [store, ...this.#stores.values()];
    for (const { answers } of stores) {
      for (const live of answers.values()) {
        if (answers.size <= MOST_ANSWERS && this.#bytes <= this.options.cacheBytes) break;
        if (answers.size > 1) this.#drop(live);
      }
    }
  }

  #drop(live: Live): void {
    const key = Buffer.from(live.request).toString('latin1');
    if (live.store.answers.get(key) !== live) return;
    live.store.answers.delete(key);
    this.#withdraw(live);
    this.#bytes -= live.request.length + OVERHEAD;
    live.following?.close();
  }

  /** @param inMs so that many reads of the same that come together are answered by one telling */
  #tellAll(live: Live, inMs = 0): void {
    for (const { pending } of this.#listeners) pending.add(live);
    if (inMs === 0) this.#flush();
    else this.#flushLater();
  }

  #flushLater(): void {
    if (this.#closed) return;
    this.#flushing ??= setTimeout(() => this.#flush(), LATER_MS);
    this.#flushing.unref();
  }

  /** Tells each filter what is pending, as far as it takes it. */
  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    for (const { outlet, pending } of this.#listeners) {
      for (const live of pending) {
        if (outlet.backlog > BACKLOG) break;
        pending.delete(live);
        outlet.push(answerPush(live));
      }
      if (pending.size > 0) this.#flushLater();
    }
  }

  #rhythm({ stalenessMs }: LiveStore): number {
    return Math.min(stalenessMs / BEATS_PER_STALENESS, BEAT_EVERY_MS);
  }

  #beatIn(store: LiveStore, ms: number): void {
    if (store.beating) {
      store.beatAgain = true;
      return;
    }
    clearTimeout(store.timer);
    store.timer = setTimeout(() => void this.#beat(store), ms);
    store.timer.unref();
  }

  /** Asks the store whether its watches hear, and tells filters which of their answers are right; never throws. */
  async #beat(store: LiveStore): Promise<void> {
    store.beating = true;
    store.beatAgain = false;
    const at = performance.now();
    if (store.answers.size > 0) await this.options.watches.confirm(store.name);
    store.beating = false;
    if (this.#stores.get(store.name) !== store) return;
    this.#tellFresh(store, at);
    this.#beatIn(store, store.beatAgain ? AFTER_WRITE_MS : this.#rhythm(store));
  }

  /** @param proof when the last proof was asked for */
  #tellFresh(store: LiveStore, proof: number): void {
    const proven: Live[] = [];
    // A store that cannot prove anything is read now and then: what was read since was right then.
    const read: Live[] = [];
    let oldest = Infinity;
    for (const live of store.answers.values()) {
      const at = live.following?.query.currentAt ?? -Infinity;
      if (live.response === undefined || at <= live.freshAt) continue;
      live.freshAt = at;
      if (at >= proof) proven.push(live);
      else {
        read.push(live);
        oldest = Math.min(oldest, at);
      }
    }
    this.#tellFreshSince(store, proven, proof);
    this.#tellFreshSince(store, read, oldest);
  }

  #tellFreshSince(store: LiveStore, fresh: readonly Live[], at: number): void {
    if (fresh.length === 0) return;
    for (const { outlet, pending } of this.#listeners) {
      // What a filter has not been told yet is not what it has.
      const answers = fresh.filter((live) => !pending.has(live)).map(({ id }) => id);
      if (answers.length === 0 || outlet.backlog > BACKLOG) continue;
      const freshness = { primitive: PRIMITIVE, component: store.name, ...ageOf(at), answers };
      outlet.push(toBinary(PushSchema, create(PushSchema, { freshness })));
    }
  }
}

function answerPush({ id, store, request, response, following }: Live): Uint8Array {
  const answer = {
    primitive: PRIMITIVE,
    component: store.name,
    request,
    id,
    ...(response === undefined
      ? { withdrawn: true }
      : { response, ...ageOf(following?.query.currentAt ?? 0) }),
  };
  return toBinary(PushSchema, create(PushSchema, { answer }));
}

/**
 * Microseconds since a moment of `performance.now()`, rather too many than too few; and when that is so, by
 * CLOCK_MONOTONIC.
 */
function ageOf(at: number): { ageUs: bigint; saidUs: bigint } {
  const saidUs = process.hrtime.bigint() / 1_000n;
  return { ageUs: BigInt(Math.ceil((performance.now() - at) * 1_000) + 1), saidUs };
}
