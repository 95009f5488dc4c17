import { readdirSync, readFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';

import { jsonMethods } from '../../components-bridge/src/primitives/json/gen/methods.js';
import { OPENAPI } from '../../components-bridge/src/primitives/json/gen/openapi.js';
import { described, openApi, problems, source } from '../support/openapi.js';
import { root } from './markdown.js';

const JSON_DOOR = '/v1.0-layotto/';

async function lint(text: string): Promise<string[]> {
  const config = await createConfig({
    extends: ['recommended-strict'],
    // One that is always refused has none.
    rules: { 'operation-2xx-response': 'off' },
  });
  const found = await lintFromString({ source: text, absoluteRef: '/openapi.json', config });
  return found.map(({ ruleId, message, location }) => `${ruleId}: ${message} at ${location[0]?.pointer}`);
}

/** Routes that the filter enters in its router, as `METHOD path primitive operation`. */
function registered(): string[] {
  const files = readdirSync(`${root}/assembly`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('router.ts'))
    .map((file) => readFileSync(`${root}/assembly/${file}`, 'utf8'));
  return files.flatMap((text) => {
    const constants = new Map(
      [...text.matchAll(/const (\w+) = ('[^']*');/g)].map(([, name = '', value = '']) => [name, value]),
    );
    const passed = [...text.matchAll(/\w+\(router, ('[^']*')\)/g)].map(([, value = '']) => value);
    /** What a part of an argument may be: a literal, a constant, or a parameter by what its callers pass. */
    const values = (part: string): string[] => {
      if (part === 'method') return ['POST', 'PUT'];
      if (part === 'path') return passed.map((value) => value.slice(1, -1));
      const literal = /^'(.*)'$/.exec(constants.get(part) ?? part)?.[1];
      return [literal ?? `not understood: ${part}`];
    };
    /** Every text that a sum of parts may be. */
    const textsOf = (argument: string): string[] =>
      argument
        .split('+')
        .reduce<string[]>(
          (begun, part) => begun.flatMap((start) => values(part.trim()).map((end) => start + end)),
          [''],
        );
    return [...text.matchAll(/router\.http\(([\s\S]*?)\);/g)].flatMap(([, call = '']) => {
      const [primitive = '', operation = '', method = '', path = ''] = call.split(',');
      return textsOf(method).flatMap((one) =>
        textsOf(path).map((to) =>
          [one, to.replace('{*}', '{}'), textsOf(primitive), textsOf(operation)].join(' '),
        ),
      );
    });
  });
}

test('the document is good OpenAPI 3.1', async () => {
  expect(openApi.openapi).toBe('3.1.0');
  expect(await lint(source)).toEqual([]);
  const broken = source.replace('#/components/schemas/DaprMetadata', '#/components/schemas/Nothing');
  expect(await lint(broken)).toEqual([expect.stringContaining('no-unresolved-refs')]);
});

test('the bridge serves the same, in less than the smallest sensible limits.message', () => {
  expect(JSON.parse(OPENAPI)).toEqual(openApi);
  expect(OPENAPI.length).toBeLessThan(256 * 1024);
});

test("the document has every route of the filter's router, and no other", () => {
  const documented = described()
    .filter(({ path }) => !path.startsWith(JSON_DOOR))
    .map(({ path, method, operation: { operationId, tags } }) => {
      const [, name] = /^[a-z]+_([A-Za-z]+)/.exec(operationId) ?? [];
      return [method, path.replace(/\{\w+\}/g, '{}'), tags[0], name].join(' ');
    });
  expect(documented.sort()).toEqual(registered().sort());
});

test('the document has every operation of the JSON door, each with an example that it would take', () => {
  const operations = described().filter(({ path }) => path.startsWith(JSON_DOOR));
  const names = [...jsonMethods.keys()].map((name) => name.replace(/^.*\./, ''));
  expect(operations.map(({ operation }) => operation.operationId.replace(/^\w+?_/, '')).sort()).toEqual(
    [...names, 'asyncapi', 'openapi'].sort(),
  );
  for (const { path, method, example, operation } of operations) {
    if (operation.tags.includes('openapi')) continue;
    const place = [
      'paths',
      path,
      method.toLowerCase(),
      'requestBody',
      'content',
      'application/json',
      'schema',
    ];
    expect([path, problems(place, example)]).toEqual([path, []]);
    expect([path, problems(place, { ...(example as object), nope: 1 })]).not.toEqual([path, []]);
  }
});
