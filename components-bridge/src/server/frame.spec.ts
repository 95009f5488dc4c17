import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { randomBytes } from 'node:crypto';

import { FrameSchema, Kind } from '../gen/layotto/bridge/v1/session_pb.js';
import { decodeFrame, encodeHead, FrameError } from './frame.js';

const KINDS = [Kind.HELLO, Kind.REQUEST, Kind.RESULT, Kind.FAILURE, Kind.CANCEL, Kind.PING, Kind.GOAWAY];

/** Numbers at and around every length of a varint. */
const NUMBERS = Array.from({ length: 53 }, (_, bit) => 2 ** bit)
  .flatMap((number) => [number - 1, number, number + 1])
  .filter(Number.isSafeInteger);

describe('decodeFrame', () => {
  it('reads what protobuf-es writes', () => {
    for (const [index, id] of NUMBERS.entries()) {
      const frame = {
        id: BigInt(id),
        kind: KINDS[index % KINDS.length] ?? Kind.HELLO,
        deadlineMs: id % 2 ** 32,
        method: index % 3 === 0 ? '' : 'layotto.bridge.v1.State/GetState',
        traceparent: index % 2 === 0 ? '' : '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        payload: randomBytes(index % 7 === 0 ? 0 : index * 3),
      };
      const { payload, ...rest } = decodeFrame(
        Buffer.from(toBinary(FrameSchema, create(FrameSchema, frame))),
      );
      expect({ ...rest, payload: Buffer.from(payload) }).toEqual({
        id,
        kind: frame.kind,
        deadlineMs: frame.deadlineMs,
        method: frame.method,
        traceparent: frame.traceparent,
        payload: frame.payload,
      });
    }
  });

  it('reads fields in any order, and takes the last of two', () => {
    const bytes = Buffer.from([0x7a, 1, 0x61, 0x10, 1, 0x08, 5, 0x10, 2, 0x7a, 2, 0x62, 0x63]);
    expect(decodeFrame(bytes)).toMatchObject({ id: 5, kind: Kind.REQUEST });
    expect(Buffer.from(decodeFrame(bytes).payload).toString()).toBe('bc');
  });

  it('skips fields of later versions, whatever their wire type', () => {
    const unknown = [
      ...[0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // 16, varint of 64 bits
      ...[0x89, 0x01, 1, 2, 3, 4, 5, 6, 7, 8], // 17, 8 bytes
      ...[0x92, 0x01, 3, 1, 2, 3], // 18, bytes
      ...[0x9d, 0x01, 1, 2, 3, 4], // 19, 4 bytes
      ...[0x0a, 1, 0], // 1, but with bytes
    ];
    expect(decodeFrame(Buffer.from([...unknown, 0x08, 9, ...unknown]))).toMatchObject({ id: 9 });
  });

  it('reads a method that is not ASCII', () => {
    const bytes = Buffer.from(toBinary(FrameSchema, create(FrameSchema, { method: 'ключ' })));
    expect(decodeFrame(bytes).method).toBe('ключ');
  });

  it.each([
    ['a field that reaches beyond the end', [0x7a, 5, 1]],
    ['a number that ends too early', [0x08, 0x80]],
    ['a number of more than 10 bytes', [0x08, ...Array<number>(10).fill(0x80), 1]],
    ['an unknown number of more than 10 bytes', [0x80, 0x01, ...Array<number>(10).fill(0x80), 1]],
    ['an id beyond 2^53', [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a length beyond 2^53', [0x7a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['the field number 0', [0x00, 0]],
    ['a group', [0x83, 0x01]],
    ['the wire type 7', [0x87, 0x01]],
    ['a method that is not UTF-8', [0x22, 2, 0xc3, 0x28]],
    ['4 bytes that are 3', [0x9d, 0x01, 1, 2, 3]],
    ['8 bytes that are 7', [0x89, 0x01, 1, 2, 3, 4, 5, 6, 7]],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeFrame(Buffer.from(bytes))).toThrow(FrameError);
  });

  it('throws nothing but FrameError, whatever the bytes', () => {
    const valid = toBinary(
      FrameSchema,
      create(FrameSchema, {
        id: 77n,
        kind: Kind.REQUEST,
        deadlineMs: 500,
        method: 'a/b',
        payload: Buffer.from('xyz'),
      }),
    );
    for (let round = 0; round < 20_000; round++) {
      const bytes = round % 2 === 0 ? randomBytes(round % 40) : Buffer.from(valid);
      if (round % 2 === 1) bytes[round % bytes.length] = Math.floor(Math.random() * 256);
      try {
        decodeFrame(bytes);
      } catch (error) {
        if (!(error instanceof FrameError))
          throw new Error(`bytes ${bytes.toString('hex')}`, { cause: error });
      }
    }
  });
});

describe('encodeHead', () => {
  it('writes what protobuf-es reads, in a gRPC message', () => {
    for (const id of NUMBERS) {
      for (const length of [0, 1, 127, 128, 20_000]) {
        const payload = randomBytes(length);
        const message = Buffer.concat([encodeHead(id, Kind.RESULT, length), payload]);
        expect(message[0]).toBe(0);
        expect(message.readUInt32BE(1)).toBe(message.length - 5);
        const frame = fromBinary(FrameSchema, message.subarray(5));
        expect(frame.id).toBe(BigInt(id));
        expect(frame.kind).toBe(Kind.RESULT);
        expect(payload.equals(frame.payload)).toBe(true);
      }
    }
  });

  it('writes how long the answer took, whatever the length of the number', () => {
    for (const us of [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1]) {
      const head = encodeHead(Number.MAX_SAFE_INTEGER, Kind.RESULT, 2 ** 31, us, Math.floor(us / 2));
      const frame = fromBinary(FrameSchema, Buffer.concat([head.subarray(5, -6)]));
      expect(frame).toMatchObject({ bridgeUs: us, backendUs: Math.floor(us / 2) });
      expect(head.readUInt32BE(1)).toBe(head.length - 5 + 2 ** 31);
    }
  });
});
