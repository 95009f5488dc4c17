// binding.wasm: the binding primitive alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installBinding } from '../primitives/binding/binding';
import { installHealth } from '../primitives/health/health';

export * from '../host/exports-answering';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installBinding(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
