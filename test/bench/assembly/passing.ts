// Lets everything pass and looks at nothing: what any filter in WebAssembly costs.

import { HttpContext, registerRoot, RootContext } from '../../../assembly/host/context';

export * from '../../../assembly/host/exports-passing';

class Stream extends HttpContext {}

class Root extends RootContext {
  onConfigure(size: u32): bool {
    return true;
  }

  createHttpContext(id: u32): HttpContext {
    return new Stream(id);
  }
}

registerRoot((id: u32): RootContext => new Root(id));
