// What a module's entry file re-exports (`export * from '…/host/exports'`), so
// that the host finds its callbacks. A module that answers every stream itself
// takes exports-answering.ts instead: each exported callback costs a call.

export * from './exports-passing';
export { proxy_on_http_call_response } from './callbacks';
export { proxy_on_grpc_receive_initial_metadata, proxy_on_grpc_receive_trailing_metadata } from './dispatch';
