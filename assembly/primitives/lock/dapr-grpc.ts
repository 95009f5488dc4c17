// Locks as Dapr's gRPC API spells them (dapr.proto.runtime.v1.Dapr). Its lock
// errors carry no details.

import { Exchange } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { View } from '../../wire/view';
import { Spelling, TryLock, Unlock } from './grpc';
import { Refusal } from './operations';

/** Dapr's words, over gRPC and over HTTP. */
class DaprSpelling extends Spelling {
  /** Dapr looks at the time to live before anything else. */
  check(exchange: Exchange, store: View, resource: View, owner: View, expire: i32): Refusal {
    const refusal = super.check(exchange, store, resource, owner, expire);
    return expire <= 0 ? Refusal.NoExpiry : refusal;
  }

  protected get expiry(): string {
    return 'ExpiryInSeconds';
  }

  get taking(): string {
    return 'failed to try acquiring lock: ';
  }

  get changing(): string {
    return 'failed to release lock: ';
  }
}

export const DAPR_SPELLING = new DaprSpelling();
const SERVICE = '/dapr.proto.runtime.v1.Dapr/';

/** Enters Dapr's lock methods. */
export function installDaprLock(router: Router): void {
  router.grpc('lock', 'TryLock', SERVICE + 'TryLockAlpha1', (): Handler => new TryLock(DAPR_SPELLING));
  router.grpc('lock', 'Unlock', SERVICE + 'UnlockAlpha1', (): Handler => new Unlock(DAPR_SPELLING));
}
