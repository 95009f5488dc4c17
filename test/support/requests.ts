import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  GetStateRequestSchema,
  GetStateResponseSchema,
  SaveStateRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { grpcFrame } from './grpc-raw.js';

/** The body of a GetState call, gRPC frame included. */
export function getStateBody(key: string, storeName = 'statestore'): Buffer {
  return grpcFrame(toBinary(GetStateRequestSchema, create(GetStateRequestSchema, { storeName, key })));
}

/** The body of a SaveState call for one key, gRPC frame included. */
export function saveStateBody(key: string, value: Uint8Array | string, storeName = 'statestore'): Buffer {
  const states = [{ key, value: Buffer.from(value as Uint8Array) }];
  return grpcFrame(toBinary(SaveStateRequestSchema, create(SaveStateRequestSchema, { storeName, states })));
}

/** A GetState response as bytes. */
export function getStateResult(data: string, etag = '1'): Uint8Array {
  return toBinary(GetStateResponseSchema, create(GetStateResponseSchema, { data: Buffer.from(data), etag }));
}

/** The value in a GetState response, as text. */
export function valueOf(message: Uint8Array | undefined): string {
  if (message === undefined) throw new Error('the answer holds no message');
  return Buffer.from(fromBinary(GetStateResponseSchema, message).data).toString('utf8');
}

/** The key of a GetState request. */
export function keyOf(payload: Uint8Array): string {
  return fromBinary(GetStateRequestSchema, payload).key;
}
