// pubsub.wasm: publishing, and the streams of events, alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installPubSub } from '../primitives/pubsub/pubsub';
import { installHealth } from '../primitives/health/health';

export * from '../host/exports-answering';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installPubSub(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
