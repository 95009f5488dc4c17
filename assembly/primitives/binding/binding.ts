// The output binding primitive: everything a module needs to serve it.

import { Router } from '../../dialects/router';
import { installDaprBinding } from './dapr-grpc';
import { installDaprHttpBinding } from './dapr-http';
import { installLayottoBinding } from './layotto-grpc';

/** Enters output bindings behind every door. */
export function installBinding(router: Router): void {
  installLayottoBinding(router);
  installDaprBinding(router);
  installDaprHttpBinding(router);
}
