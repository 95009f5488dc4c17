import { mayRead } from './access.js';

const rules = (base: 'allow' | 'deny', allowed: string[] = [], denied: string[] = []) => ({
  default: base,
  allowed,
  denied,
});

it.each([
  ['no rules', undefined, 'abc'],
  ['the default to allow', rules('allow'), 'abc'],
  ['the default to deny', rules('deny'), ''],
  ['some denied', rules('allow', [], ['b']), 'ac'],
  ['some allowed', rules('deny', ['a', 'b']), 'ab'],
  ['some allowed, whatever the default', rules('allow', ['a']), 'a'],
  ['allowed and denied: allowed counts', rules('allow', ['a'], ['a', 'b']), 'a'],
  ['denied where the default denies', rules('deny', [], ['b']), ''],
])('%s', (_, access, readable) => {
  expect([...'abc'].filter((name) => mayRead(access, name)).join('')).toBe(readable);
});

it('compares names as they are', () => {
  for (const name of ['A', 'a ', 'a\0', 'toString']) expect(mayRead(rules('deny', ['a']), name)).toBe(false);
});
