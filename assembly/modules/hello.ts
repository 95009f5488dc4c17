// hello.wasm: the hello primitive alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installHello } from '../primitives/hello/hello';
import { installHealth } from '../primitives/health/health';

export * from '../host/exports-answering';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installHello(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
