// Secrets as Dapr's gRPC API spells them (dapr.proto.runtime.v1.Dapr). Its
// secret errors carry no details.

import { Exchange } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { Refusal } from '../../dialects/store-refusal';
import { View } from '../../wire/view';
import { GetBulkSecret, GetSecret, Spelling } from './grpc';

/** Dapr's words, over gRPC and over HTTP. */
export class DaprSpelling extends Spelling {
  refusal(exchange: Exchange, refusal: Refusal, store: View): View {
    const w = exchange.writer();
    if (refusal == Refusal.Malformed) w.text('the request message is not valid protobuf');
    else if (refusal == Refusal.NotConfigured) w.text('secret store is not configured');
    else {
      w.text('failed finding secret store with key ');
      w.raw(store);
    }
    return w.view();
  }

  get(exchange: Exchange, store: View, key: View, reason: View): View {
    const w = exchange.writer();
    w.text('failed getting secret with key ');
    w.raw(key);
    w.text(' from secret store ');
    w.raw(store);
    w.text(': ');
    w.raw(reason);
    return w.view();
  }

  getBulk(exchange: Exchange, store: View, reason: View): View {
    const w = exchange.writer();
    w.text('failed getting secrets from secret store ');
    w.raw(store);
    w.text(': ');
    w.raw(reason);
    return w.view();
  }
}

export const DAPR_SPELLING = new DaprSpelling();
const SERVICE = '/dapr.proto.runtime.v1.Dapr/';

/** Enters Dapr's secret methods. */
export function installDaprSecret(router: Router): void {
  router.grpc('secret', 'GetSecret', SERVICE + 'GetSecret', (): Handler => new GetSecret(DAPR_SPELLING));
  router.grpc(
    'secret',
    'GetBulkSecret',
    SERVICE + 'GetBulkSecret',
    (): Handler => new GetBulkSecret(DAPR_SPELLING),
  );
}
