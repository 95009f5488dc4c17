import { createHash } from 'node:crypto';

import { Harness } from './harness.js';
import { Random } from './random.js';

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

function decode(text: string): string | undefined {
  const { result, output } = harness.call('base64Decode', text);
  return result === 1 ? output.toString('latin1') : undefined;
}

describe('base64', () => {
  test('encodes as Node does, and back', () => {
    const random = Random.announced('base64');
    for (let length = 0; length < 200; length++) {
      const bytes = Buffer.from(random.bytes(length));
      const padded = bytes.toString('base64');
      const bare = padded.replace(/=+$/, '');
      expect(harness.call('base64Encode', bytes, 1).output.toString()).toBe(padded);
      expect(harness.call('base64Encode', bytes, 0).output.toString()).toBe(bare);
      expect(decode(padded)).toBe(bytes.toString('latin1'));
      expect(decode(bare)).toBe(bytes.toString('latin1'));
    }
  });

  test.each([
    'a',
    'ab=',
    'abc==',
    'a===',
    '====',
    '=',
    'ab-_',
    'ab c',
    'ab\n',
    'YQ=a',
    'YR==',
    'YWJ=',
    'abcda',
  ])('%j is refused', (text) => {
    expect(decode(text)).toBeUndefined();
  });

  test('bytes of any value in a text never trap', () => {
    const random = Random.announced('base64 garbage');
    for (let i = 0; i < 2_000; i++) {
      const { result, output } = harness.call('base64Decode', random.bytes(random.below(12)));
      if (result === 0) expect(output.length).toBe(0);
    }
  });
});

describe('SHA-256', () => {
  test('is what node:crypto says, at every length around a block', () => {
    const random = Random.announced('sha256');
    for (const length of [...Array(140).keys(), 1000, 65_536]) {
      const bytes = random.bytes(length);
      const expected = createHash('sha256').update(bytes).digest('hex');
      expect(harness.call('sha256Digest', bytes, 1).output.toString()).toBe(expected);
      expect(harness.call('sha256Digest', bytes, 0).output.toString('hex')).toBe(expected);
    }
  });
});
