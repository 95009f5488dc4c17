import type { MessageInitShape } from '@bufbuild/protobuf';

import * as dapr from '../../components-bridge/src/gen/dapr/proto/runtime/v1/configuration_pb.js';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import type { RawAnswer, RawClient } from './grpc-raw.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const DAPR = '/dapr.proto.runtime.v1.Dapr';

/** What a read gave. */
export interface ReadOutcome {
  grpcStatus: number;
  grpcMessage: string;
  /** Content by key. */
  contents: Record<string, string>;
  /** What the answer says of its age, in milliseconds; NaN: nothing. */
  ageMs: number;
}

type GetRequest = MessageInitShape<typeof pb.GetConfigurationRequestSchema>;

/** Reads through Layotto's API. */
export async function readLayotto(client: RawClient, request: GetRequest): Promise<ReadOutcome> {
  const path = `${LAYOTTO}/GetConfiguration`;
  const answer = await client.unary(
    path,
    pb.GetConfigurationRequestSchema,
    request,
    pb.GetConfigurationResponseSchema,
  );
  const items = answer.message?.items ?? [];
  return {
    ...outcome(answer),
    contents: Object.fromEntries(items.map(({ key, content }) => [key, content])),
  };
}

/** Reads through Dapr's API. */
export async function readDapr(client: RawClient, storeName: string, keys: string[]): Promise<ReadOutcome> {
  const request = { storeName, keys };
  const path = `${DAPR}/GetConfiguration`;
  const answer = await client.unary(
    path,
    dapr.GetConfigurationRequestSchema,
    request,
    dapr.GetConfigurationResponseSchema,
  );
  const items = answer.message?.items ?? [];
  return {
    ...outcome(answer),
    contents: Object.fromEntries(items.map(({ key, value }) => [key, value?.value ?? ''])),
  };
}

/** Saves through Layotto's API. */
export function saveLayotto(
  client: RawClient,
  request: MessageInitShape<typeof pb.SaveConfigurationRequestSchema>,
): Promise<RawAnswer> {
  const path = `${LAYOTTO}/SaveConfiguration`;
  return client.unary(path, pb.SaveConfigurationRequestSchema, request, pb.SaveConfigurationResponseSchema);
}

/** Deletes through Layotto's API. */
export function deleteLayotto(
  client: RawClient,
  request: MessageInitShape<typeof pb.DeleteConfigurationRequestSchema>,
): Promise<RawAnswer> {
  const path = `${LAYOTTO}/DeleteConfiguration`;
  return client.unary(
    path,
    pb.DeleteConfigurationRequestSchema,
    request,
    pb.DeleteConfigurationResponseSchema,
  );
}

function outcome({ grpcStatus, grpcMessage, headers }: RawAnswer): Omit<ReadOutcome, 'contents'> {
  return { grpcStatus, grpcMessage, ageMs: Number(headers['layotto-configuration-age'] ?? NaN) };
}
