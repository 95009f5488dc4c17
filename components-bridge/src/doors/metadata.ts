import { create, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';

import type { ComponentConfig, RuntimeConfig } from '../config/types.js';
import * as pb from '../gen/dapr/proto/runtime/v1/metadata_pb.js';
import { Code } from '../primitives/errors.js';
import { DAPR, NOT_PROTOBUF, read } from './method.js';
import type { Admit, Step, UnaryMethod } from './method.js';
import type { Refused } from './refused.js';

/** What Dapr's metadata says of the runtime. */
export interface RuntimeFacts {
  version: string;
  app(): RuntimeConfig['app'];
  components(): readonly ComponentConfig[];
  capabilities(component: ComponentConfig): readonly string[];
  subscriptions(): MessageInitShape<typeof pb.PubsubSubscriptionSchema>[];
  /** Names of the places of the web that the app may invoke. */
  endpoints(): readonly string[];
}

/** All keys and values that the app has set together, in bytes as they are encoded. */
const EXTENDED_LIMIT = 64 * 1024;
const TOO_LARGE = 'extended metadata may hold 65536 bytes in all: this value does not fit';

const P = 'metadata';
const EMPTY = new Uint8Array(0);

/** Dapr's metadata methods. What the app has set lasts as long as the bridge. */
export function metadataMethods(facts: RuntimeFacts): UnaryMethod[] {
  let extended: Record<string, string> = {};
  const set = (payload: Uint8Array, admit: Admit): Step => {
    const request = read(pb.SetMetadataRequestSchema, payload);
    if (request === undefined) return refused(Code.INVALID_ARGUMENT, NOT_PROTOBUF);
    const denied = admit('');
    if (denied !== undefined) return { refused: denied };
    const next = { ...extended, [request.key]: request.value };
    const message = create(pb.GetMetadataResponseSchema, { extendedMetadata: next });
    if (toBinary(pb.GetMetadataResponseSchema, message).length > EXTENDED_LIMIT) {
      return refused(Code.RESOURCE_EXHAUSTED, TOO_LARGE);
    }
    extended = next;
    return { answer: { message: EMPTY } };
  };
  return [
    {
      kind: 'unary',
      path: `${DAPR}GetMetadata`,
      primitive: P,
      start: (_payload, _behind, admit) => {
        const denied = admit('');
        return denied === undefined
          ? { answer: { message: metadata(facts, extended) } }
          : { refused: denied };
      },
    },
    {
      kind: 'unary',
      path: `${DAPR}SetMetadata`,
      primitive: P,
      start: (payload, _behind, admit) => set(payload, admit),
    },
  ];
}

function metadata(facts: RuntimeFacts, extended: Readonly<Record<string, string>>): Uint8Array {
  const { version } = facts;
  const { id, port, protocol } = facts.app();
  const registeredComponents = inOrder(facts.components()).map((component) => {
    const { name, type, version: of } = component;
    return { name, type, version: of, capabilities: [...facts.capabilities(component)] };
  });
  const message = create(pb.GetMetadataResponseSchema, {
    id,
    runtimeVersion: version,
    registeredComponents,
    subscriptions: facts.subscriptions(),
    httpEndpoints: facts.endpoints().map((name) => ({ name })),
    appConnectionProperties: { port, protocol, channelAddress: '127.0.0.1' },
    actorRuntime: { runtimeStatus: pb.ActorRuntime_ActorRuntimeStatus.DISABLED },
    extendedMetadata: { ...extended, daprRuntimeVersion: version },
  });
  return toBinary(pb.GetMetadataResponseSchema, message);
}

/** In the order of their names, as Dapr lists them. */
function inOrder(components: readonly ComponentConfig[]): ComponentConfig[] {
  return [...components].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

function refused(code: Code, message: string): { refused: Refused } {
  return { refused: { code, message } };
}
