import { Harness } from './harness.js';
import { Random } from './random.js';

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

const strict = new TextDecoder('utf-8', { fatal: true });

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

describe('UTF-8', () => {
  test('is told from other bytes as TextDecoder does', () => {
    const random = Random.announced('utf8');
    for (let i = 0; i < 20_000; i++) {
      const text = Buffer.from(random.text(20));
      const bytes = random.oneIn(3) ? text : random.mutate(text);
      if (harness.call('utf8Is', bytes).result !== Number(isUtf8(bytes))) {
        throw new Error(`wrong about ${Buffer.from(bytes).toString('hex')}`);
      }
    }
  });

  test.each([
    ['c080', 0],
    ['c1bf', 0],
    ['c280', 1],
    ['e09fbf', 0],
    ['e0a080', 1],
    ['ed9fbf', 1],
    ['eda080', 0],
    ['ee8080', 1],
    ['f08fbfbf', 0],
    ['f0908080', 1],
    ['f48fbfbf', 1],
    ['f4908080', 0],
    ['f5808080', 0],
    ['80', 0],
    ['c3', 0],
    ['e282', 0],
    ['f09f98', 0],
    ['6161616161616161c3', 0],
    ['', 1],
  ])('%s: %i', (hex, expected) => {
    expect(harness.call('utf8Is', Buffer.from(hex, 'hex')).result).toBe(expected);
  });

  test('becomes a string and comes back', () => {
    const twice = (bytes: Uint8Array) => harness.call('stringTwice', bytes).output.toString();
    expect(twice(Buffer.from('plain, é, 日本, 😀'))).toBe('plain, é, 日本, 😀');
    expect(twice(Buffer.from('61ff62c3f09f9880eda080', 'hex'))).toBe('a\ufffdb\ufffd😀\ufffd\ufffd\ufffd');
    expect(twice(new Uint8Array(0))).toBe('');
  });
});

test('views are cut without leaving their bytes', () => {
  const slice = (start: number, end: number) =>
    harness.call('sliceOf', 'abcdef', start, end).output.toString();
  expect(slice(0, 6)).toBe('abcdef');
  expect(slice(2, 4)).toBe('cd');
  expect(slice(-5, 100)).toBe('abcdef');
  expect(slice(4, 2)).toBe('');
  expect(slice(9, 12)).toBe('');
  expect(slice(0x7fffffff, -0x80000000)).toBe('');
});

test('bytes are found', () => {
  const find = (byte: string, from: number) =>
    harness.call('indexOf', 'abcabc', byte.charCodeAt(0), from).result;
  expect([find('b', 0), find('b', 2), find('b', -3), find('x', 0), find('b', 99)]).toEqual([1, 4, 1, -1, -1]);
});

test.each([
  // equal, equal but for case, begins with, equal in constant time
  ['abc', 'abc', [1, 1, 1, 1]],
  ['aBc', 'AbC', [0, 1, 0, 0]],
  ['abcd', 'ab', [0, 0, 1, 0]],
  ['ab', 'abcd', [0, 0, 0, 0]],
  ['', '', [1, 1, 1, 1]],
  ['a', '', [0, 0, 1, 0]],
  ['a@[', 'a`{', [0, 0, 0, 0]],
  ['a\u0000b', 'a\u0000c', [0, 0, 0, 0]],
])('%j and %j compare as %j', (a, b, bits) => {
  const result = Number(harness.call('compareHalves', `${a}\n${b}`).result);
  expect([0, 1, 2, 3].map((bit) => (result >> bit) & 1)).toEqual(bits);
});

test('the hash is FNV-1a', () => {
  expect(Number(harness.call('hashOf', 'foobar').result) >>> 0).toBe(0xbf9cf968);
  expect(Number(harness.call('hashOf', '').result) >>> 0).toBe(0x811c9dc5);
});

test('an empty view is 0', () => {
  expect(harness.run('emptyViews')).toBe(1);
});

test.each([
  ['0', 0n],
  ['-0', 0n],
  ['007', 7n],
  ['9223372036854775807', 9223372036854775807n],
  ['-9223372036854775808', -9223372036854775808n],
])('%s is the integer %i', (text, value) => {
  expect(harness.call('integerIs', text).result).toBe(1);
  expect(harness.call('integerOf', text).result).toBe(value);
});

test.each([
  '',
  '-',
  '+1',
  '1.0',
  '1e3',
  ' 1',
  '9223372036854775808',
  '-9223372036854775809',
  '99999999999999999999',
])('%j is no integer of 64 bits', (text) => {
  expect(harness.call('integerIs', text).result).toBe(0);
  expect(harness.call('integerOf', text).result).toBe(0n);
});

describe('the writer', () => {
  test('writes each kind', () => {
    harness.run('writerDemo');
    const expected = Buffer.concat([
      Buffer.from(
        '010102030404030201' + '0807060504030201' + 'ac02' + 'ffffffffffffffffff01' + '7a' + '0a0161',
        'hex',
      ),
      Buffer.from('0-12-922337203685477580800beefé😀\ufffd'),
    ]);
    expect(harness.output().toString('hex')).toBe(expected.toString('hex'));
  });

  test('stops at its limit and shows nothing then', () => {
    expect(harness.run('writerLimit', 100)).toBe(100);
    expect(harness.run('writerLimit', 101)).toBe(-1);
  });

  test('gives its bytes away', () => {
    expect(harness.run('writerTake')).toBe(1);
  });
});

test.each([1, 7, 8, 100, 2044, 2045, 4088, 5000])(
  'an arena hands out pieces of %i up to the end of its chunk',
  (size) => {
    // 4096 bytes, of which 8 lead to the chunk before
    expect(harness.run('arenaPieces', size)).toBe(Math.max(1, Math.floor(4088 / size)));
  },
);
