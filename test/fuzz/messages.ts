import { create, toBinary, type DescMessage } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import {
  GetMetadataResponseSchema,
  SetMetadataRequestSchema,
} from '../../components-bridge/src/gen/dapr/proto/runtime/v1/metadata_pb.js';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { grpcFrame } from '../support/grpc-raw.js';
import { randomMessage } from '../wire/random-message.js';
import type { Random } from '../wire/random.js';

/** A method of a gRPC door. */
export interface Method {
  name: string;
  input: DescMessage;
  /** What an answer must decode as; undefined: as anything. */
  output: DescMessage | undefined;
}

export const STATE_METHODS: readonly Method[] = [
  { name: 'GetState', input: pb.GetStateRequestSchema, output: pb.GetStateResponseSchema },
  { name: 'GetBulkState', input: pb.GetBulkStateRequestSchema, output: pb.GetBulkStateResponseSchema },
  { name: 'SaveState', input: pb.SaveStateRequestSchema, output: undefined },
  { name: 'DeleteState', input: pb.DeleteStateRequestSchema, output: undefined },
  { name: 'DeleteBulkState', input: pb.DeleteBulkStateRequestSchema, output: undefined },
  { name: 'ExecuteStateTransaction', input: pb.ExecuteStateTransactionRequestSchema, output: undefined },
];

export const METADATA_METHODS: readonly Method[] = [
  // Its request has no fields, as the response of a save has none.
  { name: 'GetMetadata', input: pb.SaveStateResponseSchema, output: GetMetadataResponseSchema },
  { name: 'SetMetadata', input: SetMetadataRequestSchema, output: undefined },
];

/** A key of a small set, so that inputs meet what others have left; now and then an odd one. */
export function aKey(random: Random): string {
  if (!random.oneIn(8)) return `k${random.below(32)}`;
  return random.pick([
    '',
    'a||b',
    '||',
    '|',
    '\u0000',
    'a/b',
    'é日😀',
    ' ',
    '%',
    'k'.repeat(900),
    random.text(),
  ]);
}

export function aStore(random: Random): string {
  return random.oneIn(10) ? random.pick(['', 'nothing', 'statestore ', random.text()]) : 'statestore';
}

function someMetadata(random: Random): Record<string, string> {
  if (!random.oneIn(5)) return {};
  return random.pick([
    { ttlInSeconds: '1' },
    { ttlInSeconds: '-1' },
    { ttlInSeconds: 'soon' },
    { ttlInSeconds: '99999999999999999999' },
    { contentType: 'application/json', [random.text(6)]: random.text() },
  ]) as Record<string, string>;
}

function anItem(random: Random): object {
  return {
    key: aKey(random),
    value: random.bytes(random.oneIn(20) ? random.below(2_000) : random.below(40)),
    ...(random.oneIn(5) ? { etag: { value: random.pick(['1', '0', '', 'x', '18446744073709551616']) } } : {}),
    metadata: someMetadata(random),
    ...(random.oneIn(6) ? { options: { concurrency: random.below(4), consistency: random.below(4) } } : {}),
  };
}

function someItems(random: Random): object[] {
  return Array.from({ length: random.oneIn(30) ? random.below(60) : random.below(4) }, () => anItem(random));
}

/** A request as a client might send it. */
export function plausible(method: Method, random: Random): Uint8Array {
  return toBinary(method.input, create(method.input, fieldsOf(method, random)));
}

function fieldsOf({ name }: Method, random: Random): Record<string, unknown> {
  const storeName = aStore(random);
  const metadata = someMetadata(random);
  switch (name) {
    case 'GetState':
      return { storeName, key: aKey(random), metadata, consistency: random.below(3) };
    case 'GetBulkState':
      return {
        storeName,
        keys: Array.from({ length: random.below(6) }, () => aKey(random)),
        parallelism: random.pick([0, 1, -1, 2_147_483_647]),
        metadata,
      };
    case 'SaveState':
    case 'DeleteBulkState':
      return { storeName, states: someItems(random) };
    case 'DeleteState':
      return { storeName, ...anItem(random), value: undefined };
    case 'ExecuteStateTransaction':
      return {
        storeName,
        metadata,
        operations: someItems(random).map((request) => ({
          operationType: random.oneIn(8) ? random.text(8) : random.pick(['upsert', 'delete']),
          ...(random.oneIn(12) ? {} : { request }),
        })),
      };
    case 'SetMetadata':
      // Few keys: what the app sets stays for as long as Envoy lives.
      return { key: `m${random.below(8)}`, value: random.text() };
    default:
      return {};
  }
}

/** Bytes for a method's request that are anything from right to hostile, and what they are. */
export function aMessage(method: Method, random: Random, limit: number): [bytes: Uint8Array, what: string] {
  const kind = random.below(100);
  if (kind < 40) return [plausible(method, random), 'a plausible message'];
  if (kind < 68) return [random.mutate(plausible(method, random)), 'a mutated message'];
  if (kind < 78) return [randomMessage(method.input, random), 'random fields'];
  if (kind < 84) return [random.mutate(randomMessage(method.input, random)), 'mutated random fields'];
  if (kind < 88) return [random.bytes(random.below(60)), 'random bytes'];
  if (kind < 90) return [sized(limit - 3 + random.below(6)), 'a message near the limit'];
  return hostile(random);
}

/** A SaveState message of exactly so many bytes. */
function sized(bytes: number): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string('statestore');
  // Tag and a length of three bytes stand in front of the rest, which is of a field nobody knows.
  const rest = Math.max(0, bytes - 12 - 5);
  writer.tag(1000, WireType.LengthDelimited).bytes(new Uint8Array(rest));
  return writer.finish();
}

function hostile(random: Random): [Uint8Array, string] {
  const writer = new BinaryWriter();
  const field = 1 + random.below(5);
  switch (random.below(9)) {
    case 0: {
      const depth = random.pick([30, 64, 100, 101, 2_000]);
      for (let left = depth; left > 0; left--) writer.tag(field, WireType.StartGroup);
      for (let left = depth; left > 0; left--) writer.tag(field, WireType.EndGroup);
      return [writer.finish(), `groups ${depth} deep`];
    }
    case 1: {
      let inner: Uint8Array = new Uint8Array(0);
      const depth = random.pick([20, 99, 100, 101, 400]);
      for (let left = depth; left > 0; left--) {
        inner = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(inner).finish();
      }
      return [inner, `messages ${depth} deep`];
    }
    case 2: {
      const length = random.pick([
        2n ** 31n - 1n,
        2n ** 31n,
        2n ** 32n - 1n,
        2n ** 32n,
        2n ** 63n,
        2n ** 64n - 1n,
      ]);
      writer.tag(field, WireType.LengthDelimited).uint64(length);
      return [Buffer.concat([writer.finish(), random.bytes(4)]), `a field of ${length} bytes`];
    }
    case 3: {
      const bad = random.pick(['ff', 'c328', 'c080', 'eda080', 'f4908080', 'e28228', 'f0288cbc', '80', 'e2']);
      for (const number of [1, field])
        writer.tag(number, WireType.LengthDelimited).bytes(Buffer.from(bad, 'hex'));
      return [writer.finish(), `text that is not UTF-8 (${bad})`];
    }
    case 4: {
      const varint = Buffer.concat([
        Buffer.alloc(random.pick([9, 10, 11, 30]), 0xff),
        Buffer.of(random.below(3)),
      ]);
      return [Buffer.concat([Buffer.of(field << 3), varint]), 'a number of many bytes'];
    }
    case 5:
      return [Buffer.of(random.below(8), random.bits() & 0xff, random.bits() & 0xff), 'the field number 0'];
    case 6:
      return [Buffer.of((field << 3) | random.pick([4, 6, 7]), 0, 0), 'a wire type that does not exist'];
    case 7: {
      const count = random.pick([1_000, 5_000]);
      writer.tag(1, WireType.LengthDelimited).string('statestore');
      for (let left = count; left > 0; left--)
        writer.tag(2, WireType.LengthDelimited).bytes(new Uint8Array(0));
      return [writer.finish(), `${count} empty elements`];
    }
    default: {
      // Several times the same field: the last one counts.
      for (const text of ['nothing', random.text(), 'statestore'])
        writer.tag(1, WireType.LengthDelimited).string(text);
      return [writer.tag(2, WireType.LengthDelimited).string('k').finish(), 'a field given three times'];
    }
  }
}

/** A body for one message: framed as gRPC says, or not quite. */
export function aFraming(message: Uint8Array, random: Random): [body: Uint8Array, what: string | undefined] {
  const right = grpcFrame(message);
  if (!random.oneIn(4)) return [right, undefined];
  switch (random.below(10)) {
    case 0:
      return [grpcFrame(message, random.pick([1, 2, 3, 127, 128, 255])), 'a wrong flag'];
    case 1:
      return [Buffer.concat([right, grpcFrame(message)]), 'two messages'];
    case 2:
      return [right.subarray(0, random.below(right.length + 1)), 'cut off'];
    case 3:
      return [new Uint8Array(0), 'no body'];
    case 4:
      return [Buffer.concat([right, random.bytes(1 + random.below(9))]), 'bytes after the message'];
    case 5: {
      const length = random.pick([0, 1, message.length + 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffb]);
      const wrong = Buffer.from(right);
      wrong.writeUInt32BE(length, 1);
      return [wrong, `a length of ${length}`];
    }
    case 6:
      return [Buffer.concat([grpcFrame(new Uint8Array(0)), right]), 'an empty message first'];
    case 7:
      return [message, 'no frame'];
    case 8:
      return [random.mutate(right), 'a mutated frame'];
    default:
      return [random.bytes(random.below(12)), 'a random frame'];
  }
}
