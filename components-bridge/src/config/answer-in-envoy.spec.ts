import { answerStaleness, parseStaleness } from './answer-in-envoy.js';
import type { ComponentConfig } from './types.js';

test.each([
  ['30s', 30_000],
  ['1s', 1_000],
  ['1500ms', 1_500],
  ['1h', 3_600_000],
  ['999ms', undefined],
  ['2h', undefined],
  ['30', undefined],
  ['', undefined],
  ['soon', undefined],
])('%p is a staleness of %p ms', (text, ms) => {
  expect(parseStaleness(text)).toBe(ms);
});

test('only configuration stores have one', () => {
  const store: ComponentConfig = {
    name: 'a',
    type: 'x.y',
    version: 'v1',
    primitive: 'configuration',
    form: 'native',
    metadata: { AnswerInEnvoy: '5s' },
    origin: { file: '', line: 0 },
  };
  expect(answerStaleness(store)).toBe(5_000);
  expect(answerStaleness({ ...store, metadata: {} })).toBeUndefined();
  expect(answerStaleness({ ...store, primitive: 'state' })).toBeUndefined();
});
