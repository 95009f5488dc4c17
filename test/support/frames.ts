import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  FrameSchema,
  HelloSchema,
  Kind,
  type Frame,
} from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';

export {
  FailureSchema,
  FrameSchema,
  HelloSchema,
  Kind,
  type Frame,
} from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';

/** A session frame as bytes. */
export function encodeFrame(frame: MessageInitShape<typeof FrameSchema>): Uint8Array {
  return toBinary(FrameSchema, create(FrameSchema, frame));
}

/** A session frame from bytes; throws on malformed ones. */
export function decodeFrame(bytes: Uint8Array): Frame {
  return fromBinary(FrameSchema, bytes);
}

/** The hello a bridge answers a session with. */
export function bridgeHello(services: string[] = []): Uint8Array {
  const hello = create(HelloSchema, { protocol: 1, name: 'test-bridge', version: '0.0.0', services });
  return encodeFrame({ kind: Kind.HELLO, payload: toBinary(HelloSchema, hello) });
}
