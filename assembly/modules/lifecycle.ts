// lifecycle.wasm: new settings for components while the runtime runs, alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installHealth } from '../primitives/health/health';
import { installLifecycle } from '../primitives/lifecycle/lifecycle';

export * from '../host/exports-answering';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installLifecycle(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
