import { KV } from '../../gen/etcdserverpb/rpc_pb.js';
import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { SequencerError } from '../../primitives/sequencer/sequencer-store.js';
import type { SequencerStore } from '../../primitives/sequencer/sequencer-store.js';
import { EtcdConnection } from './connection.js';
import { EtcdUnavailable } from './failure.js';
import { layottoPath, sequencerMetadataSchema } from './metadata.js';

export async function open(context: ComponentContext): Promise<EtcdSequencer> {
  const metadata = sequencerMetadataSchema.parse(context.metadata);
  const connection = await EtcdConnection.open(metadata, context);
  return new EtcdSequencer(connection, layottoPath(metadata), EtcdConnection.place(metadata));
}

/**
 * Ids from etcd, as Layotto keeps them: an id is how often its key was written, which etcd counts. So ids come one at
 * a time, and the count cannot be set: where `biggerThan` does not hold, it must be reached by ids that are given.
 */
export class EtcdSequencer implements SequencerStore {
  constructor(
    private readonly connection: EtcdConnection,
    private readonly path: string,
    readonly place: BackendPlace,
  ) {}

  async next(name: string): Promise<bigint> {
    const key = this.#stored(name);
    const answer = await this.connection
      .call(KV.method.txn, {
        success: [
          { request: { case: 'put', value: { key } } },
          { request: { case: 'range', value: { key, keysOnly: true } } },
        ],
      })
      .catch(rethrow);
    const look = answer.responses[1]?.response;
    const version = look?.case === 'range' ? look.value.kvs[0]?.version : undefined;
    if (version === undefined) throw new SequencerError('failed', `etcd did not say the version of ${name}`);
    return version;
  }

  async raise(name: string, least: bigint): Promise<void> {
    const request = { key: this.#stored(name), keysOnly: true };
    const { kvs } = await this.connection.call(KV.method.range, request).catch(rethrow);
    const version = kvs[0]?.version ?? 0n;
    if (version >= least) return;
    const message = `the last one was ${version}, and etcd cannot leave ids out`;
    throw new SequencerError('failed', message);
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  #stored(name: string): Uint8Array {
    return Buffer.from(this.path + name);
  }
}

function rethrow(error: unknown): never {
  const kind = error instanceof EtcdUnavailable ? 'unavailable' : 'failed';
  throw new SequencerError(kind, reasonOf(error), { cause: error });
}
