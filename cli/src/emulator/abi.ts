/** Numbers of the proxy-wasm ABI v0.2.1, as the host uses them. */

export const Status = {
  Ok: 0,
  NotFound: 1,
  BadArgument: 2,
  CasMismatch: 8,
  InternalFailure: 10,
  Unimplemented: 12,
} as const;

export const Action = { Continue: 0, Pause: 1 } as const;
export type Action = (typeof Action)[keyof typeof Action];

export const MapType = {
  RequestHeaders: 0,
  RequestTrailers: 1,
  ResponseHeaders: 2,
  ResponseTrailers: 3,
  GrpcReceiveInitialMetadata: 4,
  GrpcReceiveTrailingMetadata: 5,
  HttpCallResponseHeaders: 6,
} as const;

export const BufferType = {
  RequestBody: 0,
  ResponseBody: 1,
  HttpCallResponseBody: 4,
  GrpcReceive: 5,
  VmConfiguration: 6,
  PluginConfiguration: 7,
} as const;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'critical'] as const;

/** A header map in the order its entries were added; a name may occur more than once. */
export class HeaderMap {
  private entries: [string, string][] = [];

  constructor(from: Record<string, string> | readonly (readonly [string, string])[] = {}) {
    const pairs = Array.isArray(from) ? from : Object.entries(from as Record<string, string>);
    for (const [name, value] of pairs as [string, string][]) this.add(name, value);
  }

  get size(): number {
    return this.entries.length;
  }

  pairs(): readonly (readonly [string, string])[] {
    return this.entries;
  }

  get(name: string): string | undefined {
    const wanted = name.toLowerCase();
    return this.entries.find(([key]) => key === wanted)?.[1];
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  add(name: string, value: string): void {
    this.entries.push([name.toLowerCase(), value]);
  }

  set(name: string, value: string): void {
    const at = this.entries.findIndex(([key]) => key === name.toLowerCase());
    if (at < 0) return this.add(name, value);
    const kept = this.entries.filter(([key], index) => index === at || key !== name.toLowerCase());
    kept[at] = [name.toLowerCase(), value];
    this.entries = kept;
  }

  remove(name: string): void {
    this.entries = this.entries.filter(([key]) => key !== name.toLowerCase());
  }

  /** As a plain object; of a repeated name the last value stays. */
  object(): Record<string, string> {
    return Object.fromEntries(this.entries);
  }
}

/** Header pairs in the ABI's form: count, lengths, then each name and value with a zero byte behind it. */
export function encodePairs(pairs: readonly (readonly [string, string])[]): Buffer {
  const parts: Buffer[] = [];
  const head = Buffer.alloc(4 + pairs.length * 8);
  head.writeUInt32LE(pairs.length, 0);
  pairs.forEach(([name, value], index) => {
    const key = Buffer.from(name, 'latin1');
    const text = Buffer.from(value, 'latin1');
    head.writeUInt32LE(key.length, 4 + index * 8);
    head.writeUInt32LE(text.length, 8 + index * 8);
    parts.push(key, Buffer.alloc(1), text, Buffer.alloc(1));
  });
  return Buffer.concat([head, ...parts]);
}

/** Percent-encoded as gRPC wants it in `grpc-message`. */
export function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/gu, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** The inverse of `encodePairs`. */
export function decodePairs(data: Buffer): [string, string][] {
  if (data.length === 0) return [];
  const count = data.readUInt32LE(0);
  const pairs: [string, string][] = [];
  let at = 4 + count * 8;
  for (let index = 0; index < count; index++) {
    const keyLength = data.readUInt32LE(4 + index * 8);
    const valueLength = data.readUInt32LE(8 + index * 8);
    const name = data.toString('latin1', at, at + keyLength);
    at += keyLength + 1;
    pairs.push([name, data.toString('latin1', at, at + valueLength)]);
    at += valueLength + 1;
  }
  return pairs;
}
