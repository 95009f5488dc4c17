// The secret primitive: everything a module needs to serve it.

import { Router } from '../../dialects/router';
import { installDaprSecret } from './dapr-grpc';
import { installDaprHttpSecret } from './dapr-http';
import { installLayottoSecret } from './layotto-grpc';

/** Enters secrets behind every door. */
export function installSecret(router: Router): void {
  installLayottoSecret(router);
  installDaprSecret(router);
  installDaprHttpSecret(router);
}
