// Locks as Layotto's gRPC API spells them (spec.proto.runtime.v1.Runtime).

import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { LockKeepAlive, Spelling, TryLock, Unlock } from './grpc';

/** The reason of a failure stands alone in Layotto. */
class LayottoSpelling extends Spelling {
  protected get expiry(): string {
    return 'Expire';
  }

  get taking(): string {
    return '';
  }

  get changing(): string {
    return '';
  }
}

const SPELLING = new LayottoSpelling();
const SERVICE = '/spec.proto.runtime.v1.Runtime/';

/** Enters Layotto's lock methods. */
export function installLayottoLock(router: Router): void {
  router.grpc('lock', 'TryLock', SERVICE + 'TryLock', (): Handler => new TryLock(SPELLING));
  router.grpc('lock', 'Unlock', SERVICE + 'Unlock', (): Handler => new Unlock(SPELLING));
  router.grpc('lock', 'LockKeepAlive', SERVICE + 'LockKeepAlive', (): Handler => new LockKeepAlive(SPELLING));
}
