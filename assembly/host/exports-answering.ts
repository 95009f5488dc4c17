// The callbacks of a module that answers every stream itself: it has no use for
// response trailers (its own), nor for the metadata of the gRPC streams it opens.

// Compiled in so that `--use abort=assembly/host/log/abort` finds the abort handler.
import './log';

export {
  proxy_on_configure,
  proxy_on_context_create,
  proxy_on_delete,
  proxy_on_grpc_close,
  proxy_on_grpc_receive,
  proxy_on_request_body,
  proxy_on_request_headers,
  proxy_on_request_trailers,
  proxy_on_response_body,
  proxy_on_response_headers,
  proxy_on_tick,
} from './callbacks';
export { proxy_abi_version_0_2_1, proxy_on_vm_start } from './dispatch';
export { proxy_on_memory_allocate } from './memory';
