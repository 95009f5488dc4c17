// InvokeService as Layotto has it: a callee's status other than 200 is
// UNAVAILABLE, and a call may take 3 s unless its metadata say how long.

import { Code } from '../../dialects/codes';
import { clip, Exchange } from '../../dialects/exchange';
import { Wrapping } from '../../dialects/forward';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { ByteWriter } from '../../wire/bytes';
import { literal, View, viewByte, viewLen } from '../../wire/view';
import { InvokeService } from './service';

/** How it tells an id that no route of its router is about. */
const NOT_FOUND = 'http response code 404, body: ';
const NO_INVOKER = literal('invoker not init');
const TIMEOUT = literal('rpc_request_timeout');
const DEFAULT_TIMEOUT_MS: i64 = 3000;
const LONGEST_TIMEOUT_MS: i64 = 24 * 3_600_000;

class LayottoWrapping extends Wrapping {
  isGood(status: i32): bool {
    return status == 200;
  }

  codeOf(status: i32): i32 {
    return Code.UNAVAILABLE;
  }

  writeMessage(w: ByteWriter, status: i32, body: View): void {
    w.text('http response code ');
    w.decimal(status);
    w.text(', body: ');
    w.raw(clip(body));
  }

  get unknownCode(): i32 {
    return Code.UNAVAILABLE;
  }

  writeUnknown(w: ByteWriter, callee: View, text: View): void {
    w.text(NOT_FOUND);
    w.raw(text);
  }

  writeAbsence(w: ByteWriter, callee: View, text: View): void {
    w.raw(text);
  }
}

const WRAPPING = new LayottoWrapping();

class LayottoInvokeService extends InvokeService {
  protected get wrapping(): Wrapping {
    return WRAPPING;
  }

  protected serves(exchange: Exchange): bool {
    const invocation = exchange.configuration.invocation;
    if (viewLen(invocation.channel) > 0) {
      const text = exchange.writer();
      text.text('the ');
      text.raw(invocation.channel);
      text.text(' channel of InvokeService is not served by this version; the http channel is');
      exchange.reply.grpcError(Code.UNIMPLEMENTED, text.view());
      return false;
    }
    if (invocation.knowsNobody) {
      exchange.reply.grpcError(Code.FAILED_PRECONDITION, NO_INVOKER);
      return false;
    }
    return true;
  }

  protected defaultTimeoutMs(exchange: Exchange): i64 {
    return DEFAULT_TIMEOUT_MS;
  }

  protected timeoutOf(exchange: Exchange, usual: i64): i64 {
    const text = exchange.headers.get(TIMEOUT);
    let value: i64 = 0;
    for (let i = 0, n = viewLen(text); i < n; i++) {
      const digit = viewByte(text, i) - 0x30;
      if (digit > 9) return usual;
      value = min(value * 10 + digit, LONGEST_TIMEOUT_MS);
    }
    return value > 0 ? value : usual;
  }

  protected idHeader(id: View): View {
    return id;
  }

  /** What its router answers for an id that no route of it is about. */
  protected refuseUnknown(exchange: Exchange, id: View): void {
    const text = exchange.writer();
    text.text(NOT_FOUND);
    text.text("couldn't find service: ");
    text.raw(clip(id));
    exchange.reply.grpcError(Code.UNAVAILABLE, text.view());
  }
}

/** Enters it behind Layotto's gRPC door. */
export function installLayottoInvoke(router: Router): void {
  const path = '/spec.proto.runtime.v1.Runtime/InvokeService';
  router.grpc('invoke', 'InvokeService', path, (): Handler => new LayottoInvokeService());
}
