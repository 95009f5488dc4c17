// Reads the heads of a call in the cheapest ways there are, and does nothing about them: the least that a filter which
// checks calls and counts their answers can cost.

import { HttpContext, registerRoot, RootContext } from '../../../assembly/host/context';
import { Action, HeaderMap } from '../../../assembly/host/enums';
import { getHeader, HeaderPairs } from '../../../assembly/host/headers';
import { release } from '../../../assembly/host/memory';
import { literal } from '../../../assembly/wire/view';

export * from '../../../assembly/host/exports-passing';

const STATUS = literal(':status');
const pairs = new HeaderPairs();

class Stream extends HttpContext {
  onRequestHeaders(count: u32, endOfStream: bool): Action {
    pairs.fetch(HeaderMap.RequestHeaders);
    pairs.free();
    return Action.Continue;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    release(getHeader(HeaderMap.ResponseHeaders, STATUS));
    return Action.Continue;
  }
}

class Root extends RootContext {
  onConfigure(size: u32): bool {
    return true;
  }

  createHttpContext(id: u32): HttpContext {
    return new Stream(id);
  }
}

registerRoot((id: u32): RootContext => new Root(id));
