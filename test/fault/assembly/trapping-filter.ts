// For tests only: a filter that lets everything pass, and dies when a request has the header x-test-trap.

import { constant } from '../../../assembly/host/bytes';
import { HttpContext, registerRoot, RootContext } from '../../../assembly/host/context';
import { Action, HeaderMap } from '../../../assembly/host/enums';
import { getHeader } from '../../../assembly/host/headers';

export * from '../../../assembly/host/exports';

const TRAP = constant('x-test-trap');

class Stream extends HttpContext {
  onRequestHeaders(count: u32, endOfStream: bool): Action {
    if (getHeader(HeaderMap.RequestHeaders, TRAP) != 0) unreachable();
    return Action.Continue;
  }
}

class Root extends RootContext {
  /** A configuration of one byte is refused. */
  onConfigure(size: u32): bool {
    return size != 1;
  }

  createHttpContext(id: u32): HttpContext {
    return new Stream(id);
  }
}

registerRoot((id: u32): RootContext => new Root(id));
