import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/file_pb.js';
import { Backends } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import type { StreamHandler } from '../stream.js';
import { OpenPuts } from './open-puts.js';
import { DEFAULT_PAGE, LONGEST_PAGE, pageOf } from './page.js';
import type { FileStore } from './store.js';
import { FileStreams } from './streams.js';
import { WORDING } from './wording.js';

export interface FileServiceOptions {
  registry: ComponentRegistry;
  /** Counts what stores are asked; by default for nobody. */
  backends?: Backends;
  /** Largest message; a page of a list ends where it would exceed it. */
  messageBytes: number;
}

/** The file primitive. */
export class FileService implements Service {
  readonly name = pb.File.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly streams: ReadonlyMap<string, StreamHandler>;
  readonly #backends: Backends;
  readonly #puts = new OpenPuts();

  constructor(private readonly options: FileServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/ListFile`, (payload, call) => this.#list(payload, call)],
      [`${this.name}/DelFile`, (payload, call) => this.#delete(payload, call)],
      [`${this.name}/GetFileMeta`, (payload, call) => this.#meta(payload, call)],
    ]);
    this.streams = new FileStreams(options.registry, this.#backends, this.#puts).handlers;
  }

  async #list(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { request, pageSize, marker } = decode(pb.ListFileRequestSchema, payload);
    if (pageSize < 0) {
      throw new OperationError(
        Code.INVALID_ARGUMENT,
        `page_size: expected 0 or more, found ${pageSize}; 0 stands for ${DEFAULT_PAGE}`,
      );
    }
    const size = pageSize === 0 ? DEFAULT_PAGE : Math.min(pageSize, LONGEST_PAGE);
    const page = await this.#ask(call, request, 'list', (store, name) => store.list(name, size, marker));
    return toBinary(pb.ListFileResponseSchema, pageOf(page, this.options.messageBytes));
  }

  async #delete(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { request } = decode(pb.DelFileRequestSchema, payload);
    await this.#ask(call, request, 'delete', (store, name) => store.remove(name));
    return toBinary(pb.DelFileResponseSchema, create(pb.DelFileResponseSchema));
  }

  async #meta(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { request } = decode(pb.GetFileMetaRequestSchema, payload);
    const { size, modified, metadata } = await this.#ask(call, request, 'meta', (store, name) =>
      store.facts(name),
    );
    const entries = Object.entries(metadata).map(([key, value]) => ({ key, value: { value: [value] } }));
    return toBinary(
      pb.GetFileMetaResponseSchema,
      create(pb.GetFileMetaResponseSchema, {
        size: BigInt(size),
        lastModified: modified.toISOString(),
        response: { metadata: entries },
      }),
    );
  }

  /** @param operation what the store is asked to do, as metrics and traces name it */
  #ask<Result>(
    call: Call,
    request: pb.FileRequest | undefined,
    operation: string,
    perform: (store: FileStore, name: string) => Promise<Result>,
  ): Promise<Result> {
    const { storeName = '', name = '' } = request ?? {};
    const slot = this.#slot(storeName, operation);
    return slot.use(async () => {
      await this.#puts.settled(slot, operation === 'list' ? undefined : name);
      return this.#backends.ask(call, slot, operation, (store: FileStore) => perform(store, name), WORDING);
    });
  }

  #slot(storeName: string, operation: string): ComponentSlot {
    const slot = this.options.registry.find('file', storeName);
    if (slot !== undefined) return slot;
    const message = `not support store type: ${storeName}`;
    throw this.#backends.unknown(operation, new OperationError(Code.INVALID_ARGUMENT, message));
  }
}
