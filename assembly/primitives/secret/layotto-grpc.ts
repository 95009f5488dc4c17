// Secrets as Layotto's gRPC API spells them (spec.proto.runtime.v1.Runtime).

import { Exchange } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { Refusal } from '../../dialects/store-refusal';
import { View } from '../../wire/view';
import { GetBulkSecret, GetSecret, Spelling } from './grpc';

class LayottoSpelling extends Spelling {
  refusal(exchange: Exchange, refusal: Refusal, store: View): View {
    const w = exchange.writer();
    if (refusal == Refusal.Malformed) w.text('the request message is not valid protobuf');
    else if (refusal == Refusal.NotConfigured) w.text('error when get secret but not find configured');
    else {
      w.text('error when get secret but not find : ');
      w.raw(store);
    }
    return w.view();
  }

  get(exchange: Exchange, store: View, key: View, reason: View): View {
    const w = exchange.writer();
    w.text('error when get secret : secret name => ');
    w.raw(key);
    w.text(',store name =>');
    w.raw(store);
    w.text(',error => ');
    w.raw(reason);
    return w.view();
  }

  getBulk(exchange: Exchange, store: View, reason: View): View {
    const w = exchange.writer();
    w.text('error when bulk get secret ');
    w.raw(store);
    w.text(': ');
    w.raw(reason);
    return w.view();
  }
}

const SPELLING = new LayottoSpelling();
const SERVICE = '/spec.proto.runtime.v1.Runtime/';

/** Enters Layotto's secret methods. */
export function installLayottoSecret(router: Router): void {
  router.grpc('secret', 'GetSecret', SERVICE + 'GetSecret', (): Handler => new GetSecret(SPELLING));
  router.grpc(
    'secret',
    'GetBulkSecret',
    SERVICE + 'GetBulkSecret',
    (): Handler => new GetBulkSecret(SPELLING),
  );
}
