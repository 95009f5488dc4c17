// State as Dapr's gRPC API spells it (dapr.proto.runtime.v1.Dapr): the same
// statuses, with google.rpc error details.

import { DaprDetails } from '../../dialects/dapr-details';
import { clip, Exchange } from '../../dialects/exchange';
import { addDetails } from '../../dialects/grpc';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { literal, View } from '../../wire/view';
import {
  DeleteBulkState,
  DeleteState,
  ExecuteStateTransaction,
  GetBulkState,
  GetState,
  Method,
  refusalCode,
  refusalText,
  SaveState,
  Spelling,
} from './grpc';
import { Refusal, STATE } from './operations';

export const DAPR_STATE_NOT_FOUND = literal('DAPR_STATE_NOT_FOUND');
export const DAPR_STATE_NOT_CONFIGURED = literal('DAPR_STATE_NOT_CONFIGURED');
export const DAPR_STATE_ILLEGAL_KEY = literal('DAPR_STATE_ILLEGAL_KEY');
export const ERR_STATE_GET = literal('ERR_STATE_GET');
export const ERR_STATE_BULK_GET = literal('ERR_STATE_BULK_GET');
export const ERR_STATE_SAVE = literal('ERR_STATE_SAVE');
export const ERR_STATE_DELETE = literal('ERR_STATE_DELETE');
export const ERR_STATE_BULK_DELETE = literal('ERR_STATE_BULK_DELETE');
export const ERR_STATE_TRANSACTION = literal('ERR_STATE_TRANSACTION');
export const ERR_NOT_SUPPORTED_STATE_OPERATION = literal('ERR_NOT_SUPPORTED_STATE_OPERATION');
export const ERR_STATE_STORE_NOT_SUPPORTED = literal('ERR_STATE_STORE_NOT_SUPPORTED');
export const ERR_MALFORMED_REQUEST = literal('ERR_MALFORMED_REQUEST');

/** Dapr's reason for a failed method. */
export function failureReason(method: Method): View {
  switch (method) {
    case Method.Get:
      return ERR_STATE_GET;
    case Method.BulkGet:
      return ERR_STATE_BULK_GET;
    case Method.Save:
      return ERR_STATE_SAVE;
    case Method.Delete:
      return ERR_STATE_DELETE;
    case Method.BulkDelete:
      return ERR_STATE_BULK_DELETE;
    default:
      return ERR_STATE_TRANSACTION;
  }
}

class DaprSpelling extends Spelling {
  get refusesEmptyKey(): bool {
    return true;
  }

  refuse(exchange: Exchange, method: Method, refusal: Refusal, store: View, subject: View): void {
    const text = refusalText(exchange, refusal, store, subject);
    const code = refusalCode(refusal);
    const details = new DaprDetails(code, text);
    switch (refusal) {
      case Refusal.NotConfigured:
        details.errorInfo(DAPR_STATE_NOT_CONFIGURED);
        break;
      case Refusal.StoreNotFound:
        details.errorInfo(DAPR_STATE_NOT_FOUND);
        break;
      case Refusal.IllegalKey:
        details.badRequest(clip(subject), text);
        details.resourceInfo(STATE, clip(store));
        details.errorInfo(DAPR_STATE_ILLEGAL_KEY);
        break;
      case Refusal.UnknownOperation:
        details.errorInfo(ERR_NOT_SUPPORTED_STATE_OPERATION);
        break;
      case Refusal.NotTransactional:
        details.errorInfo(ERR_STATE_STORE_NOT_SUPPORTED);
        break;
      case Refusal.EmptyKey:
        details.errorInfo(failureReason(method));
        break;
      default:
        details.errorInfo(ERR_MALFORMED_REQUEST);
    }
    addDetails(exchange, details.encode(exchange));
    exchange.reply.grpcError(code, text);
  }

  fail(exchange: Exchange, method: Method, code: i32, message: View): void {
    const details = new DaprDetails(code, message);
    details.errorInfo(failureReason(method));
    addDetails(exchange, details.encode(exchange));
    exchange.reply.grpcError(code, message);
  }
}

const SPELLING = new DaprSpelling();
const SERVICE = '/dapr.proto.runtime.v1.Dapr/';

/** Enters Dapr's state methods. */
export function installDaprState(router: Router): void {
  router.grpc('state', 'GetState', SERVICE + 'GetState', (): Handler => new GetState(SPELLING));
  router.grpc('state', 'SaveState', SERVICE + 'SaveState', (): Handler => new SaveState(SPELLING));
  router.grpc('state', 'GetBulkState', SERVICE + 'GetBulkState', (): Handler => new GetBulkState(SPELLING));
  router.grpc('state', 'DeleteState', SERVICE + 'DeleteState', (): Handler => new DeleteState(SPELLING));
  router.grpc(
    'state',
    'DeleteBulkState',
    SERVICE + 'DeleteBulkState',
    (): Handler => new DeleteBulkState(SPELLING),
  );
  router.grpc(
    'state',
    'ExecuteStateTransaction',
    SERVICE + 'ExecuteStateTransaction',
    (): Handler => new ExecuteStateTransaction(SPELLING),
  );
}
