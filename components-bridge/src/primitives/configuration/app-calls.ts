import { create, toJson } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';

import * as dapr from '../../gen/dapr/proto/runtime/v1/configuration_pb.js';
import type { AppCaller } from '../app-channel.js';
import { Code, OperationError, reasonOf } from '../errors.js';
import { Outbox } from './outbox.js';
import type { Asked } from './query.js';
import { daprItem } from './streams.js';
import type { KnownById } from './streams.js';
import type { Change } from './watched-query.js';
import type { Watches } from './watches.js';

/** Subscriptions at once. */
const MOST_SUBSCRIPTIONS = 1_000;

/** How long the app may take for one call. */
const CALL_MS = 10_000;

/** Pauses between calls that the app did not take: doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export interface AppCallsOptions {
  watches: Watches;
  /** By which the app of a pod is called; undefined: it cannot be. */
  callerOf: (pod: string) => AppCaller | undefined;
  log: Logger;
}

/**
 * Subscriptions of Dapr's HTTP API: the app is called for each item that changes, at `/configuration/<store>/<key>`.
 * A change that the app cannot take now is told again, or what came after it; one that it refuses is not.
 */
export class AppCalls implements KnownById {
  readonly #subscriptions = new Map<string, { storeName: string; pod: string; end: () => void }>();

  constructor(private readonly options: AppCallsOptions) {}

  /**
   * @param pod where the app is that asks
   * @returns the id of the subscription
   * @throws OperationError if the app cannot be called
   */
  async subscribe(storeName: string, asked: Asked, pod: string): Promise<string> {
    const { watches, log } = this.options;
    const app = this.options.callerOf(pod);
    if (app === undefined || app.app.port === 0 || app.app.protocol !== 'http') {
      const why =
        app === undefined ? 'its sidecar takes no deliveries' : 'set app.port, and app.protocol to http';
      throw new OperationError(Code.FAILED_PRECONDITION, `the app cannot be called: ${why}`);
    }
    if (this.#subscriptions.size === MOST_SUBSCRIPTIONS) {
      const message = `there are ${MOST_SUBSCRIPTIONS} subscriptions, no more are taken; end some`;
      throw new OperationError(Code.RESOURCE_EXHAUSTED, message);
    }
    const id = randomUUID();
    const outbox = new Outbox<null>();
    const over = new OperationError(Code.CANCELLED, 'unsubscribed');
    const following = watches.follow(storeName, asked, {
      changed: (changes) => outbox.put(null, changes),
      ended: (reason) => {
        log.info({ subscription: id, reason }, 'a subscription of the app has ended');
        this.unsubscribe(storeName, id);
      },
    });
    const ending = new AbortController();
    this.#subscriptions.set(id, {
      storeName,
      pod,
      end: () => {
        following.close();
        outbox.fail(over);
        ending.abort();
      },
    });
    void this.#tell(app, storeName, id, outbox, ending.signal);
    await following.query.firstTry;
    return id;
  }

  unsubscribe(storeName: string, id: string): boolean {
    const found = this.#subscriptions.get(id);
    if (found?.storeName !== storeName) return false;
    this.#subscriptions.delete(id);
    found.end();
    return true;
  }

  /** A pod has gone, and nobody is left there to be called. */
  forget(pod: string): void {
    for (const [id, found] of this.#subscriptions)
      if (found.pod === pod) this.unsubscribe(found.storeName, id);
  }

  close(): void {
    for (const { end } of this.#subscriptions.values()) end();
    this.#subscriptions.clear();
  }

  /** Until the subscription ends; never throws. */
  async #tell(
    app: AppCaller,
    storeName: string,
    id: string,
    outbox: Outbox<null>,
    signal: AbortSignal,
  ): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      let changes: Change[];
      try {
        [, changes] = await outbox.next();
      } catch {
        return;
      }
      const left: Change[] = [];
      for (const change of changes) {
        if (left.length > 0 || !(await this.#call(app, storeName, id, change, signal))) left.push(change);
      }
      if (left.length === 0) {
        pause = FIRST_PAUSE_MS;
        continue;
      }
      outbox.putBack(null, left);
      await sleep(pause, signal);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  /** @returns false if the app should be called again */
  async #call(
    app: AppCaller,
    storeName: string,
    id: string,
    change: Change,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { key } = change.item;
    const path = `/configuration/${encodeURIComponent(storeName)}/${encodeURIComponent(key)}`;
    const item = toJson(dapr.ConfigurationItemSchema, create(dapr.ConfigurationItemSchema, daprItem(change)));
    const log = this.options.log.child({ subscription: id, path });
    try {
      const headers = { 'content-type': 'application/json' };
      const body = Buffer.from(JSON.stringify({ id, items: { [key]: item } }));
      const { status } = await app.http({ path, headers, body, timeoutMs: CALL_MS, signal });
      if (status < 300) return true;
      log.warn({ status }, 'the app did not take a change of configuration');
      // Not here, or not like this: it would say the same again.
      return status < 500 && status !== 429 && status !== 408;
    } catch (error) {
      if (!signal.aborted) log.debug({ reason: reasonOf(error) }, 'the app cannot be called');
      return false;
    }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
