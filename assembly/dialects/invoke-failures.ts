// What callers are told of an invocation that failed, in Dapr's words.

import { ByteWriter } from '../wire/bytes';
import { View } from '../wire/view';
import { Code } from './codes';
import { answerError, ERR_DIRECT_INVOKE } from './dapr-http';
import { clip, Exchange } from './exchange';

/** Says in Dapr's words that nobody knows an app. */
export function refuseInvocation(grpc: bool, exchange: Exchange, id: View): void {
  const text = exchange.writer();
  writeFailure(text, clip(id));
  text.text("couldn't find service: ");
  text.raw(clip(id));
  if (grpc) exchange.reply.grpcError(Code.INTERNAL, text.view());
  else answerError(exchange, 500, ERR_DIRECT_INVOKE, text.view());
}

/** How Dapr begins what it says of an invocation that failed. */
export function writeFailure(w: ByteWriter, id: View): void {
  w.text('failed to invoke, id: ');
  w.raw(id);
  w.text(', err: ');
}
