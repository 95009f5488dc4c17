// What Layotto's gRPC API does with files in one call. The messages are the
// bridge's, so a request is checked and forwarded as it came.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Code } from '../../dialects/codes';
import { clip, Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import {
  DelFileRequest,
  FileRequest,
  GetFileMetaRequest,
  ListFileRequest,
} from '../../wire/gen/layotto/bridge/v1/file';
import { literal, View } from '../../wire/view';

const FILE = literal('file');
const LIST_FILE = bridgeMethod('layotto.bridge.v1.File/ListFile');
const DEL_FILE = bridgeMethod('layotto.bridge.v1.File/DelFile');
const GET_FILE_META = bridgeMethod('layotto.bridge.v1.File/GetFileMeta');

const MALFORMED = literal('the request message is not valid protobuf');
const NO_REQUEST = literal("request can't be nil");

abstract class FileHandler extends Handler {
  /** Checks what the request is about, and names the operation. */
  protected read(exchange: Exchange, decoded: bool, request: FileRequest | null, operation: View): Step {
    if (!decoded) exchange.reply.grpcError(Code.INVALID_ARGUMENT, MALFORMED);
    else if (request === null) exchange.reply.grpcError(Code.INVALID_ARGUMENT, NO_REQUEST);
    else if (exchange.findComponent(FILE, request.storeName) === null) {
      const text = exchange.writer();
      text.text('not support store type: ');
      text.raw(clip(request.storeName));
      exchange.reply.grpcError(Code.INVALID_ARGUMENT, text.view());
    } else {
      exchange.operation = operation;
      return Step.Ask;
    }
    return Step.Answer;
  }

  onResult(exchange: Exchange, payload: View): void {
    exchange.reply.message(payload);
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    exchange.reply.grpcError(code, clip(message));
  }
}

export class ListFile extends FileHandler {
  start(exchange: Exchange): Step {
    const request = new ListFileRequest();
    const decoded = request.decode(exchange.body);
    exchange.idempotent = true;
    return this.read(exchange, decoded, request.request, LIST_FILE);
  }
}

export class GetFileMeta extends FileHandler {
  start(exchange: Exchange): Step {
    const request = new GetFileMetaRequest();
    const decoded = request.decode(exchange.body);
    exchange.idempotent = true;
    return this.read(exchange, decoded, request.request, GET_FILE_META);
  }
}

/** Not repeated after a lost session: a file put in between would be deleted, too. */
export class DelFile extends FileHandler {
  start(exchange: Exchange): Step {
    const request = new DelFileRequest();
    const decoded = request.decode(exchange.body);
    return this.read(exchange, decoded, request.request, DEL_FILE);
  }
}
