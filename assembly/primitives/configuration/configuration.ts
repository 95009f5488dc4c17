// The configuration primitive: everything a module needs to serve it.

import { Router } from '../../dialects/router';
import { installDaprConfiguration } from './dapr-grpc';
import { installDaprHttpConfiguration } from './dapr-http';
import { installLayottoConfiguration } from './layotto-grpc';

/** Enters configuration behind every door. */
export function installConfiguration(router: Router): void {
  installLayottoConfiguration(router);
  installDaprConfiguration(router);
  installDaprHttpConfiguration(router);
}
