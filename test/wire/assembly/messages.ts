import {
  ActorRuntime,
  AppConnectionProperties,
  GetMetadataResponse,
  SetMetadataRequest,
} from '../../../assembly/wire/gen/dapr/proto/runtime/v1/metadata';
import { BadRequest, ErrorInfo, ResourceInfo, Status } from '../../../assembly/wire/gen/google/rpc/status';
import { Failure, Frame, Hello } from '../../../assembly/wire/gen/layotto/bridge/v1/session';
import {
  DeleteBulkStateRequest,
  DeleteStateRequest,
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetBulkStateResponse,
  GetStateRequest,
  GetStateResponse,
  SaveStateRequest,
} from '../../../assembly/wire/gen/layotto/bridge/v1/state';
import { ByteWriter } from '../../../assembly/wire/bytes';
import { View } from '../../../assembly/wire/view';
import { Everything } from './gen/layotto/test/v1/everything';

// one of each, used again and again as the filter does
const everything = new Everything();
const frame = new Frame();
const hello = new Hello();
const failure = new Failure();
const getStateRequest = new GetStateRequest();
const getStateResponse = new GetStateResponse();
const getBulkStateRequest = new GetBulkStateRequest();
const getBulkStateResponse = new GetBulkStateResponse();
const saveStateRequest = new SaveStateRequest();
const deleteStateRequest = new DeleteStateRequest();
const deleteBulkStateRequest = new DeleteBulkStateRequest();
const executeStateTransactionRequest = new ExecuteStateTransactionRequest();
const getMetadataResponse = new GetMetadataResponse();
const setMetadataRequest = new SetMetadataRequest();
const actorRuntime = new ActorRuntime();
const appConnectionProperties = new AppConnectionProperties();
const status = new Status();
const badRequest = new BadRequest();
const errorInfo = new ErrorInfo();
const resourceInfo = new ResourceInfo();

function twice<T>(message: T, input: View, w: ByteWriter): bool {
  if (!message.decode(input)) return false;
  message.encode(w);
  return true;
}

/** Decodes and encodes a message of the kind that test/wire/message-kinds.ts lists at that place. */
export function codec(kind: u8, input: View, w: ByteWriter): bool {
  switch (kind) {
    case 0:
      return twice(everything, input, w);
    case 1:
      return twice(frame, input, w);
    case 2:
      return twice(hello, input, w);
    case 3:
      return twice(failure, input, w);
    case 4:
      return twice(getStateRequest, input, w);
    case 5:
      return twice(getStateResponse, input, w);
    case 6:
      return twice(getBulkStateRequest, input, w);
    case 7:
      return twice(getBulkStateResponse, input, w);
    case 8:
      return twice(saveStateRequest, input, w);
    case 9:
      return twice(deleteStateRequest, input, w);
    case 10:
      return twice(deleteBulkStateRequest, input, w);
    case 11:
      return twice(executeStateTransactionRequest, input, w);
    case 12:
      return twice(getMetadataResponse, input, w);
    case 13:
      return twice(setMetadataRequest, input, w);
    case 14:
      return twice(actorRuntime, input, w);
    case 15:
      return twice(appConnectionProperties, input, w);
    case 16:
      return twice(status, input, w);
    case 17:
      return twice(badRequest, input, w);
    case 18:
      return twice(errorInfo, input, w);
    case 19:
      return twice(resourceInfo, input, w);
    default:
      return false;
  }
}
