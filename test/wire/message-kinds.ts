import type { DescMessage } from '@bufbuild/protobuf';

import * as metadata from '../../components-bridge/src/gen/dapr/proto/runtime/v1/metadata_pb.js';
import * as status from '../../components-bridge/src/gen/google/rpc/status_pb.js';
import * as session from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import * as state from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { EverythingSchema } from './gen/layotto/test/v1/everything_pb.js';

/** The messages that test/wire/assembly/messages.ts knows, each at its number. */
export const MESSAGE_KINDS: readonly DescMessage[] = [
  EverythingSchema,
  session.FrameSchema,
  session.HelloSchema,
  session.FailureSchema,
  state.GetStateRequestSchema,
  state.GetStateResponseSchema,
  state.GetBulkStateRequestSchema,
  state.GetBulkStateResponseSchema,
  state.SaveStateRequestSchema,
  state.DeleteStateRequestSchema,
  state.DeleteBulkStateRequestSchema,
  state.ExecuteStateTransactionRequestSchema,
  metadata.GetMetadataResponseSchema,
  metadata.SetMetadataRequestSchema,
  metadata.ActorRuntimeSchema,
  metadata.AppConnectionPropertiesSchema,
  status.StatusSchema,
  status.BadRequestSchema,
  status.ErrorInfoSchema,
  status.ResourceInfoSchema,
];
