// Reads the heads of a call in the cheapest ways there are, and does nothing about them: the least that a filter which
// checks calls and counts their answers can cost.

import { HttpContext, registerRoot, RootContext } from '../../../assembly/host/context';
import { Action, HeaderMap } from '../../../assembly/host/enums';
import { getHeader, HeaderPairs } from '../../../assembly/host/headers';
import { release } from '../../../assembly/host/memory';
import { literal } from '../../../assembly/wire/view';
import { Root } from './root';

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

registerRoot((id: u32): RootContext => new Root(id, (stream: u32): HttpContext => new Stream(stream)));
