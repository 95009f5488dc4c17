// An HTTP call to an app that speaks gRPC. The Lua filter behind this one holds it
// until it is whole, and makes it the OnInvoke of Dapr's AppCallback: here it is
// counted, and bounded as a message.

import { CallSite } from './call-site';
import { Callee } from './config/invocation';
import { Code } from './dialects/codes';
import { Door } from './dialects/door';
import { Exchange } from './dialects/exchange';
import { monotonicUs } from './host/clock';
import { HttpContext } from './host/context';
import { Action } from './host/enums';
import { succeeded } from './host/log';
import { GRPC_STATUS_NONE, sendLocalResponse } from './host/stream';
import { InvokedCall } from './passed-invocation';
import { BUSY } from './refusals';

/** The context of such a call. @param started when its head came, in microseconds */
export function onInvokeCall(
  id: u32,
  site: CallSite,
  door: Door,
  exchange: Exchange,
  started: i64,
): HttpContext {
  const call = new OnInvokeCall(site, door);
  call.begin(id, exchange.route!, <Callee>exchange.component!, false, started);
  return call;
}

class OnInvokeCall extends InvokedCall {
  /** Bytes of its body, all of which are held and counted in the budget. */
  private charged: i32 = 0;
  private refused: bool = false;

  constructor(
    site: CallSite,
    private readonly door: Door,
  ) {
    super(site);
  }

  onRequestBody(size: u32, endOfStream: bool): Action {
    if (this.refused) return Action.Pause;
    const site = this.site;
    if (<u32>this.charged + size > <u32>site.configuration.messageBytes) {
      site.refusedMessages++;
      const exchange = new Exchange(site.configuration, site);
      this.door.tooLarge(exchange);
      return this.refuse(exchange);
    }
    if (!site.budget.take(<i32>size)) {
      const exchange = new Exchange(site.configuration, site);
      this.door.refuse(exchange, Code.RESOURCE_EXHAUSTED, BUSY);
      return this.refuse(exchange);
    }
    this.charged += <i32>size;
    return Action.Continue;
  }

  private refuse(exchange: Exchange): Action {
    this.refused = true;
    const reply = exchange.reply;
    succeeded(
      sendLocalResponse(reply.status, reply.headers, reply.body, GRPC_STATUS_NONE),
      'send_local_response',
    );
    exchange.dispose();
    return Action.Pause;
  }

  /** It is not kept for the next one, which may be of another kind. */
  onDone(): void {
    this.site.budget.give(this.charged);
    this.site.called(this.route, this.callee!.index, this.code, monotonicUs() - this.started);
  }
}
