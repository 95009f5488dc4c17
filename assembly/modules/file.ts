// file.wasm: the file primitive alone.

import { Router } from '../dialects/router';
import { registerRoot, RootContext } from '../host/context';
import { Runtime } from '../root';
import { installFile } from '../primitives/file/file';
import { installHealth } from '../primitives/health/health';

export * from '../host/exports-passing';
export { layotto_describe } from '../describe';

function install(router: Router): void {
  installFile(router);
  installHealth(router);
}

registerRoot((id: u32): RootContext => new Runtime(id, install));
