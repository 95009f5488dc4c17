import { BufferType, decodePairs, HeaderMap, MapType, Status } from './abi.js';
import type { ModuleMemory } from './memory.js';

/** An HTTP request that the module has sent itself. */
export interface OpenedHttpCall {
  token: number;
  root: number;
  cluster: string;
  headers: HeaderMap;
  body: Buffer;
  timeoutMs: number;
}

/** The answer to one, while the module is told of it. */
interface HttpCallAnswer {
  headers: HeaderMap;
  body: Buffer;
}

/** The host's side of `proxy_http_call`. */
export class HttpCalls {
  /** Sent and not answered, oldest first. */
  readonly open = new Map<number, OpenedHttpCall>();
  /** Clusters that there are not. */
  readonly unknown = new Set<string>();
  /** What is being told. */
  answer: HttpCallAnswer | undefined;
  private nextToken = 1;

  constructor(
    private readonly memory: ModuleMemory,
    private readonly root: () => number,
  ) {}

  calls(): Record<string, (...args: number[]) => number> {
    return { proxy_http_call: (...args) => this.send(args) };
  }

  /** Takes a request out of those that are open; an error names the token. */
  take(token: number): OpenedHttpCall {
    const call = this.open.get(token);
    if (call === undefined) throw new Error(`no HTTP call with token ${token}`);
    this.open.delete(token);
    return call;
  }

  map(type: number): HeaderMap | undefined {
    return type === MapType.HttpCallResponseHeaders ? this.answer?.headers : undefined;
  }

  buffer(type: number): Buffer | undefined {
    return type === BufferType.HttpCallResponseBody ? this.answer?.body : undefined;
  }

  private send([
    name = 0,
    nameSize = 0,
    pairs = 0,
    pairsSize = 0,
    body = 0,
    bodySize = 0,
    ...rest
  ]: number[]): number {
    const [, , timeoutMs = 0, tokenAt = 0] = rest;
    const cluster = this.memory.text(name, nameSize);
    const headers = new HeaderMap(decodePairs(this.memory.read(pairs, pairsSize)));
    const whole = [':method', ':path', ':authority'].every((one) => headers.has(one));
    if (this.unknown.has(cluster) || !whole) return Status.BadArgument;
    const token = this.nextToken++;
    const sent = {
      token,
      root: this.root(),
      cluster,
      headers,
      body: this.memory.read(body, bodySize),
      timeoutMs,
    };
    this.open.set(token, sent);
    this.memory.word(tokenAt, token);
    return Status.Ok;
  }
}
