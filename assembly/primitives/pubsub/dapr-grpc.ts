// Publishing as Dapr's gRPC API spells it (dapr.proto.runtime.v1.Dapr): the same
// statuses, with google.rpc error details.

import { Code } from '../../dialects/codes';
import { Exchange } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { View } from '../../wire/view';
import { failGrpc, refuseGrpc } from './dapr-errors';
import { BulkPublishEvent, PublishEvent, Spelling } from './grpc';
import { Refusal } from './operations';

class DaprSpelling extends Spelling {
  get dapr(): bool {
    return true;
  }

  protected get notFound(): string {
    return ' is not found';
  }

  refuse(exchange: Exchange, refusal: Refusal, text: View, component: View): void {
    refuseGrpc(exchange, refusal, text, component);
  }

  fail(exchange: Exchange, code: i32, text: View, component: View): void {
    failGrpc(exchange, code, text, component);
  }

  denied(exchange: Exchange, message: View, component: View): bool {
    failGrpc(exchange, Code.PERMISSION_DENIED, message, component);
    return true;
  }
}

/** Dapr's words, over gRPC and over HTTP. */
export const DAPR_SPELLING = new DaprSpelling();
const SERVICE = '/dapr.proto.runtime.v1.Dapr/';

/** Enters Dapr's publishing methods. */
export function installDaprPubSub(router: Router): void {
  const publish = SERVICE + 'PublishEvent';
  router.grpc('pubsub', 'PublishEvent', publish, (): Handler => new PublishEvent(DAPR_SPELLING));
  const bulk = SERVICE + 'BulkPublishEvent';
  router.grpc('pubsub', 'BulkPublishEvent', bulk, (): Handler => new BulkPublishEvent(DAPR_SPELLING));
  const alpha = SERVICE + 'BulkPublishEventAlpha1';
  router.grpc('pubsub', 'BulkPublishEvent', alpha, (): Handler => new BulkPublishEvent(DAPR_SPELLING));
}
