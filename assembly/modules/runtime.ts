// runtime.wasm: every primitive in one module.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installHealth } from '../primitives/health/health';
import { installMetadata } from '../primitives/metadata/metadata';
import { installState } from '../primitives/state/state';

export * from '../host/exports-answering';

function install(router: Router): void {
  installState(router);
  installMetadata(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
