import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { createConnection } from 'node:net';

import {
  FailureSchema,
  FrameSchema,
  HelloSchema,
  Kind,
} from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import type { Failure, Frame, Hello } from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import { eventually } from './wait.js';

export const SESSION_PATH = '/layotto.bridge.v1.Bridge/Session';

export interface SessionClientOptions {
  pairId?: bigint;
  large?: boolean;
  /** What the first frame says; `null`: no hello is sent. */
  hello?: MessageInitShape<typeof HelloSchema> | null;
  /** Bytes the bridge may send before this client has read them. */
  window?: number;
}

/** A frame as a gRPC message. */
export function framed(frame: MessageInitShape<typeof FrameSchema>): Buffer {
  const bytes = toBinary(FrameSchema, create(FrameSchema, frame));
  const message = Buffer.alloc(5 + bytes.length);
  message.writeUInt32BE(bytes.length, 1);
  message.set(bytes, 5);
  return message;
}

/** The filter's end of a session, on a connection of its own. Frames are decoded by protobuf-es. */
export class SessionClient {
  /** Every frame received, HELLO included. */
  readonly frames: Frame[] = [];
  /** The gRPC status the bridge ended the stream with; undefined while it is open or if it was reset. */
  status: { code: number; message: string } | undefined;
  closed = false;
  #rest = Buffer.alloc(0);

  private constructor(
    readonly connection: ClientHttp2Session,
    readonly stream: ClientHttp2Stream,
  ) {
    connection.on('error', () => undefined);
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('trailers', (trailers: Record<string, string | undefined>) => {
      this.status = {
        code: Number(trailers['grpc-status']),
        message: trailers['grpc-message'] ?? '',
      };
    });
    stream.on('close', () => (this.closed = true));
  }

  static open(socketPath: string, options: SessionClientOptions = {}): SessionClient {
    const window = options.window ?? 16 * 1024 * 1024;
    const connection = connect('http://localhost', {
      createConnection: () => createConnection(socketPath),
      settings: { initialWindowSize: window },
    });
    connection.once('connect', () => connection.setLocalWindowSize(Math.max(window, 65_535)));
    const stream = connection.request({
      ':method': 'POST',
      ':path': SESSION_PATH,
      'content-type': 'application/grpc',
    });
    const client = new SessionClient(connection, stream);
    if (options.hello !== null) {
      const hello = {
        protocol: 1,
        name: 'test',
        pairId: options.pairId ?? 0n,
        large: options.large ?? false,
      };
      client.send({
        kind: Kind.HELLO,
        payload: toBinary(HelloSchema, create(HelloSchema, { ...hello, ...options.hello })),
      });
    }
    return client;
  }

  send(frame: MessageInitShape<typeof FrameSchema>): void {
    this.stream.write(framed(frame));
  }

  request(id: number, method: string, payload: Uint8Array = new Uint8Array(0), deadlineMs = 0): void {
    this.send({ id: BigInt(id), kind: Kind.REQUEST, method, payload, deadlineMs });
  }

  of(kind: Kind, id?: number): Frame[] {
    return this.frames.filter(
      (frame) => frame.kind === kind && (id === undefined || frame.id === BigInt(id)),
    );
  }

  /** Waits for a frame. */
  async frame(kind: Kind, id = 0): Promise<Frame> {
    return eventually(`a frame of kind ${Kind[kind]} for ${id}`, () => this.of(kind, id)[0], { everyMs: 2 });
  }

  async hello(): Promise<Hello> {
    return fromBinary(HelloSchema, (await this.frame(Kind.HELLO)).payload);
  }

  async result(id: number): Promise<Uint8Array> {
    return (await this.frame(Kind.RESULT, id)).payload;
  }

  async failure(id: number): Promise<Failure> {
    return fromBinary(FailureSchema, (await this.frame(Kind.FAILURE, id)).payload);
  }

  /** Waits until the bridge has ended the stream. */
  async ended(): Promise<{ code: number; message: string } | undefined> {
    await eventually('the bridge ends the stream', () => this.closed || this.status !== undefined);
    return this.status;
  }

  close(): void {
    this.stream.close();
    this.connection.destroy();
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      this.frames.push(fromBinary(FrameSchema, this.#rest.subarray(5, end)));
      this.#rest = this.#rest.subarray(end);
    }
  }
}
