// The host's callbacks, which collect garbage when they return: modules are compiled
// with `--runtime minimal`.
//
// That runtime keeps no stack of references, which makes a module little more than
// half as large; but it must be told when to collect, and only when no function has
// an object that nothing else leads to. That is when the outermost callback returns.

import * as callout from './callout';
import * as dispatch from './dispatch';

/** What `ASC_RUNTIME` says of that runtime; any other collects by itself, or not at all. */
const MINIMAL: i32 = 1;
/** Bytes of objects that may be made until garbage is collected; a quarter of the memory, if that is more. */
const MOST_BYTES: u32 = 128 * 1024;

// What the collector keeps in front of each object (AssemblyScript's std/assembly/rt/common.ts and tcms.ts): all of
// them stand in a ring, the newest at its end, which has a place without an object.
const HEADER_BYTES: u32 = 20;
const NEXT: usize = 16;
const SIZE: usize = 4;
/** The lowest bits of a link are of the collector's own. */
const LINK_MASK: usize = ~3;

/** The object that was made last when somebody looked last. */
class Marker {}

let marker: Marker = new Marker();
/** What followed it then: the end of the ring. */
let end: usize = nextOf(changetype<usize>(marker));
/** Bytes of objects made since the last collection. */
let made: u32 = 0;
/** Callbacks under way: a host call that one makes may lead to another one before it returns. */
let depth: i32 = 0;

// @ts-ignore: decorator
@inline
function nextOf(object: usize): usize {
  return (load<usize>(object - NEXT) & LINK_MASK) + HEADER_BYTES;
}

/** A callback returns. Most have made no object, and then there is nothing to do. */
function ends(): void {
  if (--depth == 0 && ASC_RUNTIME == MINIMAL && nextOf(changetype<usize>(marker)) != end) count();
}

/** Counts what was made since the last look, and collects if that is enough. */
function count(): void {
  const first = changetype<usize>(marker);
  for (let at = nextOf(first); at != end && at != first; at = nextOf(at))
    made += load<u32>(at - SIZE) + HEADER_BYTES;
  if (made >= max(MOST_BYTES, (<u32>memory.size()) << 14)) {
    __collect();
    made = 0;
  }
  marker = new Marker();
  end = nextOf(changetype<usize>(marker));
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
  ends();
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
  ends();
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
  ends();
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
  ends();
}
