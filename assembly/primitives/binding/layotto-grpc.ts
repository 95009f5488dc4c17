// Output bindings as Layotto's gRPC API spells them (spec.proto.runtime.v1.Runtime).

import { Exchange } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { View } from '../../wire/view';
import { InvokeBinding } from './grpc';

class LayottoInvokeBinding extends InvokeBinding {
  protected get failing(): string {
    return 'error when invoke output binding ';
  }

  protected refuse(exchange: Exchange, code: i32, text: View): void {
    exchange.reply.grpcError(code, text);
  }
}

/** Enters Layotto's binding method. */
export function installLayottoBinding(router: Router): void {
  const path = '/spec.proto.runtime.v1.Runtime/InvokeBinding';
  router.grpc('binding', 'InvokeBinding', path, (): Handler => new LayottoInvokeBinding());
}
