// configuration.wasm: the configuration primitive alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installConfiguration } from '../primitives/configuration/configuration';
import { installHealth } from '../primitives/health/health';

export * from '../host/exports-passing';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installConfiguration(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
