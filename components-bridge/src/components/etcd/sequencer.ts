import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';

import {
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
  KV,
} from '../../gen/etcdserverpb/rpc_pb.js';
import type { CompareSchema, KeyValue, RequestOpSchema, ResponseOp } from '../../gen/etcdserverpb/rpc_pb.js';
import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { exhausted, LAST_ID, SequencerError } from '../../primitives/sequencer/sequencer-store.js';
import type { SequencerStore } from '../../primitives/sequencer/sequencer-store.js';
import { EtcdConnection } from './connection.js';
import { EtcdUnavailable } from './failure.js';
import { layottoPath, sequencerMetadataSchema } from './metadata.js';

/**
 * Stands after a counter's key in the key of its offset. No counter has such a key, because no key of a call has `||`
 * in it; and a role that may use everything that begins as the counters do may use the offsets too.
 */
const OFFSET_SUFFIX = '||offset';

/** Tries of a change that other bridges come between; each time it fails another one has succeeded. */
const MOST_TRIES = 100;

type Comparison = MessageInitShape<typeof CompareSchema>;
type Op = MessageInitShape<typeof RequestOpSchema>;
type TxnResponse = MessageShape<typeof KV.method.txn.output>;

/** What is to be done with a counter, and on what condition besides its offset. */
interface Plan {
  compare: Comparison[];
  writes: Op[];
}

/** A counter and its offset, as they were at one moment. */
interface Counter {
  /** How often the counter was written. */
  version: bigint;
  offset: bigint;
  /** Revision at which the offset was written last; 0: never. */
  revision: bigint;
}

/** What a counter is taken for until etcd says otherwise. */
const FRESH: Counter = { version: 0n, offset: 0n, revision: 0n };

export async function open(context: ComponentContext): Promise<EtcdSequencer> {
  const metadata = sequencerMetadataSchema.parse(context.metadata);
  const connection = await EtcdConnection.open(metadata, context);
  return new EtcdSequencer(connection, layottoPath(metadata), EtcdConnection.place(metadata));
}

/**
 * Ids from etcd, beginning with those that Layotto gave: a counter is a key, and etcd counts how often it was written.
 * An id is that count and the counter's offset, which is kept in a key of its own and only grows: by `count - 1` for a
 * run, which takes one write of the counter, and by what is missing where ids are raised. Both keys are changed in one
 * transaction. Without an offset an id is what Layotto makes it.
 */
export class EtcdSequencer implements SequencerStore {
  constructor(
    private readonly connection: EtcdConnection,
    private readonly path: string,
    readonly place: BackendPlace,
  ) {}

  async next(name: string): Promise<bigint> {
    const keys = new Keys(this.path + name);
    const answer = await this.#txn([], [keys.count(), ...keys.look()], []);
    const { version, offset } = keys.read(answer.responses.slice(1));
    const id = version + offset;
    if (id > LAST_ID) throw exhausted(LAST_ID);
    return id;
  }

  async segment(name: string, count: number): Promise<bigint> {
    const keys = new Keys(this.path + name);
    const more = BigInt(count);
    const { version, offset } = await this.#change(keys, FRESH, (counter) => {
      const room = LAST_ID - counter.offset - more;
      if (counter.version > room) throw exhausted(counter.version + counter.offset);
      // Single ids may come between, but not so many that the run would end after the last id.
      const compare = [keys.versionBelow(room + 1n)];
      return { compare, writes: [keys.count(), keys.move(counter.offset + more - 1n)] };
    });
    return version + offset + 1n;
  }

  async raise(name: string, least: bigint): Promise<void> {
    const keys = new Keys(this.path + name);
    const { responses } = await this.#txn([], keys.look(), []);
    await this.#change(keys, keys.read(responses), ({ version, offset }) => {
      if (version + offset >= least) return undefined;
      return { compare: [], writes: [keys.move(least - version)] };
    });
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  /**
   * Does what is planned for a counter if its offset is still the one it was planned for, and else plans it anew.
   *
   * @param counter what it is planned for first
   * @param plan what to do, or undefined if there is nothing to do
   * @returns the counter as it was just before that was done
   */
  async #change(
    keys: Keys,
    counter: Counter,
    plan: (counter: Counter) => Plan | undefined,
  ): Promise<Counter> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const planned = plan(counter);
      if (planned === undefined) return counter;
      const compare = [keys.offsetOf(counter.revision), ...planned.compare];
      const answer = await this.#txn(compare, [...keys.look(), ...planned.writes], keys.look());
      const before = keys.read(answer.responses);
      if (answer.succeeded) return before;
      counter = before;
    }
    throw new SequencerError('failed', 'other bridges were faster each time; try again');
  }

  async #txn(compare: Comparison[], success: Op[], failure: Op[]): Promise<TxnResponse> {
    try {
      return await this.connection.call(KV.method.txn, { compare, success, failure });
    } catch (error) {
      const kind = error instanceof EtcdUnavailable ? 'unavailable' : 'failed';
      throw new SequencerError(kind, reasonOf(error), { cause: error });
    }
  }
}

/** The two keys of a counter, and what transactions do with them. */
class Keys {
  readonly #counter: Uint8Array;
  readonly #offset: Uint8Array;

  constructor(private readonly name: string) {
    this.#counter = Buffer.from(name);
    this.#offset = Buffer.from(name + OFFSET_SUFFIX);
  }

  /** Counts one on, by a write of nothing, as Layotto does it. */
  count(): Op {
    return { request: { case: 'put', value: { key: this.#counter } } };
  }

  move(offset: bigint): Op {
    return { request: { case: 'put', value: { key: this.#offset, value: Buffer.from(String(offset)) } } };
  }

  look(): Op[] {
    return [
      { request: { case: 'range', value: { key: this.#counter, keysOnly: true } } },
      { request: { case: 'range', value: { key: this.#offset } } },
    ];
  }

  offsetOf(revision: bigint): Comparison {
    const targetUnion = { case: 'modRevision', value: revision } as const;
    return { result: Result.EQUAL, target: Target.MOD, key: this.#offset, targetUnion };
  }

  versionBelow(limit: bigint): Comparison {
    const targetUnion = { case: 'version', value: limit } as const;
    return { result: Result.LESS, target: Target.VERSION, key: this.#counter, targetUnion };
  }

  /** @param answers to `look` @throws SequencerError if the offset is none */
  read([counter, offset]: readonly ResponseOp[]): Counter {
    const moved = found(offset);
    const text = moved === undefined ? '0' : Buffer.from(moved.value).toString();
    if (!/^\d{1,19}$/.test(text)) {
      const message = `the offset in etcd at ${this.name}${OFFSET_SUFFIX} is not a number; ids cannot be told from it`;
      throw new SequencerError('failed', message);
    }
    return {
      version: found(counter)?.version ?? 0n,
      offset: BigInt(text),
      revision: moved?.modRevision ?? 0n,
    };
  }
}

function found(answer: ResponseOp | undefined): KeyValue | undefined {
  return answer?.response.case === 'range' ? answer.response.value.kvs[0] : undefined;
}
