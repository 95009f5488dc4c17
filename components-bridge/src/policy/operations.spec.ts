import { readdirSync, readFileSync } from 'node:fs';

import { OPERATIONS } from './operations.js';

/** What the filter serves, as its sources enter it in the router. */
function served(): Map<string, Set<string>> {
  const folder = new URL('../../../assembly/', import.meta.url);
  const found = new Map<string, Set<string>>();
  const note = (primitive: string, operation: string): void => {
    found.set(primitive, (found.get(primitive) ?? new Set()).add(operation));
  };
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  for (const name of sources) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    const constants = new Map(
      [...text.matchAll(/const (\w+) = '(\w+)';/g)].map(([, key = '', value = '']) => [key, value]),
    );
    const valueOf = (part: string): string =>
      part.startsWith("'") ? part.slice(1, -1) : (constants.get(part) ?? part);
    for (const [, primitive = '', operation = ''] of text.matchAll(
      /(?:router\.(?:grpc|http|stream|json)|new JsonOperation|plainRoute|functionRoute)\(\s*('\w+'|\w+),\s*('\w+'|\w+)[,)]/g,
    ))
      note(valueOf(primitive), valueOf(operation));
    for (const [, primitive = ''] of text.matchAll(/router\.passInvocations\('(\w+)'\)/g))
      for (const operation of ['InvokeService', 'Proxy']) note(primitive, operation);
  }
  return found;
}

it('knows every operation that the filter serves, and no other', () => {
  const table = Object.fromEntries([...served()].map(([primitive, names]) => [primitive, [...names].sort()]));
  expect(table).toEqual(OPERATIONS);
});
