// Publishing: everything a module needs to serve it.

import { Router } from '../../dialects/router';
import { installDaprPubSub } from './dapr-grpc';
import { installDaprHttpPubSub } from './dapr-http';
import { installLayottoPubSub } from './layotto-grpc';

/** Enters publishing behind every door. */
export function installPubSub(router: Router): void {
  installLayottoPubSub(router);
  installDaprPubSub(router);
  installDaprHttpPubSub(router);
}
