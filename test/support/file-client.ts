import { Client, credentials, status } from '@grpc/grpc-js';
import type { ClientReadableStream, ClientWritableStream, ServiceError } from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/file_pb.js';
import { LAYOTTO } from './doors.js';

export const GET_FILE = `${LAYOTTO}/GetFile`;
export const PUT_FILE = `${LAYOTTO}/PutFile`;

export interface FileCall {
  deadlineMs?: number;
  metadata?: Record<string, string>;
}

/** Layotto's file methods, by grpc-js. */
export class FileClient {
  readonly #client: Client;

  constructor(
    address: string,
    private readonly storeName = 'file',
  ) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc-node.flow_control_window': 65_535,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Begins to get a file: messages come as they are read. */
  get(name: string, { deadlineMs }: FileCall = {}): ClientReadableStream<pb.GetFileResponse> {
    return this.#client.makeServerStreamRequest(
      GET_FILE,
      (request: MessageInitShape<typeof pb.GetFileRequestSchema>) =>
        bytesOf(pb.GetFileRequestSchema, request),
      (bytes) => fromBinary(pb.GetFileResponseSchema, bytes),
      { storeName: this.storeName, name },
      deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
    );
  }

  /** Gets a file as a whole. @throws ServiceError */
  async read(name: string): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const { data } of this.get(name) as AsyncIterable<pb.GetFileResponse>) parts.push(data);
    return Buffer.concat(parts);
  }

  /** Begins to put a file. `done` settles with the answer. */
  put(
    name: string,
    { deadlineMs, metadata = {} }: FileCall = {},
  ): {
    write: (data: Uint8Array) => Promise<void>;
    call: ClientWritableStream<Uint8Array>;
    done: Promise<void>;
  } {
    let settle: (error: ServiceError | null) => void = () => undefined;
    const done = new Promise<void>((resolve, reject) => {
      settle = (error) => (error === null ? resolve() : reject(error));
    });
    // Whoever breaks an upload off may not look at its end.
    done.catch(() => undefined);
    let first = true;
    const call = this.#client.makeClientStreamRequest<Uint8Array, pb.PutFileResponse>(
      PUT_FILE,
      (data) => {
        const whose = first ? { storeName: this.storeName, name, metadata } : {};
        first = false;
        return bytesOf(pb.PutFileRequestSchema, { ...whose, data });
      },
      (bytes) => fromBinary(pb.PutFileResponseSchema, bytes),
      deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
      (error) => settle(error),
    );
    call.on('error', () => undefined);
    const write = async (data: Uint8Array): Promise<void> => {
      if (call.write(data)) return;
      await Promise.race([
        new Promise((resolve) => call.once('drain', resolve)),
        done.catch(() => undefined),
      ]);
    };
    return { write, call, done };
  }

  /** Puts a file as a whole. @throws ServiceError */
  async write(name: string, parts: Iterable<Uint8Array>, options: FileCall = {}): Promise<void> {
    const { write, call, done } = this.put(name, options);
    let ended = false;
    void done.then(
      () => (ended = true),
      () => (ended = true),
    );
    for (const part of parts) {
      if (ended) break;
      await write(part);
    }
    call.end();
    await done;
  }

  list(name: string, pageSize = 0, marker = ''): Promise<pb.ListFileResponse> {
    return this.#unary('ListFile', [pb.ListFileRequestSchema, pb.ListFileResponseSchema], {
      request: this.#file(name),
      pageSize,
      marker,
    });
  }

  async delete(name: string): Promise<void> {
    await this.#unary('DelFile', [pb.DelFileRequestSchema, pb.DelFileResponseSchema], {
      request: this.#file(name),
    });
  }

  meta(name: string): Promise<pb.GetFileMetaResponse> {
    return this.#unary('GetFileMeta', [pb.GetFileMetaRequestSchema, pb.GetFileMetaResponseSchema], {
      request: this.#file(name),
    });
  }

  #file(name: string): { storeName: string; name: string } {
    return { storeName: this.storeName, name };
  }

  #unary<Request extends DescMessage, Response extends DescMessage>(
    method: string,
    [input, output]: readonly [Request, Response],
    request: MessageInitShape<Request>,
  ): Promise<MessageShape<Response>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest<MessageInitShape<Request>, MessageShape<Response>>(
        `${LAYOTTO}/${method}`,
        (message) => bytesOf(input, message),
        (bytes) => fromBinary(output, bytes),
        request,
        (error, response) =>
          error === null && response !== undefined
            ? resolve(response)
            : reject(error ?? new Error('no answer')),
      );
    });
  }
}

function bytesOf<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, message)));
}

/** What a call ended with. */
export async function failureOf(call: Promise<unknown>): Promise<{ code: string; details: string }> {
  try {
    await call;
  } catch (error) {
    const { code, details } = error as ServiceError;
    return { code: status[code] ?? String(error), details };
  }
  return { code: 'OK', details: '' };
}
