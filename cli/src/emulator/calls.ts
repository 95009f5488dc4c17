import { decodePairs, encodePairs, LOG_LEVELS, Status, type HeaderMap } from './abi.js';
import type { HttpStream } from './http-stream.js';
import type { ModuleMemory } from './memory.js';

export interface LogLine {
  level: (typeof LOG_LEVELS)[number];
  message: string;
}

export interface Metric {
  name: string;
  type: number;
  /** Of a histogram: what was recorded last. */
  value: bigint;
  /** How often it was changed, or something recorded. */
  changes: number;
}

/** What the host functions act on; the stream and the buffers are those of the effective context. */
export interface CallTarget {
  readonly memory: ModuleMemory;
  readonly logs: LogLine[];
  readonly mostLogs: number;
  readonly metrics: Map<number, Metric>;
  readonly sharedData: Map<string, { value: Buffer; cas: number }>;
  readonly properties: Map<string, Buffer>;
  nowNs: bigint;
  stream(): HttpStream | undefined;
  map(type: number): HeaderMap | undefined;
  buffer(type: number): Buffer | undefined;
  setTick(ms: number): void;
  setEffective(context: number): number;
}

type Call = (...args: number[]) => number;

/** The proxy-wasm host functions that are not about gRPC streams. */
export function hostCalls(host: CallTarget): Record<string, unknown> {
  return {
    ...generalCalls(host),
    ...headerCalls(host),
    ...bufferCalls(host),
    ...sharedDataCalls(host),
    ...metricCalls(host),
  };
}

function generalCalls(host: CallTarget): Record<string, Call> {
  const { memory } = host;
  return {
    proxy_log: (level = 0, ptr = 0, size = 0) => {
      host.logs.push({
        level: LOG_LEVELS[level] ?? 'critical',
        message: memory.read(ptr, size).toString('utf8'),
      });
      if (host.logs.length > host.mostLogs) host.logs.shift();
      return Status.Ok;
    },
    proxy_set_tick_period_milliseconds: (ms = 0) => {
      host.setTick(ms);
      return Status.Ok;
    },
    proxy_get_current_time_nanoseconds: (ptr = 0) => {
      memory.view.setBigUint64(ptr >>> 0, host.nowNs, true);
      return Status.Ok;
    },
    proxy_get_property: (ptr = 0, size = 0, valueAt = 0, sizeAt = 0) => {
      const value = host.properties.get(memory.text(ptr, size).replaceAll('\0', '.'));
      return value === undefined ? Status.NotFound : memory.give(value, valueAt, sizeAt);
    },
    proxy_set_effective_context: (id = 0) => host.setEffective(id),
    proxy_send_local_response: (status = 0, _details = 0, _size = 0, body = 0, bodySize = 0, ...rest) => {
      const [pairs = 0, pairsSize = 0, grpcStatus = -1] = rest;
      const stream = host.stream();
      if (stream === undefined) return Status.BadArgument;
      return stream.sendLocalResponse({
        status,
        headers: decodePairs(memory.read(pairs, pairsSize)),
        body: memory.read(body, bodySize),
        grpcStatus: grpcStatus | 0,
      });
    },
  };
}

function headerCalls(host: CallTarget): Record<string, Call> {
  const { memory } = host;
  const withMap = (type: number, use: (map: HeaderMap) => number): number => {
    const map = host.map(type);
    return map === undefined ? Status.BadArgument : use(map);
  };
  return {
    proxy_add_header_map_value: (type = 0, k = 0, kn = 0, v = 0, vn = 0) =>
      withMap(type, (map) => {
        map.add(memory.text(k, kn), memory.text(v, vn));
        return Status.Ok;
      }),
    proxy_replace_header_map_value: (type = 0, k = 0, kn = 0, v = 0, vn = 0) =>
      withMap(type, (map) => {
        map.set(memory.text(k, kn), memory.text(v, vn));
        return Status.Ok;
      }),
    proxy_remove_header_map_value: (type = 0, k = 0, kn = 0) =>
      withMap(type, (map) => {
        map.remove(memory.text(k, kn));
        return Status.Ok;
      }),
    proxy_get_header_map_value: (type = 0, k = 0, kn = 0, valueAt = 0, sizeAt = 0) =>
      withMap(type, (map) => {
        const value = map.get(memory.text(k, kn));
        if (value === undefined) return Status.NotFound;
        return memory.give(Buffer.from(value, 'latin1'), valueAt, sizeAt);
      }),
    proxy_get_header_map_pairs: (type = 0, valueAt = 0, sizeAt = 0) =>
      withMap(type, (map) =>
        memory.give(map.size === 0 ? Buffer.alloc(0) : encodePairs(map.pairs()), valueAt, sizeAt),
      ),
  };
}

function bufferCalls(host: CallTarget): Record<string, Call> {
  const { memory } = host;
  return {
    proxy_get_buffer_bytes: (type = 0, start = 0, length = 0, at = 0, sizeAt = 0) => {
      const buffer = host.buffer(type);
      if (buffer === undefined) return Status.NotFound;
      const from = Math.min(start >>> 0, buffer.length);
      return memory.give(buffer.subarray(from, Math.min(from + (length >>> 0), buffer.length)), at, sizeAt);
    },
    proxy_set_buffer_bytes: (type = 0, start = 0, length = 0, ptr = 0, size = 0) =>
      host.stream()?.setBuffer(type, start >>> 0, length >>> 0, memory.read(ptr, size)) ?? Status.NotFound,
  };
}

function sharedDataCalls(host: CallTarget): Record<string, Call> {
  const { memory } = host;
  let lastCas = 0;
  return {
    proxy_get_shared_data: (k = 0, kn = 0, at = 0, sizeAt = 0, casAt = 0) => {
      const entry = host.sharedData.get(memory.text(k, kn));
      if (entry === undefined) return Status.NotFound;
      memory.word(casAt, entry.cas);
      return memory.give(entry.value, at, sizeAt);
    },
    proxy_set_shared_data: (k = 0, kn = 0, v = 0, vn = 0, cas = 0) => {
      const key = memory.text(k, kn);
      const entry = host.sharedData.get(key);
      if (cas !== 0 && entry !== undefined && entry.cas !== cas) return Status.CasMismatch;
      host.sharedData.set(key, { value: memory.read(v, vn), cas: ++lastCas });
      return Status.Ok;
    },
  };
}

function metricCalls(host: CallTarget): Record<string, unknown> {
  const { memory, metrics } = host;
  const change = (id: number, next: (old: bigint) => bigint): number => {
    const metric = metrics.get(id);
    if (metric === undefined) return Status.NotFound;
    metric.value = next(metric.value);
    metric.changes++;
    return Status.Ok;
  };
  return {
    proxy_define_metric: (type: number, ptr: number, size: number, idAt: number) => {
      const name = memory.text(ptr, size);
      // A name defined twice is one metric, as it is for every VM of one Envoy.
      const known = [...metrics].find(([, metric]) => metric.name === name)?.[0];
      const id = known ?? metrics.size + 1;
      if (known === undefined) metrics.set(id, { name, type, value: 0n, changes: 0 });
      memory.word(idAt, id);
      return Status.Ok;
    },
    proxy_increment_metric: (id: number, offset: bigint) => change(id, (old) => old + offset),
    proxy_record_metric: (id: number, value: bigint) => change(id, () => value),
  };
}
