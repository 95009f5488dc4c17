// The host's callbacks, which collect garbage when they return: modules are compiled
// with `--runtime minimal`.
//
// That runtime keeps no stack of references, which makes a module little more than
// half as large; but it must be told when to collect, and only when no function has
// an object that nothing else leads to. That is when the outermost callback returns.

import * as callout from './callout';
import * as dispatch from './dispatch';
/** Bytes that may become garbage until it is collected; a quarter of the memory, if that is more. */
const GARBAGE_BYTES: u32 = 128 * 1024;
/**
 * The most work until it is. Invocations that pass make no garbage: with 1024 a fifth of what they took in the module
 * went into collections that freed nothing.
 */
const MOST_WORK: u32 = 4096;
/** Callbacks that bring a body have as much work to do as so many bytes of it are in it; all others count one. */
const WORK_BYTES: u32 = 1024;
/** Of an object, in front of it. */
const OBJECT_HEADER: u32 = 20;

/** Callbacks under way: a host call that one makes may lead to another one before it returns. */
let depth: i32 = 0;
/** Work done since the last collection, and how much there may be. */
let work: u32 = 0;
let limit: u32 = 1;
/** Pages of memory there were after the last one, and bytes that it has freed. */
let pages: i32 = 0;
let freed: u32 = 0;

/** A callback returns. @param size bytes of what it was given whole, and may have made as much garbage of as it liked */
function ends(size: u32 = 0): void {
  work += 1 + size / WORK_BYTES;
  if (--depth != 0) return;
  if (work < limit && memory.size() <= pages) return;
  freed = 0;
  __collect();
  pages = memory.size();
  const most = max(GARBAGE_BYTES, (<u32>pages) << 14);
  // As much as makes so much garbage, if it goes on as it did.
  limit = <u32>min<u64>(MOST_WORK, (<u64>work * most) / max(1, freed));
  work = 0;
}

/** The collector calls it for each object that it frees. */
// @ts-ignore: decorator
@global
export function __finalize(object: usize): void {
  freed += load<u32>(object - sizeof<u32>()) + OBJECT_HEADER;
}

export function proxy_on_context_create(id: u32, parent: u32): void {
  depth++;
  dispatch.proxy_on_context_create(id, parent);
  ends();
}

export function proxy_on_configure(root: u32, size: u32): u32 {
  depth++;
  const taken = dispatch.proxy_on_configure(root, size);
  ends();
  return taken;
}

export function proxy_on_tick(root: u32): void {
  depth++;
  dispatch.proxy_on_tick(root);
  ends();
}

export function proxy_on_request_headers(id: u32, count: u32, endOfStream: u32): u32 {
  depth++;
  const action = dispatch.proxy_on_request_headers(id, count, endOfStream);
  ends();
  return action;
}

export function proxy_on_request_body(id: u32, size: u32, endOfStream: u32): u32 {
  depth++;
  const action = dispatch.proxy_on_request_body(id, size, endOfStream);
  ends(endOfStream != 0 ? size : 0);
  return action;
}

export function proxy_on_request_trailers(id: u32, count: u32): u32 {
  depth++;
  const action = dispatch.proxy_on_request_trailers(id, count);
  ends();
  return action;
}

export function proxy_on_response_headers(id: u32, count: u32, endOfStream: u32): u32 {
  depth++;
  const action = dispatch.proxy_on_response_headers(id, count, endOfStream);
  ends();
  return action;
}

export function proxy_on_response_body(id: u32, size: u32, endOfStream: u32): u32 {
  depth++;
  const action = dispatch.proxy_on_response_body(id, size, endOfStream);
  ends(endOfStream != 0 ? size : 0);
  return action;
}

export function proxy_on_response_trailers(id: u32, count: u32): u32 {
  depth++;
  const action = dispatch.proxy_on_response_trailers(id, count);
  ends();
  return action;
}

export function proxy_on_delete(id: u32): void {
  depth++;
  dispatch.proxy_on_delete(id);
  ends();
}

export function proxy_on_grpc_receive(root: u32, token: u32, size: u32): void {
  depth++;
  dispatch.proxy_on_grpc_receive(root, token, size);
  ends(size);
}

export function proxy_on_grpc_close(root: u32, token: u32, status: u32): void {
  depth++;
  dispatch.proxy_on_grpc_close(root, token, status);
  ends();
}

export function proxy_on_http_call_response(
  root: u32,
  token: u32,
  headers: u32,
  bodySize: u32,
  trailers: u32,
): void {
  depth++;
  callout.proxy_on_http_call_response(root, token, headers, bodySize, trailers);
  ends(bodySize);
}
