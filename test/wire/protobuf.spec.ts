import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import { FrameSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import { GetStateRequestSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { Color, EverythingSchema } from './gen/layotto/test/v1/everything_pb.js';
import { Harness } from './harness.js';

/** The numbers of messages in test/wire/message-kinds.ts. */
const EVERYTHING = 0;
const FRAME = 1;

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

function decodes(kind: number, hex: string): boolean {
  return harness.batch('protobufBatch', [{ kind, bytes: Buffer.from(hex, 'hex') }])[0]!.status === 1;
}

describe('a decoded message', () => {
  test('has every value in the field where protobuf-es put it', () => {
    const message = create(EverythingSchema, {
      aDouble: -0.5,
      aFloat: 1.5,
      anInt32: -2147483648,
      anInt64: -9223372036854775808n,
      aUint32: 4294967295,
      aUint64: 18446744073709551615n,
      aSint32: -2147483648,
      aSint64: -9223372036854775808n,
      aFixed32: 4294967294,
      aFixed64: 18446744073709551614n,
      aSfixed32: -2,
      aSfixed64: -3n,
      far: -4n,
      aBool: true,
      aString: 'häß 😀',
      someBytes: Buffer.from('bytes'),
      color: Color.NEGATIVE,
      child: { aString: 'child', child: { aString: 'grandchild' } },
      doubles: [1.25, -2.5],
      floats: [0.5],
      int32s: [-1, 1],
      uint64s: [18446744073709551615n],
      sint32s: [-1, 2147483647],
      sint64s: [-5n],
      fixed32s: [7],
      sfixed64s: [-8n],
      bools: [true, false],
      colors: [Color.NEGATIVE, Color.RED, 77 as Color],
      strings: ['', 'two'],
      byteStrings: [Buffer.from('three')],
      children: [{ aString: 'one' }, {}, { aString: 'three' }],
      labels: { key: 'value', '': 'nothing' },
      maybeInt32: 0,
      maybeString: '',
      choice: { case: 'chosenText', value: '' },
      reset: 'name taken',
    });
    const { result, output } = harness.call('dumpEverything', toBinary(EverythingSchema, message));
    expect(result).toBe(1);
    expect(JSON.parse(output.toString())).toEqual({
      numbers: [
        '-0.5',
        '1.5',
        '-2147483648',
        '-9223372036854775808',
        '4294967295',
        '18446744073709551615',
        '-2147483648',
        '-9223372036854775808',
        '4294967294',
        '18446744073709551614',
        '-2',
        '-3',
        '-4',
      ],
      aBool: true,
      aString: 'häß 😀',
      someBytes: 'bytes',
      color: true,
      child: 'child',
      lists: [
        ['1.25', '-2.5'],
        ['0.5'],
        ['-1', '1'],
        ['18446744073709551615'],
        ['-1', '2147483647'],
        ['-5'],
        ['7'],
        ['-8'],
        ['true', 'false'],
        ['-1', '1', '77'],
        ['', 'two'],
        ['three'],
      ],
      children: ['one', '', 'three'],
      labels: [
        ['key', ''],
        ['value', 'nothing'],
      ],
      presence: [true, 0, true, false, false],
      choice: [false, true, false],
      reset: 'name taken',
    });
  });

  test('has the last of a field that came twice, and a message put together from both', () => {
    const [one, two] = [
      create(EverythingSchema, { aString: 'first', child: { aString: 'kept', anInt32: 1 } }),
      create(EverythingSchema, { aString: 'last', child: { anInt32: 2 } }),
    ].map((message) => toBinary(EverythingSchema, message));
    const { output } = harness.call('dumpEverything', Buffer.concat([one!, two!]));
    expect(JSON.parse(output.toString())).toMatchObject({ aString: 'last', child: 'kept' });
  });

  test('has only the last member of a oneof', () => {
    const text = create(EverythingSchema, { choice: { case: 'chosenText', value: 'text' } });
    const message = create(EverythingSchema, { choice: { case: 'chosenMessage', value: {} } });
    const bytes = Buffer.concat([toBinary(EverythingSchema, text), toBinary(EverythingSchema, message)]);
    const { output } = harness.call('dumpEverything', bytes);
    expect(JSON.parse(output.toString())).toMatchObject({ choice: [false, false, true] });
  });

  test('is empty after bytes that are no message', () => {
    const request = toBinary(
      GetStateRequestSchema,
      create(GetStateRequestSchema, { storeName: 'store', metadata: { a: 'b' } }),
    );
    expect(harness.call('decodeOften', request, 1).result).toBe(1);
    expect(harness.call('decodeFailure', Buffer.concat([request, Buffer.of(0x0a, 0x05)])).result).toBe(1);
  });
});

describe('refused', () => {
  test.each([
    ['a field of number 0', '0001'],
    ['a tag over 32 bits', '888080801000'],
    ['a tag of more than 5 bytes', '88808080800000'],
    ['wire type 6', '0e'],
    ['wire type 7', '0f'],
    ['a varint of 11 bytes', '088080808080808080808001'],
    ['a varint cut off', '0880'],
    ['a length past the end', '220561'],
    ['a length near 4 GiB', '22ffffffff0f61'],
    ['a length over 32 bits', '22808080801061'],
    ['text that is not UTF-8', '2202c080'],
    ['a surrogate in text', '2203eda080'],
    ['the end of a group that did not start', '0c'],
    ['a group that does not end', '9b0608019b06'],
    ['the end of another group', '9b069c079c06'],
    ['four bytes cut off', '9d06000000'],
    ['eight bytes cut off', '9906000000000000'],
  ])('%s', (_name, hex) => {
    expect(decodes(FRAME, hex)).toBe(false);
  });

  test('a nested message that is longer than what holds it', () => {
    // child of 2 bytes, its text of 5
    expect(decodes(EVERYTHING, '8a01027205616263646500')).toBe(false);
  });

  test.each([
    [99, true],
    [100, false],
  ])('messages nested %i deep: %s', (depth, accepted) => {
    let bytes = new Uint8Array(0);
    for (let i = 0; i < depth; i++) {
      bytes = new BinaryWriter().tag(17, WireType.LengthDelimited).bytes(bytes).finish();
    }
    expect(decodes(EVERYTHING, Buffer.from(bytes).toString('hex'))).toBe(accepted);
  });

  test.each([
    [99, true],
    [100, false],
  ])('unknown groups nested %i deep: %s', (depth, accepted) => {
    expect(decodes(FRAME, '9b06'.repeat(depth) + '9c06'.repeat(depth))).toBe(accepted);
  });

  test('more list items than memory should hold', () => {
    const items = (count: number) => Buffer.alloc(count * 3, Buffer.from('f20100', 'hex')).toString('hex');
    expect(decodes(EVERYTHING, items(131_072))).toBe(true);
    expect(decodes(EVERYTHING, items(131_073))).toBe(false);
    // nested messages, packed numbers, map entries
    expect(decodes(EVERYTHING, '8a0200'.repeat(131_073))).toBe(false);
    expect(decodes(EVERYTHING, `ba0181800${'8'}${'00'.repeat(131_073)}`)).toBe(false);
    expect(decodes(EVERYTHING, '920200'.repeat(131_073))).toBe(false);
  });
});

describe('accepted', () => {
  test.each([
    ['an unknown field of each wire type', '9806019906000000000000000092060161' + '9d0600000000'],
    ['an unknown group with fields in it', '9b0608019206026162' + '9b069c06' + '9c06'],
    ['a known field with another wire type', '0a0161'],
    ['a varint that is longer than it need be', '08818000'],
    ['nothing', ''],
  ])('%s', (_name, hex) => {
    expect(decodes(FRAME, hex)).toBe(true);
  });
});

test('a message is encoded with the bytes protobuf-es uses', () => {
  const frame = create(FrameSchema, {
    id: 300n,
    kind: 2,
    deadlineMs: 15,
    method: 'a/b',
    payload: Buffer.of(1, 2),
  });
  const bytes = toBinary(FrameSchema, frame);
  const [outcome] = harness.batch('protobufBatch', [{ kind: FRAME, bytes }]);
  expect(Buffer.from(outcome!.bytes)).toEqual(Buffer.from(bytes));
});

test('a message longer than its writer may hold leaves no bytes', () => {
  expect(harness.call('encodeTooLarge', Buffer.alloc(1000)).result).toBe(1);
});

test('decoding into the same object takes no memory', () => {
  const metadata = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`key${i}`, 'value']));
  const request = create(GetStateRequestSchema, { storeName: 'store', key: 'key', metadata });
  const bytes = toBinary(GetStateRequestSchema, request);
  harness.call('decodeOften', bytes, 10);
  const before = harness.memoryBytes;
  expect(harness.call('decodeOften', bytes, 100_000).result).toBe(1);
  expect(harness.memoryBytes).toBe(before);
});

test('the reader alone counts and passes over fields', () => {
  expect(harness.call('countFields', Buffer.from('0801120161', 'hex')).result).toBe(2);
  expect(harness.call('countFields', Buffer.from('080112056161', 'hex')).result).toBe(-1);
});

test('a string map keeps, replaces and forgets', () => {
  expect(harness.run('mapDemo')).toBe(0);
});
