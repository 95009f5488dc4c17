import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Logger } from 'pino';

import { KV, RangeRequest_SortOrder, RangeRequest_SortTarget, Watch } from '../../gen/etcdserverpb/rpc_pb.js';
import type { WatchRequestSchema, WatchResponse } from '../../gen/etcdserverpb/rpc_pb.js';
import { reasonOf } from '../../primitives/errors.js';
import type { EtcdConnection } from './connection.js';
import { startingWith } from './configuration-keys.js';
import { EtcdUnavailable } from './failure.js';

type Stream = ClientDuplexStream<MessageInitShape<typeof WatchRequestSchema>, WatchResponse>;

/** Pause before watching anew after a stream ended: doubled each time, with jitter. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/** What is told: the keys that changed, or that any may have. */
export type Changed = (keys: readonly string[] | 'any') => void;

interface Watched {
  readonly prefix: string;
  readonly listeners: Set<Changed>;
  /** How many keys there were when it was looked at last, and the revision of the newest. */
  seen: string | undefined;
}

/**
 * Watches of keys with a common beginning, all on one stream, which is opened anew when it ends.
 *
 * A watch begins with what happens from then on, and its listeners are told that anything may have changed before. So
 * nothing is missed, and no revision is asked for that etcd has compacted away meanwhile.
 */
export class Watcher {
  readonly #watched = new Map<string, Watched>();
  readonly #loop: Promise<void>;
  #stream: Stream | undefined;
  /** Those whose watch was asked for on the stream; etcd answers in this order. */
  #asked: Watched[] = [];
  #byId = new Map<bigint, Watched>();
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(
    private readonly connection: EtcdConnection,
    private readonly log: Logger,
  ) {
    connection.onLost(() => this.#stream?.cancel());
    this.#loop = this.#run();
  }

  /** Tells of changes of keys that begin so, until the returned function is called. */
  add(prefix: string, changed: Changed): () => void {
    let watched = this.#watched.get(prefix);
    if (watched === undefined) {
      watched = { prefix, listeners: new Set(), seen: undefined };
      this.#watched.set(prefix, watched);
      this.#ask(watched);
    } else {
      // Whoever comes later is told, too, that it hears from now on.
      setImmediate(() => watched?.listeners.has(changed) && changed('any'));
    }
    const { listeners } = watched;
    listeners.add(changed);
    this.#wake();
    return () => {
      listeners.delete(changed);
      if (listeners.size === 0) this.#drop(prefix);
    };
  }

  /**
   * Looks whether anything has changed since the last look, and tells it: whatever changes keys makes the newest
   * revision among them greater, or their number smaller.
   *
   * @throws EtcdUnavailable or EtcdRefused
   */
  async confirm(): Promise<void> {
    if (this.#watched.size > 0 && this.#stream === undefined)
      throw new EtcdUnavailable('it does not hear of changes');
    await Promise.all(
      [...this.#watched.values()].map(async (watched) => {
        const { kvs, count } = await this.connection.call(KV.method.range, {
          ...startingWith(watched.prefix),
          limit: 1n,
          keysOnly: true,
          sortOrder: RangeRequest_SortOrder.DESCEND,
          sortTarget: RangeRequest_SortTarget.BY_MOD,
        });
        const seen = `${count} ${kvs[0]?.modRevision ?? 0n}`;
        if (watched.seen !== seen) tell(watched, 'any');
        watched.seen = seen;
      }),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stream?.cancel();
    this.#wake();
    await this.#loop;
  }

  /** Never throws. */
  async #run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#closed) {
      if (this.#watched.size === 0) {
        await this.#sleep(undefined);
        continue;
      }
      const started = performance.now();
      const reason = await this.#follow().catch((error: unknown) => reasonOf(error));
      if (this.#closed) return;
      this.log.debug({ reason }, 'a stream of changes ended');
      if (performance.now() - started > 10 * LONGEST_PAUSE_MS) pause = FIRST_PAUSE_MS;
      await this.#sleep(pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  /** Watches everything until the stream ends. Resolves to why it did. */
  async #follow(): Promise<string> {
    const opened = await this.connection.stream(Watch.method.watch);
    const { stream } = opened;
    if (this.#closed) stream.cancel();
    try {
      return await new Promise<string>((resolve) => {
        stream.on('data', (response: WatchResponse) => this.#answered(response));
        stream.on('error', (error) => resolve(reasonOf(opened.failureOf(error))));
        stream.on('end', () => resolve('the server ended it'));
        this.#stream = stream;
        for (const watched of this.#watched.values()) this.#ask(watched);
      });
    } finally {
      this.#stream = undefined;
      this.#asked = [];
      this.#byId.clear();
      stream.cancel();
    }
  }

  #ask(watched: Watched): void {
    if (this.#stream === undefined) return;
    this.#asked.push(watched);
    this.#stream.write({ request: { case: 'create', value: startingWith(watched.prefix) } });
  }

  #answered({ watchId, created, canceled, cancelReason, events }: WatchResponse): void {
    if (created) {
      const watched = this.#asked.shift();
      if (watched !== undefined && !canceled) {
        if (this.#watched.get(watched.prefix) === watched) {
          this.#byId.set(watchId, watched);
          tell(watched, 'any');
        } else this.#cancel(watchId);
      }
    }
    if (canceled) {
      // It fell too far behind, or may not look there any more: all begin anew, after a pause.
      const dropped = this.#byId.get(watchId) === undefined && !created;
      this.#byId.delete(watchId);
      if (!dropped) {
        this.log.warn({ reason: cancelReason }, 'etcd ended a watch');
        this.#stream?.cancel();
      }
      return;
    }
    const watched = this.#byId.get(watchId);
    if (watched === undefined || events.length === 0) return;
    tell(
      watched,
      events.map(({ kv }) => Buffer.from(kv?.key ?? []).toString()),
    );
  }

  #drop(prefix: string): void {
    const watched = this.#watched.get(prefix);
    if (watched === undefined || !this.#watched.delete(prefix)) return;
    for (const [id, one] of this.#byId) {
      if (one !== watched) continue;
      this.#byId.delete(id);
      this.#cancel(id);
    }
  }

  #cancel(watchId: bigint): void {
    this.#stream?.write({ request: { case: 'cancel', value: { watchId } } });
  }

  /** @param ms undefined: until something is watched */
  #sleep(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      timer?.unref();
      this.#wake = () => {
        if (ms !== undefined && !this.#closed) return;
        clearTimeout(timer);
        resolve();
      };
      if (this.#closed) this.#wake();
    });
  }
}

function tell({ listeners }: Watched, what: readonly string[] | 'any'): void {
  for (const listener of [...listeners]) listener(what);
}
