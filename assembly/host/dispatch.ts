// The callbacks the host calls (proxy-wasm ABI v0.2.1), routed to contexts by
// id and to gRPC streams by token. An id the module does not know is answered
// harmlessly: the host may still call for a stream that is gone.
//
// Every callback that a module exports costs a call into the VM, so there is no
// proxy_on_done: it comes right before proxy_on_delete and says nothing else.

import { Action } from './enums';
import { createRoot, enter, GrpcStream, grpcStreams, httpStreams, RootContext } from './context';

const roots = new Map<u32, RootContext>();
/** Streams are mostly of the root context that had the one before. */
let recentRoot: RootContext | null = null;

function rootOf(id: u32): RootContext | null {
  const recent = recentRoot;
  if (recent !== null && recent.id == id) return recent;
  const root = roots.has(id) ? roots.get(id) : null;
  recentRoot = root;
  return root;
}

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_vm_start(root: u32, size: u32): u32 {
  return 1;
}

export function proxy_on_context_create(id: u32, parent: u32): void {
  if (parent == 0) {
    roots.set(id, createRoot(id));
    return;
  }
  const root = rootOf(parent);
  if (root !== null) httpStreams.set(id, root.createHttpContext(id));
}

export function proxy_on_configure(root: u32, size: u32): u32 {
  return roots.has(root) && roots.get(root).onConfigure(size) ? 1 : 0;
}

export function proxy_on_tick(root: u32): void {
  if (roots.has(root)) roots.get(root).onTick();
}

export function proxy_on_request_headers(id: u32, count: u32, endOfStream: u32): u32 {
  const stream = httpStreams.find(id);
  if (stream === null) return Action.Continue;
  enter(id);
  const action = stream.onRequestHeaders(count, endOfStream != 0);
  enter(0);
  return action;
}

export function proxy_on_request_body(id: u32, size: u32, endOfStream: u32): u32 {
  const stream = httpStreams.find(id);
  if (stream === null) return Action.Continue;
  enter(id);
  const action = stream.onRequestBody(size, endOfStream != 0);
  enter(0);
  return action;
}

export function proxy_on_request_trailers(id: u32, count: u32): u32 {
  const stream = httpStreams.find(id);
  if (stream === null) return Action.Continue;
  enter(id);
  const action = stream.onRequestTrailers(count);
  enter(0);
  return action;
}

export function proxy_on_response_headers(id: u32, count: u32, endOfStream: u32): u32 {
  const stream = httpStreams.find(id);
  return stream === null ? Action.Continue : stream.onResponseHeaders(count, endOfStream != 0);
}

export function proxy_on_response_body(id: u32, size: u32, endOfStream: u32): u32 {
  const stream = httpStreams.find(id);
  return stream === null ? Action.Continue : stream.onResponseBody(size, endOfStream != 0);
}

export function proxy_on_response_trailers(id: u32, count: u32): u32 {
  const stream = httpStreams.find(id);
  return stream === null ? Action.Continue : stream.onResponseTrailers(count);
}

export function proxy_on_delete(id: u32): void {
  const stream = httpStreams.take(id);
  if (stream !== null) {
    stream.onDone();
  } else if (roots.has(id)) {
    const root = roots.get(id);
    roots.delete(id);
    recentRoot = null;
    root.onDone();
  }
}

function grpcStream(token: u32): GrpcStream | null {
  return grpcStreams.has(token) ? grpcStreams.get(token) : null;
}

export function proxy_on_grpc_receive_initial_metadata(root: u32, token: u32, count: u32): void {}

export function proxy_on_grpc_receive_trailing_metadata(root: u32, token: u32, count: u32): void {}

export function proxy_on_grpc_receive(root: u32, token: u32, size: u32): void {
  const stream = grpcStream(token);
  if (stream !== null) stream.onMessage(size);
}

export function proxy_on_grpc_close(root: u32, token: u32, status: u32): void {
  const stream = grpcStream(token);
  if (stream !== null) stream.closed(status);
}
