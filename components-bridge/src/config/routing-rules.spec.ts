import { readRule } from './routing-rules.js';

const event = { type: 'a', data: { total: 150, tags: ['x', 'y'], inner: { name: 'n' } } };

it.each([
  ['event.type == "a"', true],
  ['event.type == "b"', false],
  ['event.data.total > 100 && event.data.inner.name == "n"', true],
  ['event.data.total == 150', true],
  ['"x" in event.data.tags', true],
  ['has(event.data.missing)', false],
  ['event.data.missing == 1', false],
  ['event.missing.deep == 1', false],
  ['event.data.total > "text"', false],
  ['event.type', false],
])('%s: %p', async (match, expected) => {
  const rule = await readRule(match);
  expect(typeof rule === 'function' ? rule(event) : rule).toBe(expected);
});

it.each([
  ['event.type ==', 'not an expression of CEL over "event"'],
  ['nothing.type == "a"', 'Unknown variable: nothing'],
  ['1 + 1', 'expected an expression that is true or false, found one that is a int'],
  ['x'.repeat(5_000), 'expected at most 4096 characters'],
  [`${'('.repeat(500)}true${')'.repeat(500)}`, 'not an expression of CEL'],
])('%s is a problem', async (match, problem) => {
  expect(await readRule(match)).toMatchObject({ problem: expect.stringContaining(problem) as string });
});
