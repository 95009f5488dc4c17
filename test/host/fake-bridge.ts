import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import {
  bridgeHello,
  decodeFrame,
  encodeFrame,
  FailureSchema,
  HelloSchema,
  Kind,
  type Frame,
} from '../support/frames.js';
import type { HostEmulator } from '../../cli/src/emulator/emulator.js';
import type { OpenedGrpcStream } from '../../cli/src/emulator/grpc-streams.js';

/** Frames of one session that the fake bridge has read, and where it is read up to. */
interface Session {
  stream: OpenedGrpcStream;
  frames: Frame[];
  read: number;
  greeted: boolean;
}

/** The bridge's end of the sessions an emulated filter opens: reads its frames, sends what a spec tells it to. */
export class FakeBridge {
  private readonly sessions = new Map<number, Session>();

  constructor(private readonly host: HostEmulator) {}

  /** Sessions the filter has open, oldest first. */
  get open(): OpenedGrpcStream[] {
    return this.host.grpcStreams.filter((stream) => !stream.remoteClosed);
  }

  /** The open session whose Hello said `large`. */
  session(large: boolean): OpenedGrpcStream {
    const found = this.open.find((stream) => this.hello(stream)?.large === large);
    if (found === undefined) throw new Error(`the filter has no ${large ? 'large' : 'small'} session open`);
    return found;
  }

  /** The Hello the filter sent on a session. */
  hello(stream: OpenedGrpcStream): MessageShape<typeof HelloSchema> | undefined {
    const frame = this.frames(stream).find((candidate) => candidate.kind === Kind.HELLO);
    return frame === undefined ? undefined : fromBinary(HelloSchema, frame.payload);
  }

  /** Everything the filter has sent on a session. */
  frames(stream: OpenedGrpcStream): Frame[] {
    const session = this.track(stream);
    for (; session.read < stream.sent.length; session.read++) {
      session.frames.push(decodeFrame(stream.sent[session.read] as Buffer));
    }
    return session.frames;
  }

  /** Every request of every open session, in the order sent within each. */
  requests(): { stream: OpenedGrpcStream; frame: Frame }[] {
    return this.open.flatMap((stream) =>
      this.frames(stream)
        .filter((frame) => frame.kind === Kind.REQUEST)
        .map((frame) => ({ stream, frame })),
    );
  }

  /** The newest request. */
  lastRequest(): { stream: OpenedGrpcStream; frame: Frame } {
    const last = this.requests().at(-1);
    if (last === undefined) throw new Error('the filter has sent no request');
    return last;
  }

  /** Answers Hello on every session that has not had one. */
  greet(streams: readonly OpenedGrpcStream[] = this.open): void {
    for (const stream of streams) {
      const session = this.track(stream);
      if (session.greeted) continue;
      session.greeted = true;
      this.host.callOnGrpcReceive(stream.token, bridgeHello());
    }
  }

  /** Sends a frame on a session. */
  send(stream: OpenedGrpcStream, frame: Parameters<typeof encodeFrame>[0]): void {
    this.host.callOnGrpcReceive(stream.token, encodeFrame(frame));
  }

  /** Answers a request with a message. */
  result<T extends DescMessage>(
    { stream, frame }: { stream: OpenedGrpcStream; frame: Frame },
    schema: T,
    message: MessageInitShape<T>,
  ): void {
    this.send(stream, {
      id: frame.id,
      kind: Kind.RESULT,
      payload: toBinary(schema, create(schema, message)),
    });
  }

  /** Answers a request with a failure. */
  failure(
    { stream, frame }: { stream: OpenedGrpcStream; frame: Frame },
    code: number,
    message: string,
  ): void {
    const payload = toBinary(FailureSchema, create(FailureSchema, { code, message }));
    this.send(stream, { id: frame.id, kind: Kind.FAILURE, payload });
  }

  /** Breaks every open session with this gRPC status. */
  close(status = 14): void {
    for (const stream of this.open) this.host.callOnGrpcClose(stream.token, status);
  }

  /** Forgets frames read so far, so that a long run does not keep them. */
  forget(): void {
    for (const stream of this.open) {
      this.frames(stream);
      const session = this.track(stream);
      session.frames = session.frames.filter((frame) => frame.kind === Kind.HELLO);
      stream.sent.length = 0;
      session.read = 0;
    }
  }

  private track(stream: OpenedGrpcStream): Session {
    let session = this.sessions.get(stream.token);
    if (session === undefined) {
      session = { stream, frames: [], read: 0, greeted: false };
      this.sessions.set(stream.token, session);
    }
    return session;
  }
}
