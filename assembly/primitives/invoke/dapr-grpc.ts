// InvokeService as Dapr has it: a callee's status becomes the gRPC code that
// comes closest, and stands in the header dapr-http-status.

import { Code } from '../../dialects/codes';
import { writeHttpFailure } from '../../dialects/dapr-details';
import { Exchange } from '../../dialects/exchange';
import { Wrapping } from '../../dialects/forward';
import { Handler } from '../../dialects/handler';
import { refuseInvocation, writeFailure } from '../../dialects/invoke-failures';
import { Router } from '../../dialects/router';
import { ByteWriter } from '../../wire/bytes';
import { literal, View } from '../../wire/view';
import { statusText } from './status-text';
import { InvokeService } from './service';

const HTTP_STATUS = literal('dapr-http-status');

class DaprWrapping extends Wrapping {
  isGood(status: i32): bool {
    return status >= 200 && status < 300;
  }

  codeOf(status: i32): i32 {
    switch (status) {
      case 400:
        return Code.INTERNAL;
      case 401:
        return Code.UNAUTHENTICATED;
      case 403:
        return Code.PERMISSION_DENIED;
      case 404:
        return Code.NOT_FOUND;
      case 409:
        return Code.ALREADY_EXISTS;
      case 429:
        return Code.RESOURCE_EXHAUSTED;
      case 501:
        return Code.UNIMPLEMENTED;
      case 503:
        return Code.UNAVAILABLE;
      case 504:
        return Code.DEADLINE_EXCEEDED;
      default:
        return Code.UNKNOWN;
    }
  }

  writeMessage(w: ByteWriter, status: i32, body: View): void {
    w.text(statusText(status));
  }

  writeDetails(w: ByteWriter, status: i32, body: View): void {
    writeHttpFailure(w, this.codeOf(status), statusText(status), status, body);
  }

  get statusHeader(): View {
    return HTTP_STATUS;
  }

  get unknownCode(): i32 {
    return Code.INTERNAL;
  }

  writeUnknown(w: ByteWriter, callee: View, text: View): void {
    this.writeAbsence(w, callee, text);
  }

  writeAbsence(w: ByteWriter, callee: View, text: View): void {
    writeFailure(w, callee);
    w.raw(text);
  }
}

const WRAPPING = new DaprWrapping();

class DaprInvokeService extends InvokeService {
  protected get wrapping(): Wrapping {
    return WRAPPING;
  }

  protected defaultTimeoutMs(exchange: Exchange): i64 {
    return exchange.configuration.deadlineMs;
  }

  protected refuseUnknown(exchange: Exchange, id: View): void {
    refuseInvocation(true, exchange, id);
  }
}

/** Enters it behind Dapr's gRPC door. */
export function installDaprInvoke(router: Router): void {
  const path = '/dapr.proto.runtime.v1.Dapr/InvokeService';
  router.grpc('invoke', 'InvokeService', path, (): Handler => new DaprInvokeService());
}
