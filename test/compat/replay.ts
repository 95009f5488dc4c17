import { fromJson, toBinary, toJson, fromBinary, type DescMessage } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import * as dapr from '../../components-bridge/src/gen/dapr/proto/runtime/v1/configuration_pb.js';
import { GetMetadataResponseSchema } from '../../components-bridge/src/gen/dapr/proto/runtime/v1/metadata_pb.js';
import {
  InvokeBindingRequestSchema,
  InvokeBindingResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/binding_pb.js';
import {
  GetConfigurationRequestSchema,
  GetConfigurationResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import {
  SayHelloRequestSchema,
  SayHelloResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/hello_pb.js';
import {
  LockKeepAliveRequestSchema,
  LockKeepAliveResponseSchema,
  TryLockRequestSchema,
  TryLockResponseSchema,
  UnlockRequestSchema,
  UnlockResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/lock_pb.js';
import { PublishEventRequestSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import {
  GetSecretRequestSchema,
  GetSecretResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/secret_pb.js';
import {
  GetNextIdRequestSchema,
  GetNextIdResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/sequencer_pb.js';
import {
  DeleteBulkStateRequestSchema,
  DeleteStateRequestSchema,
  ExecuteStateTransactionRequestSchema,
  GetBulkStateRequestSchema,
  GetBulkStateResponseSchema,
  GetStateRequestSchema,
  GetStateResponseSchema,
  SaveStateRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { grpcFrame, type RawClient } from '../support/grpc-raw.js';
import { http1, type Target } from '../support/http1.js';
import { sleep } from '../support/wait.js';
import type { Detail, GrpcOutcome, HttpOutcome } from './compare.js';

/** One recorded gRPC call. */
export interface GrpcRow {
  label: string;
  /** `package.Service/Method`. */
  method: string;
  request: unknown;
  waitMs?: number;
  response?: unknown;
  error?: { code: number; message: string; details: Detail[] };
}

/** One recorded HTTP call. */
export interface HttpRow {
  label: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | { base64: string };
  waitMs?: number;
  response: HttpOutcome;
}

const SCHEMAS: Record<string, [DescMessage, DescMessage]> = {
  PublishEvent: [PublishEventRequestSchema, EmptySchema],
  GetState: [GetStateRequestSchema, GetStateResponseSchema],
  GetBulkState: [GetBulkStateRequestSchema, GetBulkStateResponseSchema],
  SaveState: [SaveStateRequestSchema, EmptySchema],
  DeleteState: [DeleteStateRequestSchema, EmptySchema],
  DeleteBulkState: [DeleteBulkStateRequestSchema, EmptySchema],
  ExecuteStateTransaction: [ExecuteStateTransactionRequestSchema, EmptySchema],
  GetConfiguration: [GetConfigurationRequestSchema, GetConfigurationResponseSchema],
  'dapr.proto.runtime.v1.Dapr/GetConfiguration': [
    dapr.GetConfigurationRequestSchema,
    dapr.GetConfigurationResponseSchema,
  ],
  GetMetadata: [EmptySchema, GetMetadataResponseSchema],
  GetSecret: [GetSecretRequestSchema, GetSecretResponseSchema],
  InvokeBinding: [InvokeBindingRequestSchema, InvokeBindingResponseSchema],
  TryLock: [TryLockRequestSchema, TryLockResponseSchema],
  TryLockAlpha1: [TryLockRequestSchema, TryLockResponseSchema],
  Unlock: [UnlockRequestSchema, UnlockResponseSchema],
  UnlockAlpha1: [UnlockRequestSchema, UnlockResponseSchema],
  LockKeepAlive: [LockKeepAliveRequestSchema, LockKeepAliveResponseSchema],
  GetNextId: [GetNextIdRequestSchema, GetNextIdResponseSchema],
  SayHello: [SayHelloRequestSchema, SayHelloResponseSchema],
};

/** Members of the metadata that have another name in Dapr's JSON than in its messages. */
const JSON_NAMES: Record<string, string> = {
  registeredComponents: 'components',
  extendedMetadata: 'extended',
};

/** Members of Dapr's requests that have another name in the bridge's messages, with the same number. */
const REQUEST_NAMES: Record<string, string> = { expiry_in_seconds: 'expire' };

function renamed(members: object, names: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [names[name] ?? name, value]));
}

/** Makes a recorded gRPC call again, and puts the answer in the form of the recordings. */
export async function replayGrpc(client: RawClient, row: GrpcRow): Promise<GrpcOutcome> {
  if (row.waitMs !== undefined) await sleep(row.waitMs);
  const schemas = SCHEMAS[row.method] ?? SCHEMAS[row.method.split('/')[1] ?? ''];
  if (schemas === undefined) throw new Error(`no schema for ${row.method}`);
  const [input, output] = schemas;
  const request = renamed(row.request as object, REQUEST_NAMES);
  const message = fromJson(input, request as never, { ignoreUnknownFields: true });
  const answer = await client.send({ path: `/${row.method}`, body: [grpcFrame(toBinary(input, message))] });
  if (answer.grpcStatus !== 0) {
    const details = (answer.details?.details ?? []).map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
      value: Buffer.from(value).toString('base64'),
    }));
    return { error: { code: answer.grpcStatus, message: answer.grpcMessage, details } };
  }
  const response = fromBinary(output, answer.messages[0] ?? new Uint8Array());
  // Each API has its own names for what became of a lock.
  const enumAsInteger = /lock/i.test(row.method);
  return { response: renamed(toJson(output, response, { enumAsInteger }) as object, JSON_NAMES) };
}

/** Makes a recorded HTTP call again. */
export async function replayHttp(target: Target, row: HttpRow): Promise<HttpOutcome> {
  if (row.waitMs !== undefined) await sleep(row.waitMs);
  const body = typeof row.body === 'object' ? Buffer.from(row.body.base64, 'base64') : row.body;
  const answer = await http1(target, row.method, row.path, { headers: row.headers, body });
  const headers: Record<string, string> = {};
  for (const name of ['content-type', 'etag']) {
    const value = answer.headers[name];
    if (value !== undefined) headers[name] = String(value);
  }
  return { status: answer.status, headers, body: answer.body };
}
