// The root context of a filter that needs no configuration: it makes contexts of streams.

import { HttpContext, RootContext } from '../../../assembly/host/context';

export class Root extends RootContext {
  constructor(
    id: u32,
    private readonly streamOf: (id: u32) => HttpContext,
  ) {
    super(id);
  }

  onConfigure(size: u32): bool {
    return true;
  }

  createHttpContext(id: u32): HttpContext {
    return this.streamOf(id);
  }
}
