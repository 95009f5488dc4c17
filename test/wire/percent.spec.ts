import { posix } from 'node:path';

import { Harness } from './harness.js';
import { failure, Random } from './random.js';

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

function unescape(name: 'queryUnescape' | 'pathUnescape', text: string): string | undefined {
  const { result, output } = harness.call(name, text);
  return result === 1 ? output.toString() : undefined;
}

describe('unescaping', () => {
  test.each([
    ['a+b%20c', 'a b c', 'a+b c'],
    ['%C3%a9', 'é', 'é'],
    ['%2F%2f', '//', '//'],
    ['plain', 'plain', 'plain'],
    ['', '', ''],
    ['%41', 'A', 'A'],
  ])('%s', (text, query, path) => {
    expect(unescape('queryUnescape', text)).toBe(query);
    expect(unescape('pathUnescape', text)).toBe(path);
  });

  test.each(['%', '%4', 'a%', '%zz', '%4g', '%g4', '100% sure', '%%41'])('%s is refused', (text) => {
    expect(unescape('queryUnescape', text)).toBeUndefined();
    expect(unescape('pathUnescape', text)).toBeUndefined();
  });
});

describe('cleaning a path', () => {
  const clean = (path: string) => harness.call('pathClean', path).output.toString().slice(1);

  test.each([
    ['', '.'],
    ['/', '/'],
    ['//', '/'],
    ['/v1.0//state/store', '/v1.0/state/store'],
    ['/v1.0/state/', '/v1.0/state'],
    ['/a/./b/../c', '/a/c'],
    ['/../..', '/'],
    ['/a/../../b', '/b'],
    ['a/..', '.'],
    ['a/../..', '..'],
    ['../../a/../b', '../../b'],
    ['/a/..b/.c/...', '/a/..b/.c/...'],
    ['/a/%2e%2e/b%2Fc', '/a/%2e%2e/b%2Fc'],
  ])('%j is %j', (path, expected) => {
    expect(clean(path)).toBe(expected);
  });

  test('does what node:path does with anything', () => {
    const random = Random.announced('path');
    for (let i = 0; i < 5_000; i++) {
      const parts = Array.from({ length: random.below(8) }, () =>
        random.pick(['/', '..', '.', 'a', 'bc', '//', '...']),
      );
      const path = parts.join(random.oneIn(2) ? '/' : '');
      // node keeps a slash at the end, Go does not
      const normal = posix.normalize(path);
      const expected = normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
      const cleaned = clean(path);
      if (cleaned !== expected) {
        throw failure('path', random.seed, Buffer.from(path), `${path} became ${cleaned}, not ${expected}`);
      }
    }
  });
});

test.each([
  ['a=1&b=2', ['a=1', 'b=2']],
  ['a', ['a=']],
  ['a=', ['a=']],
  ['=b', ['=b']],
  ['a=b=c', ['a=b=c']],
  ['&&a=1&', ['a=1']],
  ['a;b=1&c=2', ['c=2']],
  ['metadata.x=%20+y', ['metadata.x=%20+y']],
  ['', []],
])('the query %j has the pairs %j', (query, pairs) => {
  const { output } = harness.call('queryPairs', query);
  expect(output.toString()).toBe(pairs.map((pair) => `${pair}\n`).join(''));
});
