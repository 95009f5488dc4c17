// Calls of other functions, and through the runtime of apps: HTTP requests to
// listeners of the same Envoy, which know the way.

import { Code } from '../dialects/codes';
import { Route } from '../dialects/router';
import { HttpCallout } from '../host/callout';
import { Buffer, HeaderMap } from '../host/enums';
import { getHeader } from '../host/headers';
import { release } from '../host/memory';
import { getBuffer } from '../host/stream';
import { literal, View, viewToString } from '../wire/view';
import { Ask } from './ask';
import { Call } from './call';
import { Handler } from './handler';
import { Answer, copied } from './results';
import { FunctionRoot } from './root';

const STATUS = literal(':status');
const CONTENT_TYPE = literal('content-type');
const NO_ANSWER = literal('it did not answer');
const TOO_LARGE = literal('its answer is larger than limits.message');

export class CalloutAsk extends Ask {
  status: i32 = 0;
  contentType: string = '';

  constructor(call: Call, route: Route, to: string) {
    super(call, route, to);
  }

  protected hand(handler: Handler, payload: View): bool {
    handler.onAnswer(this.call, new Answer(this.subject, this.status, this.contentType, copied(payload)));
    return true;
  }
}

/** One such request; used again when it is answered. */
export class Callout extends HttpCallout {
  private ask: CalloutAsk | null = null;

  constructor(private readonly site: FunctionRoot) {
    super(site);
  }

  /** Says who waits for the answer. */
  for(ask: CalloutAsk): void {
    this.ask = ask;
  }

  onResponse(headers: u32, bodySize: u32): void {
    const ask = this.ask!;
    this.ask = null;
    this.site.spare(this);
    if (headers == 0) return ask.onFailure(Code.UNAVAILABLE, NO_ANSWER);
    if (<i64>bodySize > <i64>this.site.configuration.messageBytes)
      return ask.onFailure(Code.RESOURCE_EXHAUSTED, TOO_LARGE);
    const status = getHeader(HeaderMap.HttpCallResponseHeaders, STATUS);
    ask.status = <i32>parseInt(viewToString(status));
    release(status);
    const type = getHeader(HeaderMap.HttpCallResponseHeaders, CONTENT_TYPE);
    ask.contentType = viewToString(type);
    release(type);
    const body = getBuffer(Buffer.HttpCallResponseBody, 0, bodySize);
    ask.onResult(body, body);
  }
}
