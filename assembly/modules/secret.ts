// secret.wasm: the secret primitive alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installSecret } from '../primitives/secret/secret';
import { installHealth } from '../primitives/health/health';

export * from '../host/exports-answering';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installSecret(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
