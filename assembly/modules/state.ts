// state.wasm: the state primitive alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installHealth } from '../primitives/health/health';
import { installState } from '../primitives/state/state';

export * from '../host/exports-answering';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installState(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
