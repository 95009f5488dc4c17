// State as Layotto's gRPC API spells it (spec.proto.runtime.v1.Runtime).

import { Exchange } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { View } from '../../wire/view';
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
import { Refusal } from './operations';

/** Plain statuses: Layotto sends no error details. */
class LayottoSpelling extends Spelling {
  get refusesEmptyKey(): bool {
    return false;
  }

  refuse(exchange: Exchange, method: Method, refusal: Refusal, store: View, subject: View): void {
    exchange.reply.grpcError(refusalCode(refusal), refusalText(exchange, refusal, store, subject));
  }

  fail(exchange: Exchange, method: Method, code: i32, message: View): void {
    exchange.reply.grpcError(code, message);
  }
}

const SPELLING = new LayottoSpelling();
const SERVICE = '/spec.proto.runtime.v1.Runtime/';

/** Enters Layotto's state methods. */
export function installLayottoState(router: Router): void {
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
