// Service invocation: everything a module needs to serve it. Nothing of it goes
// to the bridge.

import { Router } from '../../dialects/router';
import { installDaprInvoke } from './dapr-grpc';
import { installLayottoInvoke } from './layotto-grpc';

/** Enters service invocation behind every door but JSON's: HTTP callers have Dapr's. */
export function installInvoke(router: Router): void {
  router.passInvocations('invoke');
  installLayottoInvoke(router);
  installDaprInvoke(router);
}
