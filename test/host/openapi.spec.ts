import { createConfig, lintFromString } from '@redocly/openapi-core';
import { readFile } from 'node:fs/promises';

import { Filter } from './harness.js';

interface Document {
  paths: Record<string, Record<string, unknown>>;
}

const file = new URL('../../docs/openapi/layotto.json', import.meta.url);
let source: string;
let document: Document;

beforeAll(async () => {
  source = await readFile(file, 'utf8');
  document = JSON.parse(source) as Document;
});

test('the document has no lint', async () => {
  const config = await createConfig({
    extends: ['recommended-strict'],
    rules: {
      // Some routes are there to refuse; health answers 500 and 503 only.
      'operation-2xx-response': 'off',
      'operation-4xx-response': 'off',
      // As in Dapr's API: /v1.0/secrets/{store}/bulk beside /v1.0/secrets/{store}/{name}.
      'no-ambiguous-paths': 'off',
    },
  });
  const problems = await lintFromString({ source, absoluteRef: file.pathname, config });
  expect(problems.map(({ message, location }) => [message, location[0]?.pointer])).toEqual([]);
});

test('it has every HTTP route of the filter, and no other', async () => {
  const filter = await Filter.configured();
  const line = filter.host.logs.map(({ message }) => message).find((text) => text.includes('HTTP routes: '));
  const routes = (line ?? '').replace(/^.*HTTP routes: /, '').split(', ');
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '{}')}`),
  );
  // What the filter does not serve at all yet has its place in the protos, and so in the document.
  const primitives = new Set(routes.map((route) => route.split('/')[2]));
  const expected = documented.filter((route) => {
    const [, door, primitive] = route.split('/');
    return door !== 'v1.0-layotto' || primitives.has(primitive);
  });
  expect(routes.length).toBeGreaterThan(40);
  expect([...routes].sort()).toEqual(expected.sort());
});
