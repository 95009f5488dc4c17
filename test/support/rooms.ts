import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { ComponentConfig } from '../../components-bridge/src/config/types.js';
import { Policy } from '../../components-bridge/src/policy/policy.js';
import { BindingService } from '../../components-bridge/src/primitives/binding/service.js';
import { Call } from '../../components-bridge/src/primitives/call.js';
import { LiveAnswers } from '../../components-bridge/src/primitives/configuration/live.js';
import { ConfigurationService } from '../../components-bridge/src/primitives/configuration/service.js';
import { Watches } from '../../components-bridge/src/primitives/configuration/watches.js';
import type { ComponentType } from '../../components-bridge/src/primitives/component.js';
import type { Handler, Service } from '../../components-bridge/src/primitives/handler.js';
import { FileService } from '../../components-bridge/src/primitives/file/service.js';
import { HelloService } from '../../components-bridge/src/primitives/hello/service.js';
import { LifecycleService } from '../../components-bridge/src/primitives/lifecycle/service.js';
import { LockService } from '../../components-bridge/src/primitives/lock/service.js';
import { PubSubService } from '../../components-bridge/src/primitives/pubsub/service.js';
import { ComponentRegistry } from '../../components-bridge/src/primitives/registry.js';
import { SecretReferences } from '../../components-bridge/src/primitives/secret/references.js';
import { SecretService } from '../../components-bridge/src/primitives/secret/service.js';
import { heedBiggerThan } from '../../components-bridge/src/primitives/sequencer/bigger-than.js';
import { SequencerService } from '../../components-bridge/src/primitives/sequencer/service.js';
import type { StreamHandler } from '../../components-bridge/src/primitives/stream.js';
import { Secrets } from '../../components-bridge/src/telemetry/secrets.js';
import { TestStream } from './message-stream.js';
import { eventually } from './wait.js';

export type RoomComponent = Pick<ComponentConfig, 'name' | 'type'> & Partial<ComponentConfig>;

export interface RoomsOptions {
  messageBytes?: number;
  mayApply?: () => boolean;
  /** Component types beside the catalog's. */
  types?: readonly ComponentType[];
  /** A copy of the folder of another one; by default a new folder. Removed in the end. */
  dataDir?: string;
  /** Resolve at once, without waiting until every component is ready. */
  wait?: boolean;
}

/** Who the keys belong to. */
const OWNER = { appId: 'app', namespace: '' };

/** Components and the services that use them: a bridge without its sockets. */
export class Rooms {
  readonly registry: ComponentRegistry;
  readonly secrets = new Secrets();
  /** What was logged, a JSON object per line. */
  readonly log: string[] = [];
  readonly watches: Watches;
  readonly live: LiveAnswers;
  readonly #configuration: ConfigurationService;
  readonly #handlers = new Map<string, Handler>();
  readonly #streams = new Map<string, StreamHandler>();

  private constructor(
    readonly dataDir: string,
    components: readonly RoomComponent[],
    options: RoomsOptions,
  ) {
    const types = [...catalog, ...(options.types ?? [])];
    const configs = components.map((component) => Rooms.config(component, types));
    const references = new SecretReferences({
      find: (store) => this.registry.find('secret', store),
      secrets: this.secrets,
    });
    this.registry = new ComponentRegistry({
      components: configs,
      types,
      dataDir,
      log: pino({ level: 'trace' }, { write: (line: string) => void this.log.push(line) }),
      secrets: this.secrets,
      metadataOf: (config) => references.metadataOf(config),
      prepare: (config, instance) => heedBiggerThan(config, instance, OWNER),
    });
    this.watches = new Watches({ registry: this.registry, appId: 'app' });
    this.live = new LiveAnswers({
      registry: this.registry,
      watches: this.watches,
      cacheBytes: 8 * 1024 * 1024,
    });
    const asked = { registry: this.registry, messageBytes: options.messageBytes ?? 4 * 1024 * 1024 };
    const lifecycle = { registry: this.registry, catalog: types, mayApply: options.mayApply ?? (() => true) };
    this.#configuration = new ConfigurationService({
      ...asked,
      appId: 'app',
      log: pino({ level: 'silent' }),
      watches: this.watches,
      live: this.live,
    });
    const policy = new Policy({ components: configs });
    const services: Service[] = [
      new BindingService(asked),
      this.#configuration,
      new FileService(asked),
      new HelloService(asked),
      new LockService({ ...asked, ...OWNER }),
      new PubSubService({ ...asked, policy, appId: 'app' }),
      new SecretService({ ...asked, policy }),
      new SequencerService({ ...asked, ...OWNER }),
      new LifecycleService(lifecycle),
    ];
    for (const { handlers, streams = new Map<string, StreamHandler>() } of services) {
      for (const [method, handler] of handlers) this.#handlers.set(method, handler);
      for (const [path, handler] of streams) this.#streams.set(path, handler);
    }
  }

  static async open(components: readonly RoomComponent[], options: RoomsOptions = {}): Promise<Rooms> {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'rooms-')));
    const rooms = new Rooms(dataDir, components, options);
    rooms.registry.start();
    if (options.wait !== false) await rooms.ready();
    return rooms;
  }

  /** A component with everything filled in. */
  static config(component: RoomComponent, types: readonly ComponentType[] = catalog): ComponentConfig {
    return {
      version: 'v1',
      primitive: types.find(({ type }) => type === component.type)?.primitive ?? '',
      form: 'native',
      metadata: {},
      origin: { file: 'test', line: 0 },
      ...component,
    };
  }

  /** Waits until every component is ready. */
  async ready(): Promise<void> {
    await eventually('every component is ready', () => {
      const waiting = this.registry.health().filter(({ status }) => status !== 'ready');
      if (waiting.length > 0) throw new Error(JSON.stringify(waiting));
      return true;
    });
  }

  /** Calls `layotto.bridge.v1.<method>`. */
  async call<Request extends DescMessage, Response extends DescMessage>(
    method: string,
    [input, output]: readonly [Request, Response],
    request: MessageInitShape<Request>,
    { traceparent = '', deadlineMs = Infinity }: { traceparent?: string; deadlineMs?: number } = {},
  ): Promise<MessageShape<Response>> {
    const handler = this.#handlers.get(`layotto.bridge.v1.${method}`);
    if (handler === undefined) throw new Error(`no handler for ${method}`);
    const call = new Call(method, traceparent, performance.now());
    call.deadline = call.arrived + deadlineMs;
    return fromBinary(output, await handler(toBinary(input, create(input, request)), call));
  }

  /** Begins a call of a streaming method. @param path as callers know it */
  stream(path: string): TestStream {
    const handler = this.#streams.get(path);
    if (handler === undefined) throw new Error(`no stream handler for ${path}`);
    return new TestStream(path, handler);
  }

  async close(): Promise<void> {
    this.#configuration.close();
    this.live.close();
    this.watches.close();
    await this.registry.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
