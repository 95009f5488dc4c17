// The first version: calls go as they are, once.

import { constant } from '../../../assembly/host/bytes';
import { HttpContext, registerRoot, RootContext } from '../../../assembly/host/context';
import { Action, HeaderMap } from '../../../assembly/host/enums';
import { replaceHeader } from '../../../assembly/host/headers';

export * from '../../../assembly/host/exports';

const SDK = constant('x-sdk');
const PLAIN = constant('plain');

class PlainCall extends HttpContext {
  onRequestHeaders(count: u32, endOfStream: bool): Action {
    replaceHeader(HeaderMap.RequestHeaders, SDK, PLAIN);
    return Action.Continue;
  }
}

class Plain extends RootContext {
  onConfigure(size: u32): bool {
    return true;
  }

  createHttpContext(id: u32): HttpContext {
    return new PlainCall(id);
  }
}

registerRoot((id: u32): RootContext => new Plain(id));
