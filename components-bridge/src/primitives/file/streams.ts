import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/file_pb.js';
import type { Backends, Wording } from '../backends.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import type { MessageStream, StreamHandler } from '../stream.js';
import type { OpenPuts } from './open-puts.js';
import type { FileStore } from './store.js';
import { GET_WORDING, WORDING } from './wording.js';

const SERVICE = '/spec.proto.runtime.v1.Runtime/';
const NO_REQUEST = "request can't be nil";

/**
 * Files as streams, as Layotto's API has them. Of a file no more is in hand than one message. What a store took to
 * begin and to commit is counted as its answer; in between it is the caller who sets the pace.
 */
export class FileStreams {
  readonly handlers: ReadonlyMap<string, StreamHandler> = new Map<string, StreamHandler>([
    [`${SERVICE}GetFile`, (stream) => this.#get(stream)],
    [`${SERVICE}PutFile`, (stream) => this.#put(stream)],
  ]);

  constructor(
    private readonly registry: ComponentRegistry,
    private readonly backends: Backends,
    private readonly puts: OpenPuts,
  ) {}

  async #get(stream: MessageStream): Promise<void> {
    const payload = await stream.read();
    if (payload === undefined) throw new OperationError(Code.INVALID_ARGUMENT, NO_REQUEST);
    const { storeName, name } = decode(pb.GetFileRequestSchema, payload);
    stream.admit({ primitive: 'file', operation: 'GetFile', component: storeName });
    const slot = this.#slot('get', storeName, `not supported store type: ${storeName}`);
    await slot.use(async () => {
      await this.puts.settled(slot, name);
      const reader = await this.backends.ask(
        stream.call,
        slot,
        'get',
        (store: FileStore) => store.read(name),
        GET_WORDING,
      );
      try {
        for (;;) {
          const data = await worded(slot, GET_WORDING, () => reader.read());
          if (data === undefined) return;
          await stream.send(toBinary(pb.GetFileResponseSchema, create(pb.GetFileResponseSchema, { data })));
        }
      } finally {
        await reader.close();
      }
    });
  }

  async #put(stream: MessageStream): Promise<void> {
    const payload = await stream.read();
    if (payload === undefined) throw new OperationError(Code.INVALID_ARGUMENT, NO_REQUEST);
    // Which file it is, the first message says for all of them.
    const first = decode(pb.PutFileRequestSchema, payload);
    const { storeName, name } = first;
    const metadata = new Map(Object.entries(first.metadata));
    stream.admit({ primitive: 'file', operation: 'PutFile', component: storeName });
    const slot = this.#slot('put', storeName, `not support store type: ${storeName}`);
    const over = slot.use(async () => {
      const ask = <Result>(operation: string, perform: (store: FileStore) => Promise<Result>) =>
        this.backends.ask(stream.call, slot, operation, perform, WORDING);
      const writer = await ask('put', (store) => store.write(name, metadata));
      try {
        let { data } = first;
        for (;;) {
          const part = data;
          if (part.length > 0) await worded(slot, WORDING, () => writer.write(part));
          const next = await stream.read();
          if (next === undefined) break;
          data = decode(pb.PutFileRequestSchema, next).data;
        }
        await ask('commit', () => writer.commit());
      } catch (error) {
        await writer.discard();
        throw error;
      }
    });
    this.puts.add(slot, name, stream.ended, over);
    await over;
    await stream.send(toBinary(pb.PutFileResponseSchema, create(pb.PutFileResponseSchema)));
  }

  #slot(operation: string, storeName: string, unknown: string): ComponentSlot {
    const slot = this.registry.find('file', storeName);
    if (slot !== undefined) return slot;
    throw this.backends.unknown(operation, new OperationError(Code.INVALID_ARGUMENT, unknown));
  }
}

/** Does something that is no question of its own to the store, with its failures in the same words. */
async function worded<Result>(
  slot: ComponentSlot,
  wording: Wording,
  perform: () => Promise<Result>,
): Promise<Result> {
  try {
    return await perform();
  } catch (error) {
    throw wording.failure(error, slot);
  }
}
