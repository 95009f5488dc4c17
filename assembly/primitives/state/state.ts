// The state primitive: everything a module needs to serve it.

import { Router } from '../../dialects/router';
import { installDaprState } from './dapr-grpc';
import { installDaprHttpState } from './dapr-http';
import { installLayottoState } from './layotto-grpc';

/** Enters state behind every door. */
export function installState(router: Router): void {
  installLayottoState(router);
  installDaprState(router);
  installDaprHttpState(router);
}
