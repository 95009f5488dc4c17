import { editDistance, hint, nearest } from './suggest.js';
import { parseBytes, parseDuration } from './units.js';

it.each([
  ['4MiB', 4194304],
  ['512 KiB', 524288],
  ['1.5gib', 1610612736],
  ['100', 100],
  ['7B', 7],
  [65536, 65536],
  ['4MB', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['', undefined],
  ['9999999999GiB', undefined],
  [-1, undefined],
  [0.5, undefined],
  [Number.NaN, undefined],
  [null, undefined],
  [['4MiB'], undefined],
])('%j is %p bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

it.each([
  ['15s', 15_000],
  ['500ms', 500],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['1H', 3_600_000],
  [15, undefined],
  ['15', undefined],
  ['1d', undefined],
  ['0.0001s', undefined],
  ['soon', undefined],
])('%j is %p ms', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds));

it.each([
  ['port', 'port', 0],
  ['prot', 'port', 1],
  ['ports', 'port', 1],
  ['pt', 'port', 2],
  ['kitten', 'sitting', 3],
  ['aaaa', 'bbbb', 4],
  ['', 'abcdefghij', 4],
])('from %s to %s it takes %i edits (4: too many)', (from, to, edits) => {
  expect(editDistance(from, to, 3)).toBe(edits);
});

it('suggests what is near and nothing else', () => {
  const known = ['redisHost', 'redisPassword', 'redisDB'];
  expect(nearest('redispasword', known)).toBe('redisPassword');
  expect(nearest('REDISDB', known)).toBe('redisDB');
  expect(nearest('color', known)).toBeUndefined();
  expect(nearest('ab', ['xy'])).toBeUndefined();
  expect(nearest('x'.repeat(100_000), known)).toBeUndefined();
  expect(hint('color', known)).toBe('known: redisHost, redisPassword, redisDB');
  expect(hint('color', [])).toBe('none is known here');
});
