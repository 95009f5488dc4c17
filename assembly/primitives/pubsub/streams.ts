// Subscriptions as streams, which pass to the bridge as they are.

import { Code } from '../../dialects/codes';
import { Router } from '../../dialects/router';

const NO_BROKER = 'no pub/sub component is configured; add a component of a type that starts with pubsub.';

function install(router: Router, path: string): void {
  router.stream('pubsub', 'SubscribeTopicEvents', path, Code.FAILED_PRECONDITION, NO_BROKER);
}

/** Enters the streaming methods of Layotto's and Dapr's gRPC APIs. */
export function installEventStreams(router: Router): void {
  install(router, '/spec.proto.runtime.v1.Runtime/SubscribeTopicEvents');
  install(router, '/dapr.proto.runtime.v1.Dapr/SubscribeTopicEventsAlpha1');
}
