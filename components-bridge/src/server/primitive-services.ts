import type { Policy } from '../policy/policy.js';
import type { Backends } from '../primitives/backends.js';
import type { Service } from '../primitives/handler.js';
import { LazyService } from '../primitives/lazy-service.js';
import type { ComponentRegistry } from '../primitives/registry.js';

/** What services are made of. */
export interface ServiceParts {
  registry: ComponentRegistry;
  backends: Backends;
  policy: Policy;
  /** Largest message. */
  messageBytes: number;
  appId: string;
  /** What stores' keys may begin with. */
  namespace: string;
}

interface PrimitiveService {
  /** As components name it. */
  primitive: string;
  /** The service, without its package. */
  service: string;
  methods: readonly string[];
  streams?: readonly string[];
  load: (parts: ServiceParts) => Promise<Service>;
}

const PACKAGE = 'layotto.bridge.v1';

/** In the order that sessions are told of them. */
const SERVICES: readonly PrimitiveService[] = [
  {
    primitive: 'binding',
    service: 'Binding',
    methods: ['InvokeBinding'],
    load: async (parts) => new (await import('../primitives/binding/service.js')).BindingService(parts),
  },
  {
    primitive: 'file',
    service: 'File',
    methods: ['ListFile', 'DelFile', 'GetFileMeta'],
    streams: ['/spec.proto.runtime.v1.Runtime/GetFile', '/spec.proto.runtime.v1.Runtime/PutFile'],
    load: async (parts) => new (await import('../primitives/file/service.js')).FileService(parts),
  },
  {
    primitive: 'hello',
    service: 'Hellos',
    methods: ['SayHello'],
    load: async (parts) => new (await import('../primitives/hello/service.js')).HelloService(parts),
  },
  {
    primitive: 'lock',
    service: 'Lock',
    methods: ['TryLock', 'Unlock', 'LockKeepAlive'],
    load: async (parts) => new (await import('../primitives/lock/service.js')).LockService(parts),
  },
  {
    primitive: 'secret',
    service: 'Secret',
    methods: ['GetSecret', 'GetBulkSecret'],
    load: async (parts) => new (await import('../primitives/secret/service.js')).SecretService(parts),
  },
  {
    primitive: 'sequencer',
    service: 'Sequencer',
    methods: ['GetNextId', 'GetSegment'],
    load: async (parts) => new (await import('../primitives/sequencer/service.js')).SequencerService(parts),
  },
  {
    primitive: 'state',
    service: 'State',
    methods: [
      'GetState',
      'GetBulkState',
      'SaveState',
      'DeleteState',
      'DeleteBulkState',
      'ExecuteStateTransaction',
    ],
    load: async (parts) => new (await import('../primitives/state/service.js')).StateService(parts),
  },
];

/** The services whose code is needed only where their primitive is, by primitive. */
export function primitiveServices(parts: ServiceParts): ReadonlyMap<string, LazyService> {
  return new Map(
    SERVICES.map(({ primitive, service, load, ...offer }) => [
      primitive,
      new LazyService({ ...offer, name: `${PACKAGE}.${service}`, load: () => load(parts) }),
    ]),
  );
}
