// Publish and subscribe: everything a module needs to serve it. Deliveries come
// from the bridge, past the filter.

import { Router } from '../../dialects/router';
import { installDaprPubSub } from './dapr-grpc';
import { installDaprHttpPubSub } from './dapr-http';
import { installJsonPubSub } from './json';
import { installLayottoPubSub } from './layotto-grpc';
import { installEventStreams } from './streams';

/** Enters publishing behind every door, and the streams of events. */
export function installPubSub(router: Router): void {
  installLayottoPubSub(router);
  installDaprPubSub(router);
  installDaprHttpPubSub(router);
  installJsonPubSub(router);
  installEventStreams(router);
}
