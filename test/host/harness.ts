import { readFile } from 'node:fs/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  GetStateRequestSchema,
  SaveStateRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import type { PluginConfiguration } from '../../envoy/plugin-config.js';
import { grpcFrame } from '../support/grpc-raw.js';
import { HostEmulator } from '../../cli/src/emulator/emulator.js';
import { FakeBridge } from './fake-bridge.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const artifact = new URL('../../dist/modules/runtime.wasm', import.meta.url);
let compiled: Promise<WebAssembly.Module> | undefined;

/** A new VM with the release artifact. */
export async function loadRuntime(): Promise<HostEmulator> {
  compiled ??= readFile(artifact).then((file) => WebAssembly.compile(file));
  return HostEmulator.load(await compiled);
}

/** A plugin configuration as the Envoy generator makes it, with one Redis store. */
export function configuration(overrides: Partial<PluginConfiguration> = {}): PluginConfiguration {
  return {
    version: '1.2.3',
    configVersion: 'abc',
    app: { id: 'shop', port: 0, protocol: 'http' },
    clusters: { session: 'layotto_session', large: 'layotto_session_large' },
    hold: false,
    limits: {
      messageBytes: 4_194_304,
      operations: 1024,
      streams: 100,
      bytes: 67_108_864,
      cacheBytes: 8_388_608,
      deadlineMs: 15_000,
    },
    hosts: [],
    tokens: [],
    components: [
      {
        name: 'statestore',
        type: 'state.redis',
        version: 'v1',
        primitive: 'state',
        capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
      },
    ],
    ...overrides,
  };
}

/** A configured filter, its root context, and the bridge it talks to. */
export class Filter {
  private constructor(
    readonly host: HostEmulator,
    readonly root: number,
    readonly bridge: FakeBridge,
  ) {}

  /**
   * Configured, but nothing has ticked: no session exists.
   *
   * @param properties what the host knows when it starts
   */
  static async configured(
    overrides: Partial<PluginConfiguration> = {},
    properties: Record<string, string> = {},
  ): Promise<Filter> {
    const host = await loadRuntime();
    for (const [name, value] of Object.entries(properties)) host.properties.set(name, Buffer.from(value));
    const { root, ok } = host.start(JSON.stringify(configuration(overrides)));
    if (!ok) throw new Error(`the filter refused its configuration: ${JSON.stringify(host.logs)}`);
    return new Filter(host, root, new FakeBridge(host));
  }

  /** Both sessions are open and greeted. */
  static async connected(overrides: Partial<PluginConfiguration> = {}): Promise<Filter> {
    const filter = await Filter.configured(overrides);
    filter.connect();
    return filter;
  }

  /** Lets the filter dial, and greets it. */
  connect(): void {
    for (let waited = 0; this.bridge.open.length < 2 && waited < 5000; waited += 50) this.advance(50);
    if (this.bridge.open.length < 2) throw new Error('the filter did not dial within 5 s');
    this.bridge.greet();
  }

  advance(ms: number): void {
    this.host.advance(this.root, ms);
  }

  /** A gRPC call with this message as its body. */
  grpc(path: string, message: Uint8Array, headers: Record<string, string> = {}): HttpStream {
    return this.host.openStream(this.root).request({ ...grpcHeaders(path), ...headers }, grpcFrame(message));
  }

  /** An HTTP call. */
  http(method: string, path: string, body?: string, headers: Record<string, string> = {}): HttpStream {
    const all = {
      ':method': method,
      ':path': path,
      ':authority': 'localhost:34904',
      ':scheme': 'http',
      ...headers,
    };
    const stream = this.host.openStream(this.root);
    return body === undefined ? stream.request(all) : stream.request(all, Buffer.from(body));
  }

  /** Layotto's GetState for a key. */
  getState(key: string, headers: Record<string, string> = {}): HttpStream {
    return this.grpc('/spec.proto.runtime.v1.Runtime/GetState', getState(key), headers);
  }

  /** Layotto's SaveState of one value. */
  saveState(key: string, value: Uint8Array): HttpStream {
    return this.grpc('/spec.proto.runtime.v1.Runtime/SaveState', saveState(key, value));
  }

  /** Log lines of at least warning level. */
  get complaints(): string[] {
    return this.host.logs
      .filter(({ level }) => ['warn', 'error', 'critical'].includes(level))
      .map(({ message }) => message);
  }
}

/** The headers of a gRPC request. */
export function grpcHeaders(path: string): Record<string, string> {
  return {
    ':method': 'POST',
    ':path': path,
    ':scheme': 'http',
    ':authority': '127.0.0.1:34904',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
}

/** A GetState message as bytes. */
export function getState(key: string, storeName = 'statestore'): Uint8Array {
  return toBinary(GetStateRequestSchema, create(GetStateRequestSchema, { storeName, key }));
}

/** A SaveState message of one item as bytes. */
export function saveState(key: string, value: Uint8Array, storeName = 'statestore'): Uint8Array {
  return toBinary(
    SaveStateRequestSchema,
    create(SaveStateRequestSchema, { storeName, states: [{ key, value }] }),
  );
}
