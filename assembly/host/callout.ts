// HTTP requests that a module sends itself.

import { proxy_http_call, proxy_set_effective_context } from './abi';
import { Bytes, bytesLength, bytesPtr } from './bytes';
import { RootContext } from './context';
import { HeaderList } from './headers';
import { allocate, OUT, release } from './memory';
import { Status } from './status';

/** Callouts of this VM by token; the dispatcher routes their answers. */
const callouts = new Map<u32, HttpCallout>();

/**
 * One HTTP request to a cluster of Envoy, and its answer. It belongs to the root context: it outlives the stream that
 * it was sent for, carries no retries and no trace span, and its answer comes as a whole. An object may be sent again
 * once its answer is there.
 */
export abstract class HttpCallout {
  private token: u32 = 0;

  constructor(public readonly root: RootContext) {}

  /** Sent, and not answered yet. */
  get isOpen(): bool {
    return this.token != 0;
  }

  /**
   * Sends the request. The root context is effective afterwards: `activate` the stream's own again before touching it.
   *
   * @param cluster name of the cluster
   * @param headers `:method`, `:path` and `:authority` must be among them
   * @param body no bytes for none
   * @param timeoutMs milliseconds until the host gives up, which shows as an answer; 0 for as long as it takes
   * @returns BadArgument if there is no such cluster or a header is missing, or if it is open; then no answer comes
   */
  send(cluster: Bytes, headers: HeaderList, body: Bytes, timeoutMs: u32): Status {
    if (this.token != 0) return Status.BadArgument;
    proxy_set_effective_context(this.root.id);
    const pairs = headers.serialize(allocate);
    store<u32>(OUT, 0);
    const status = proxy_http_call(
      bytesPtr(cluster),
      bytesLength(cluster),
      bytesPtr(pairs),
      bytesLength(pairs),
      bytesPtr(body),
      bytesLength(body),
      0,
      0,
      timeoutMs,
      OUT,
    );
    release(pairs);
    if (status != Status.Ok) return <Status>status;
    this.token = load<u32>(OUT);
    callouts.set(this.token, this);
    return Status.Ok;
  }

  /**
   * The answer is there, in HeaderMap.HttpCallResponseHeaders and Buffer.HttpCallResponseBody, inside this callback only.
   *
   * @param headers how many there are; 0: nobody answered
   * @param bodySize bytes of body
   */
  abstract onResponse(headers: u32, bodySize: u32): void;

  /** For the dispatcher. */
  answered(headers: u32, bodySize: u32): void {
    this.token = 0;
    this.onResponse(headers, bodySize);
  }
}

/** The host calls this with an answer. An entry file exports it, as `exports.ts` does. */
export function proxy_on_http_call_response(
  root: u32,
  token: u32,
  headers: u32,
  bodySize: u32,
  trailers: u32,
): void {
  if (!callouts.has(token)) return;
  const callout = callouts.get(token);
  callouts.delete(token);
  callout.answered(headers, bodySize);
}
