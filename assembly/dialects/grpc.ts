// The gRPC doors (Layotto's and Dapr's): framing, and refusals as gRPC statuses.

import { ByteWriter } from '../wire/bytes';
import { FrameStatus, parseUnary, unaryMessage } from '../wire/grpc';
import { literal, View, viewEquals, viewLen, viewPtr, viewSlice } from '../wire/view';
import { clip, Exchange } from './exchange';
import { Code } from './codes';
import { writeHttpFailure } from './dapr-details';
import { Door } from './door';
import { wayOfPath } from './invocations';
import { Route, Router } from './router';
import { unservedGrpc } from './unserved';

const CALLEE_APP_ID = literal('dapr-callee-app-id');
const APP_ID = literal('dapr-app-id');

const PREFIX_LENGTH: i32 = 5;
const APPLICATION_GRPC = literal('application/grpc');
const PLUS: u8 = 0x2b;

const ACCEPT_ENCODING = literal('grpc-accept-encoding');
const IDENTITY = literal('identity');
const COMPRESSED = literal(
  'the message is compressed; this runtime takes identity encoding only, so turn compression off in the client',
);
const TOO_MANY = literal('the request of a unary call holds more than one message');
const NO_MESSAGE = literal('the request of a unary call holds no message');
const INCOMPLETE = literal('the request ended inside a gRPC frame');
const NO_TOKEN = literal('missing api token in request metadata');
const WRONG_TOKEN = literal('authentication error: api token mismatch');
const BAD_FLAG = literal('the gRPC frame has an invalid compression flag');

/** Whether a call speaks gRPC. As Envoy decides it: the media type itself, or with a "+format" behind. */
export function isGrpc(contentType: View): bool {
  const length = viewLen(APPLICATION_GRPC);
  if (viewLen(contentType) < length) return false;
  if (!viewEquals(viewSlice(contentType, 0, length), APPLICATION_GRPC)) return false;
  return viewLen(contentType) == length || load<u8>(viewPtr(contentType) + length) == PLUS;
}

export class GrpcDoor extends Door {
  constructor(private readonly router: Router) {
    super();
  }

  route(exchange: Exchange): bool {
    if (exchange.serve(this.router.findGrpc(exchange.path))) return true;
    const missing = unservedGrpc(exchange.path);
    if (missing.length == 0 && this.proxied(exchange)) return true;
    const text = exchange.writer();
    text.text('method ');
    text.raw(clip(exchange.path));
    text.text(' is not implemented by this runtime');
    if (missing.length > 0) {
      text.text(': ');
      text.text(missing);
      text.text(' is not served by this version');
    }
    this.refuse(exchange, Code.UNIMPLEMENTED, text.view());
    return false;
  }

  /** A call of any service that names an app in its metadata, which passes there (Dapr's gRPC proxying). */
  private proxied(exchange: Exchange): bool {
    const route = this.router.proxied;
    const invocation = exchange.configuration.invocation;
    if (route === null || !invocation.served) return false;
    let id = exchange.headers.get(CALLEE_APP_ID);
    if (viewLen(id) == 0) id = exchange.headers.get(APP_ID);
    if (viewLen(id) == 0) return false;
    const callee = invocation.find(id);
    exchange.pass(route, id, callee, wayOfPath(exchange, callee, id));
    return true;
  }

  protected get unknown(): Route {
    return this.router.unknownGrpc;
  }

  open(exchange: Exchange, body: View): bool {
    const status = parseUnary(body);
    if (status == FrameStatus.OK) {
      exchange.body = unaryMessage(body);
      return true;
    }
    if (status == FrameStatus.COMPRESSED) {
      exchange.reply.headers.add(ACCEPT_ENCODING, IDENTITY);
      this.refuse(exchange, Code.UNIMPLEMENTED, COMPRESSED);
    } else if (status == FrameStatus.TOO_MANY) {
      this.refuse(exchange, Code.UNIMPLEMENTED, TOO_MANY);
    } else if (status == FrameStatus.EMPTY) {
      this.refuse(exchange, Code.INTERNAL, NO_MESSAGE);
    } else {
      this.refuse(exchange, Code.INTERNAL, status == FrameStatus.BAD_FLAG ? BAD_FLAG : INCOMPLETE);
    }
    return false;
  }

  refuse(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.grpcError(code, message);
  }

  /** As Dapr: with the answer of its HTTP API as a detail. */
  refuseToken(exchange: Exchange, missing: bool): void {
    const details = exchange.writer();
    writeHttpFailure(details, Code.UNAUTHENTICATED, 'Unauthorized', 401, missing ? NO_TOKEN : WRONG_TOKEN);
    addDetails(exchange, details);
    super.refuseToken(exchange, missing);
  }

  tooLarge(exchange: Exchange): void {
    const text = exchange.writer();
    text.text('received message larger than max: limits.message is ');
    text.decimal(exchange.configuration.messageBytes);
    text.text(' bytes');
    this.refuse(exchange, Code.RESOURCE_EXHAUSTED, text.view());
  }

  bodyLimit(messageBytes: i32): u32 {
    return <u32>(messageBytes + PREFIX_LENGTH);
  }
}

const DETAILS = literal('grpc-status-details-bin');

/** Adds error details to a gRPC refusal. @param status a serialised google.rpc.Status, base64 */
export function addDetails(exchange: Exchange, status: ByteWriter): void {
  if (viewLen(status.view()) > 0) exchange.reply.headers.add(DETAILS, status.view());
}
