// A stream that passes to the bridge and back as it is: its head has been
// checked, its bytes are not looked at, and how it ends is counted.

import { CallSite } from './call-site';
import { Code } from './dialects/codes';
import { Door } from './dialects/door';
import { clip, Exchange } from './dialects/exchange';
import { Route } from './dialects/router';
import { grpcStatusIn } from './envoy-replies';
import { monotonicUs } from './host/clock';
import { HttpContext } from './host/context';
import { Action, HeaderMap } from './host/enums';
import { getHeader, replaceHeader } from './host/headers';
import { release } from './host/memory';
import { NO_COMPONENT } from './metrics/call-metrics';
import { ByteWriter } from './wire/bytes';
import { literal, View, viewEquals, viewLen, viewSlice } from './wire/view';

const GRPC_MESSAGE = literal('grpc-message');
const AWAY = 'the components bridge cannot be reached, or has gone: ';

/** How Envoy's own texts begin when nobody is behind the route, or no longer. */
const NO_UPSTREAM = literal('no healthy upstream');
const UPSTREAM_ERROR = literal('upstream connect error');

const MANY_STREAMS = literal('too many open streams: limits.streams is reached; try again later');

const NO_STATUS: i32 = -1;

/** Whether a stream may pass; if not, the refusal is filled in. */
export function mayPass(site: CallSite, door: Door, exchange: Exchange, route: Route): bool {
  const passing = route.passing!;
  if (!site.configuration.serves(passing.primitive)) {
    door.refuse(exchange, passing.unservedCode, passing.unserved);
    return false;
  }
  if (site.streams < site.configuration.streams) return true;
  site.refusedStreams++;
  door.refuse(exchange, Code.RESOURCE_EXHAUSTED, MANY_STREAMS);
  return false;
}

export class PassedStream extends HttpContext {
  /** The google.rpc.Code that it ended with. */
  private code: i32 = NO_STATUS;

  /** @param started when its head came, in microseconds */
  constructor(
    id: u32,
    private readonly site: CallSite,
    private readonly route: Route,
    private readonly started: i64,
  ) {
    super(id);
    site.streams++;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    if (!endOfStream) return Action.Continue;
    this.code = grpcStatusIn(HeaderMap.ResponseHeaders);
    if (this.code == Code.UNAVAILABLE) explainAbsence();
    return Action.Continue;
  }

  onResponseTrailers(count: u32): Action {
    this.code = grpcStatusIn(HeaderMap.ResponseTrailers);
    return Action.Continue;
  }

  onDone(): void {
    this.site.streams--;
    // Without a status its caller has reset it, or the bridge was lost on the way.
    const code = this.code == NO_STATUS ? <i32>Code.CANCELLED : this.code;
    this.site.called(this.route, NO_COMPONENT, code, monotonicUs() - this.started);
  }
}

/** Says of the bridge what Envoy's own reply says of an upstream. */
function explainAbsence(): void {
  const text = getHeader(HeaderMap.ResponseHeaders, GRPC_MESSAGE);
  if (startsWith(text, NO_UPSTREAM) || startsWith(text, UPSTREAM_ERROR)) {
    const writer = new ByteWriter();
    writer.text(AWAY);
    writer.raw(clip(text));
    replaceHeader(HeaderMap.ResponseHeaders, GRPC_MESSAGE, writer.view());
    writer.free();
  }
  release(text);
}

function startsWith(text: View, start: View): bool {
  return viewEquals(viewSlice(text, 0, viewLen(start)), start);
}
