import { randomBytes } from 'node:crypto';

import { FrameError } from './frame.js';
import { MessageReader } from './message-reader.js';

function message(body: Buffer, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function readAll(chunks: readonly Buffer[], limit = 1_000_000): Buffer[] {
  const reader = new MessageReader(limit);
  const found: Buffer[] = [];
  // Copied, because a chunk's memory may be used again.
  for (const chunk of chunks) reader.push(chunk, (body) => found.push(Buffer.from(body)) > 0);
  return found;
}

describe('MessageReader', () => {
  const bodies = [
    Buffer.from('one'),
    Buffer.alloc(0),
    Buffer.from('three'),
    randomBytes(300),
    Buffer.alloc(0),
  ];
  const bytes = Buffer.concat(bodies.map((body) => message(body)));

  it('finds messages that lie in one chunk', () => {
    expect(readAll([bytes])).toEqual(bodies);
  });

  it('finds messages split in two, at every byte', () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(readAll([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(bodies);
    }
  });

  it('finds messages split in three, at every pair of bytes', () => {
    const short = Buffer.concat([
      message(Buffer.from('ab')),
      message(Buffer.alloc(0)),
      message(Buffer.from('c')),
    ]);
    for (let first = 0; first <= short.length; first++) {
      for (let second = first; second <= short.length; second++) {
        const chunks = [short.subarray(0, first), short.subarray(first, second), short.subarray(second)];
        expect(readAll(chunks).map(String)).toEqual(['ab', '', 'c']);
      }
    }
  });

  it('finds messages that come a byte at a time', () => {
    expect(readAll([...bytes].map((byte) => Buffer.of(byte)))).toEqual(bodies);
  });

  it('holds no more than the message when it comes in small pieces', () => {
    const reader = new MessageReader(1_000);
    const big = message(Buffer.alloc(1_000));
    for (const byte of big.subarray(0, -1)) reader.push(Buffer.of(byte), () => true);
    expect(reader.held).toBe(1_000);
    let found = 0;
    reader.push(big.subarray(-1), ({ length }) => (found = length) > 0);
    expect([found, reader.held]).toEqual([1_000, 0]);
  });

  it('stops when told to', () => {
    const found: string[] = [];
    new MessageReader(10).push(bytes.subarray(0, 21), (body) => {
      found.push(body.toString());
      return found.length < 2;
    });
    expect(found).toEqual(['one', '']);
  });

  it.each([
    ['in one chunk', (whole: Buffer) => [whole]],
    ['a byte at a time', (whole: Buffer) => [...whole].map((byte) => Buffer.of(byte))],
  ])('refuses a compressed message and one that is too long, %s', (_, cut) => {
    expect(() => readAll(cut(message(Buffer.from('x'), 1)))).toThrow(/compressed/);
    expect(() => readAll(cut(message(Buffer.from('x'), 255)))).toThrow(FrameError);
    expect(readAll(cut(message(Buffer.alloc(10))), 10)).toHaveLength(1);
    expect(() => readAll(cut(message(Buffer.alloc(11))), 10)).toThrow('11 bytes; the limit is 10');
    expect(() => readAll(cut(Buffer.from('00ffffffff', 'hex')))).toThrow('4294967295 bytes');
  });
});
