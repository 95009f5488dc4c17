// The lock primitive: everything a module needs to serve it.

import { Router } from '../../dialects/router';
import { installDaprLock } from './dapr-grpc';
import { installDaprHttpLock } from './dapr-http';
import { installLayottoLock } from './layotto-grpc';

/** Enters locks behind every door. */
export function installLock(router: Router): void {
  installLayottoLock(router);
  installDaprLock(router);
  installDaprHttpLock(router);
}
