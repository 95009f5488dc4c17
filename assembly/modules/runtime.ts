// runtime.wasm: every primitive in one module, and what lets plain calls pass.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { isOutbound, Outbound } from '../outbound/outbound';
import { Runtime } from '../root';
import { installBinding } from '../primitives/binding/binding';
import { installConfiguration } from '../primitives/configuration/configuration';
import { installFile } from '../primitives/file/file';
import { installHealth } from '../primitives/health/health';
import { installHello } from '../primitives/hello/hello';
import { installInvoke } from '../primitives/invoke/invoke';
import { installLifecycle } from '../primitives/lifecycle/lifecycle';
import { installLock } from '../primitives/lock/lock';
import { installMetadata } from '../primitives/metadata/metadata';
import { installPubSub } from '../primitives/pubsub/pubsub';
import { installSecret } from '../primitives/secret/secret';
import { installSequencer } from '../primitives/sequencer/sequencer';
import { installState } from '../primitives/state/state';

export * from '../host/exports-passing';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installState(router);
  installBinding(router);
  installConfiguration(router);
  installFile(router);
  installHello(router);
  installInvoke(router);
  installLifecycle(router);
  installLock(router);
  installMetadata(router);
  installPubSub(router);
  installSecret(router);
  installSequencer(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => (isOutbound() ? new Outbound(id) : new Runtime(id, install)));
