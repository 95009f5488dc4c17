// Output bindings as Dapr's gRPC API spells them (dapr.proto.runtime.v1.Dapr):
// failures with error details, and what the backend said of its answer as
// headers too.

import { Code } from '../../dialects/codes';
import { DaprDetails } from '../../dialects/dapr-details';
import { addMetadataHeaders } from '../../dialects/dapr-http';
import { Exchange } from '../../dialects/exchange';
import { addDetails } from '../../dialects/grpc';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { InvokeBindingResponse } from '../../wire/gen/layotto/bridge/v1/binding';
import { literal, View } from '../../wire/view';
import { InvokeBinding } from './grpc';

export const ERR_INVOKE_OUTPUT_BINDING = literal('ERR_INVOKE_OUTPUT_BINDING');

/** What the text of a failure begins with, over gRPC and over HTTP. */
export const FAILING = 'error invoking output binding ';

class DaprInvokeBinding extends InvokeBinding {
  onResult(exchange: Exchange, payload: View): void {
    const response = new InvokeBindingResponse();
    if (!response.decode(payload)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    addMetadataHeaders(exchange, response.metadata);
    exchange.reply.message(payload);
  }

  protected get failing(): string {
    return FAILING;
  }

  protected refuse(exchange: Exchange, code: i32, text: View): void {
    const details = new DaprDetails(code, text);
    details.errorInfo(ERR_INVOKE_OUTPUT_BINDING);
    addDetails(exchange, details.encode(exchange));
    exchange.reply.grpcError(code, text);
  }
}

/** Enters Dapr's binding method. */
export function installDaprBinding(router: Router): void {
  const path = '/dapr.proto.runtime.v1.Dapr/InvokeBinding';
  router.grpc('binding', 'InvokeBinding', path, (): Handler => new DaprInvokeBinding());
}
