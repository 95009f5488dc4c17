// The callbacks of a function's module. Response bodies are none of its business:
// each callback that is exported costs a call.

import { registerRoot, RootContext } from '../host/context';
// Compiled in so that `--use abort=…/host/log/abort` finds the abort handler.
import '../host/log';
import { FunctionRoot } from './root';

export {
  proxy_on_configure,
  proxy_on_context_create,
  proxy_on_delete,
  proxy_on_grpc_close,
  proxy_on_grpc_receive,
  proxy_on_http_call_response,
  proxy_on_request_body,
  proxy_on_request_headers,
  proxy_on_request_trailers,
  proxy_on_response_headers,
  proxy_on_tick,
} from '../host/callbacks';
export { proxy_abi_version_0_2_1, proxy_on_vm_start } from '../host/dispatch';
export { proxy_on_memory_allocate } from '../host/memory';
export { layotto_describe } from './describe';

registerRoot((id: u32): RootContext => new FunctionRoot(id));
