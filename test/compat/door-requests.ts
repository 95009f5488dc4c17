import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';

import * as dapr from '../../components-bridge/src/gen/dapr/proto/runtime/v1/configuration_pb.js';
import * as metadata from '../../components-bridge/src/gen/dapr/proto/runtime/v1/metadata_pb.js';
import * as binding from '../../components-bridge/src/gen/layotto/bridge/v1/binding_pb.js';
import * as configuration from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import * as file from '../../components-bridge/src/gen/layotto/bridge/v1/file_pb.js';
import * as hello from '../../components-bridge/src/gen/layotto/bridge/v1/hello_pb.js';
import * as lifecycle from '../../components-bridge/src/gen/layotto/bridge/v1/lifecycle_pb.js';
import * as lock from '../../components-bridge/src/gen/layotto/bridge/v1/lock_pb.js';
import * as pubsub from '../../components-bridge/src/gen/layotto/bridge/v1/pubsub_pb.js';
import * as secret from '../../components-bridge/src/gen/layotto/bridge/v1/secret_pb.js';
import * as sequencer from '../../components-bridge/src/gen/layotto/bridge/v1/sequencer_pb.js';
import * as state from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { DAPR, LAYOTTO } from '../support/doors.js';
import type { Random } from '../wire/random.js';

/** A method that several servers are asked for, to compare their answers. */
export interface ComparedMethod {
  path: string;
  input: DescMessage;
  output: DescMessage;
}

type Entry = readonly [name: string, input: DescMessage, output: DescMessage];

const BOTH: readonly Entry[] = [
  ['GetState', state.GetStateRequestSchema, state.GetStateResponseSchema],
  ['GetBulkState', state.GetBulkStateRequestSchema, state.GetBulkStateResponseSchema],
  ['SaveState', state.SaveStateRequestSchema, EmptySchema],
  ['DeleteState', state.DeleteStateRequestSchema, EmptySchema],
  ['DeleteBulkState', state.DeleteBulkStateRequestSchema, EmptySchema],
  ['ExecuteStateTransaction', state.ExecuteStateTransactionRequestSchema, EmptySchema],
  ['GetSecret', secret.GetSecretRequestSchema, secret.GetSecretResponseSchema],
  ['GetBulkSecret', secret.GetBulkSecretRequestSchema, secret.GetBulkSecretResponseSchema],
  ['InvokeBinding', binding.InvokeBindingRequestSchema, binding.InvokeBindingResponseSchema],
  ['PublishEvent', pubsub.PublishEventRequestSchema, EmptySchema],
];

const OF_LAYOTTO: readonly Entry[] = [
  [
    'GetConfiguration',
    configuration.GetConfigurationRequestSchema,
    configuration.GetConfigurationResponseSchema,
  ],
  ['SaveConfiguration', configuration.SaveConfigurationRequestSchema, EmptySchema],
  ['DeleteConfiguration', configuration.DeleteConfigurationRequestSchema, EmptySchema],
  ['TryLock', lock.TryLockRequestSchema, lock.TryLockResponseSchema],
  ['Unlock', lock.UnlockRequestSchema, lock.UnlockResponseSchema],
  ['LockKeepAlive', lock.LockKeepAliveRequestSchema, lock.LockKeepAliveResponseSchema],
  ['GetNextId', sequencer.GetNextIdRequestSchema, sequencer.GetNextIdResponseSchema],
  ['SayHello', hello.SayHelloRequestSchema, hello.SayHelloResponseSchema],
  ['ListFile', file.ListFileRequestSchema, file.ListFileResponseSchema],
  ['DelFile', file.DelFileRequestSchema, EmptySchema],
  ['GetFileMeta', file.GetFileMetaRequestSchema, file.GetFileMetaResponseSchema],
  ['PutFile', file.PutFileRequestSchema, EmptySchema],
  ['GetFile', file.GetFileRequestSchema, file.GetFileResponseSchema],
];

const OF_DAPR: readonly Entry[] = [
  ['GetConfiguration', dapr.GetConfigurationRequestSchema, dapr.GetConfigurationResponseSchema],
  ['GetConfigurationAlpha1', dapr.GetConfigurationRequestSchema, dapr.GetConfigurationResponseSchema],
  [
    'UnsubscribeConfiguration',
    dapr.UnsubscribeConfigurationRequestSchema,
    dapr.UnsubscribeConfigurationResponseSchema,
  ],
  ['TryLockAlpha1', lock.TryLockRequestSchema, lock.TryLockResponseSchema],
  ['UnlockAlpha1', lock.UnlockRequestSchema, lock.UnlockResponseSchema],
  ['BulkPublishEvent', pubsub.BulkPublishEventRequestSchema, pubsub.BulkPublishEventResponseSchema],
  ['BulkPublishEventAlpha1', pubsub.BulkPublishEventRequestSchema, pubsub.BulkPublishEventResponseSchema],
  ['GetMetadata', EmptySchema, metadata.GetMetadataResponseSchema],
  ['SetMetadata', metadata.SetMetadataRequestSchema, EmptySchema],
];

/** Every method with one message each way that both doors serve, and the streams that end by themselves. */
export const METHODS: readonly ComparedMethod[] = [
  ...entriesOf(LAYOTTO, [...BOTH, ...OF_LAYOTTO]),
  ...entriesOf(DAPR, [...BOTH, ...OF_DAPR]),
  {
    path: '/spec.proto.runtime.v1.Lifecycle/ApplyConfiguration',
    input: lifecycle.DynamicConfigurationSchema,
    output: EmptySchema,
  },
  {
    path: '/spec.proto.extension.v1.delay_queue.DelayQueue/PublishDelayMessage',
    input: pubsub.PublishDelayMessageRequestSchema,
    output: pubsub.PublishDelayMessageResponseSchema,
  },
];

function entriesOf(service: string, entries: readonly Entry[]): ComparedMethod[] {
  return entries.map(([name, input, output]) => ({ path: `${service}/${name}`, input, output }));
}

const NAMES: Readonly<Record<string, string>> = {
  State: 'statestore',
  StateTransaction: 'statestore',
  Secret: 'secretstore',
  Configuration: 'configs',
  ConfigurationAlpha1: 'configs',
  Lock: 'lockstore',
  File: 'local',
  Publish: 'events',
};

const ODD_TEXTS = [
  '',
  'a||b',
  'n'.repeat(300),
  'é'.repeat(200),
  '😀'.repeat(100),
  'a b%c',
  'line\nbreak',
  '../up',
];

/** A text that makes sense there, or an odd one. */
function text(random: Random, ...sensible: string[]): string {
  return random.oneIn(7) ? random.pick(ODD_TEXTS) : random.pick(sensible);
}

function list<T>(random: Random, most: number, make: () => T): T[] {
  return Array.from({ length: random.below(most + 1) }, make);
}

function map(random: Random, ...sensible: Record<string, string>[]): Record<string, string> {
  if (random.oneIn(3)) return random.oneIn(4) ? { [random.pick(ODD_TEXTS)]: random.pick(ODD_TEXTS) } : {};
  return random.pick(sensible);
}

const key = (random: Random): string => text(random, 'a', 'b', 'c', 'd');

function item(random: Random): Record<string, unknown> {
  return {
    key: key(random),
    value: random.bytes(random.below(40)),
    ...(random.oneIn(4) ? { etag: { value: random.pick(['1', '2', '3', '', 'x']) } } : {}),
    metadata: random.oneIn(8) ? { ttlInSeconds: random.pick(['100', '-1', 'x']) } : {},
    ...(random.oneIn(4) ? { options: { concurrency: random.below(3), consistency: random.below(2) } } : {}),
  };
}

/** What is published, most of which can be. */
function event(random: Random): Record<string, unknown> {
  return {
    data: random.bytes(random.below(40)),
    dataContentType: text(random, '', 'text/plain', 'application/json', 'application/cloudevents+json'),
    metadata: map(
      random,
      { ttlInSeconds: '60' },
      { ttlInSeconds: '0' },
      { rawPayload: 'true' },
      { rawPayload: '?' },
    ),
  };
}

/** Which store: mostly one that is there. */
function store(random: Random, path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const found = Object.keys(NAMES).find((end) => name.includes(end));
  const known = NAMES[found ?? ''] ?? '';
  return random.oneIn(8) ? text(random, 'nope') : known;
}

/** A request such as an app may send, or one that is odd in some field. */
export function requestOf({ path, input }: ComparedMethod, random: Random): Record<string, unknown> {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const storeName = store(random, path);
  const where = { storeName, appId: text(random, '', 'alike'), group: text(random, '', 'g'), label: '' };
  const keys = () => list(random, 4, () => key(random));
  const claim = {
    storeName,
    resourceId: text(random, 'r1', 'r2'),
    lockOwner: text(random, 'me', 'you'),
    expire: random.pick([100, 100, 100, 0, -1]),
  };
  const aFile = { storeName, name: text(random, 'f1', 'f2', 'dir/f3'), metadata: map(random, {}) };
  switch (name) {
    case 'GetState':
      return { storeName, key: key(random), consistency: random.below(3), metadata: map(random, { a: 'b' }) };
    case 'GetBulkState':
      return { storeName, keys: keys(), parallelism: random.below(4) };
    case 'SaveState':
    case 'DeleteBulkState':
      return { storeName, states: list(random, 3, () => item(random)) };
    case 'DeleteState':
      return { storeName, ...item(random), value: undefined };
    case 'ExecuteStateTransaction':
      return {
        storeName,
        operations: list(random, 3, () => ({
          operationType: text(random, 'upsert', 'delete'),
          ...(random.oneIn(12) ? {} : { request: item(random) }),
        })),
      };
    case 'GetSecret':
    case 'GetBulkSecret':
      return {
        storeName,
        key: text(random, 'a', 'a', 'denied', 'absent'),
        metadata: map(random, { a: 'b' }),
      };
    case 'InvokeBinding':
      return {
        name: text(random, 'out', 'out', 'out', 'nope'),
        operation: text(random, 'get', 'post', 'zap'),
        data: random.bytes(random.below(20)),
        metadata: map(random, { path: 'kept/x' }, { path: 'status/503' }, { path: 'status/204' }),
      };
    case 'PublishEvent':
    case 'PublishDelayMessage':
      return {
        ...event(random),
        pubsubName: storeName,
        componentName: storeName,
        topic: text(random, 't', 'u'),
        delayInSeconds: random.pick([0, -1, 3600]),
      };
    case 'BulkPublishEvent':
    case 'BulkPublishEventAlpha1':
      return {
        pubsubName: storeName,
        topic: text(random, 't', 'u'),
        entries: list(random, 3, () => {
          const { data, dataContentType, metadata } = event(random);
          return {
            entryId: text(random, '1', '2', '3', '4'),
            event: data,
            contentType: dataContentType,
            metadata,
          };
        }),
        metadata: map(random, { a: 'b' }, { rawPayload: 'true' }),
      };
    case 'SaveConfiguration':
      return {
        ...where,
        items: list(random, 2, () => ({
          key: key(random),
          content: text(random, 'one', 'two'),
          group: text(random, '', 'g'),
          label: text(random, '', 'l', '*'),
          tags: map(random, { t: 'u' }),
        })),
      };
    case 'GetConfiguration':
    case 'GetConfigurationAlpha1':
    case 'DeleteConfiguration':
      return {
        ...(path.startsWith(DAPR) ? { storeName } : where),
        keys: random.oneIn(9) ? Array.from({ length: 12 }, (_, i) => `k${i}`) : keys(),
        metadata: map(random, { a: 'b' }),
      };
    case 'UnsubscribeConfiguration':
      return { storeName, id: text(random, 'no-such-id') };
    case 'TryLock':
    case 'TryLockAlpha1':
    case 'LockKeepAlive':
      return { ...claim, storeName: random.oneIn(8) ? text(random, 'nope') : 'lockstore' };
    case 'Unlock':
    case 'UnlockAlpha1':
      return { ...claim, storeName: random.oneIn(8) ? text(random, 'nope') : 'lockstore', expire: undefined };
    case 'GetNextId':
      return {
        storeName: text(random, 'sequencer', 'sequencer', 'nope'),
        key: text(random, 'orders', 'bills'),
        ...(random.oneIn(2) ? { options: { increment: random.pick([0, 1, 1, 7]) } } : {}),
      };
    case 'SayHello':
      return {
        serviceName: text(random, 'helloworld'),
        name: text(random, '', 'Ada'),
        data: random.bytes(3),
      };
    case 'ListFile':
      return { ...(random.oneIn(6) ? {} : { request: { ...aFile, name: text(random, '', 'dir') } }) };
    case 'DelFile':
    case 'GetFileMeta':
      return { ...(random.oneIn(6) ? {} : { request: aFile }) };
    case 'PutFile':
      return { ...aFile, data: random.bytes(random.below(30)) };
    case 'GetFile':
      return aFile;
    case 'ApplyConfiguration':
      return {
        componentConfig: {
          kind: text(random, 'hellos', 'lock', 'nope'),
          name: text(random, 'helloworld', 'lockstore'),
          metadata: map(random, { hello: 'greeting' }, { unknown: 'key' }),
        },
      };
    case 'SetMetadata':
      return { key: text(random, 'k1', 'k2'), value: text(random, 'one', 'two', 'v'.repeat(20_000)) };
    case 'GetMetadata':
      return {};
    default:
      throw new Error(`no requests for ${name} (${input.typeName})`);
  }
}

/** Bytes that are no message, or a message with something odd in it. */
export function oddBytes(method: ComparedMethod, random: Random): Uint8Array {
  const good = toBinary(method.input, create(method.input, requestOf(method, random)));
  switch (random.below(5)) {
    case 0:
      return random.bytes(1 + random.below(12));
    case 1:
      return good.subarray(0, random.below(good.length + 1));
    case 2:
      return Buffer.concat([good, Buffer.from([0xf8, 0x07, 0x01])]);
    case 3:
      return Buffer.concat([good, good]);
    default: {
      const changed = Uint8Array.from(good);
      if (changed.length > 0) changed[random.below(changed.length)] = random.below(256);
      return changed;
    }
  }
}
