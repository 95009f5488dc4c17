import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import { loadConfig } from '../../components-bridge/src/config/index.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { keysOf } from '../../components-bridge/src/config/schema.js';
import { parseBytes, parseDuration } from '../../components-bridge/src/config/units.js';
import { differences } from '../compat/differences.js';
import { codeOf, read, tableBelow } from './markdown.js';

/** A key that nothing has, so far from every other that none is suggested. */
const UNKNOWN = 'zzzzzzzzzzzz';

describe('docs/configuration.md', () => {
  const rows = tableBelow(read('docs/configuration.md'), 'Every key');
  const documented = rows.map(([key]) => codeOf(key) ?? '');
  let dir: string;

  beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'layotto-reference-'))));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  async function load(text: string) {
    const file = join(dir, 'layotto.yaml');
    writeFileSync(file, text);
    return loadConfig({ catalog, file });
  }

  /** The keys that the loader says it knows at a place, asked by giving it one that it does not. */
  async function knownAt(text: string): Promise<string[]> {
    const result = await load(text);
    const messages = 'problems' in result ? result.problems.map(({ message }) => message) : [];
    const known = messages
      .map((message) => /^unknown key; known: (.+)$/.exec(message)?.[1])
      .find((keys) => keys);
    if (known === undefined) throw new Error(`the loader named no known keys: ${messages.join('\n')}`);
    return known.split(', ');
  }

  test('names every key of the native form, and no other', async () => {
    const keys: string[] = [];
    for (const key of await knownAt(`${UNKNOWN}: 1`)) {
      if (key === 'components') {
        const inner = await knownAt(`components: [{name: a, type: state.embedded, ${UNKNOWN}: 1}]`);
        keys.push(key, ...inner.map((name) => `components[].${name}`));
      } else if (key === 'outbound') {
        const inner = await knownAt(`outbound: [{name: a, listen: 1, to: 'b:1', ${UNKNOWN}: 1}]`);
        keys.push(key, ...inner.map((name) => `outbound[].${name}`));
      } else if (['dataDir', 'apps', 'callees'].includes(key)) {
        keys.push(key);
      } else if (key === 'subscriptions') {
        keys.push(key);
        // They have a page of their own.
        const page = read('docs/pubsub.md');
        for (const name of await knownAt(`subscriptions: [{${UNKNOWN}: 1}]`))
          expect(page).toContain(`\`${name}`);
      } else if (key === 'schedules') {
        const inner = await knownAt(`schedules: [{${UNKNOWN}: 1}]`);
        keys.push(key, ...inner.map((name) => `schedules[].${name}`));
      } else if (key === 'policy') {
        const inner = await knownAt(`policy: {rules: [{${UNKNOWN}: 1}]}`);
        const outer = await knownAt(`policy: {${UNKNOWN}: 1}`);
        const limit = await knownAt(`policy: {limits: [{${UNKNOWN}: 1}]}`);
        keys.push(
          ...outer.map((name) => `policy.${name}`),
          ...inner.map((name) => `policy.rules[].${name}`),
          ...limit.map((name) => `policy.limits[].${name}`),
        );
      } else {
        keys.push(...(await knownAt(`${key}: {${UNKNOWN}: 1}`)).map((name) => `${key}.${name}`));
      }
    }
    expect([...documented].sort()).toEqual(keys.sort());
  });

  test('gives the defaults that hold', async () => {
    const result = await load('{}');
    if (!('config' in result)) throw new Error('the empty configuration has problems');
    const { config } = result;
    const wrong = rows.flatMap(([key = '', , cell]) => {
      const read = DEFAULTS[codeOf(key) ?? ''];
      const shown = codeOf(cell);
      return read === undefined || (shown !== undefined && read(shown, config)) ? [] : [`${key}: ${cell}`];
    });
    expect(wrong).toEqual([]);
    expect(documented.filter((key) => key in DEFAULTS)).toHaveLength(Object.keys(DEFAULTS).length);
  });
});

/** Whether a default as shown is the one that holds. */
const DEFAULTS: Readonly<Record<string, (shown: string, config: RuntimeConfig) => boolean>> = {
  'app.id': (shown, { app }) => shown === app.id,
  'app.port': (shown, { app }) => Number(shown) === app.port,
  'app.protocol': (shown, { app }) => shown === app.protocol,
  'listen.host': (shown, { listen }) => shown === listen.host,
  'listen.port': (shown, { listen }) => Number(shown) === listen.port,
  dataDir: (shown, { dataDir }) => dataDir === join(process.cwd(), shown),
  'limits.message': (shown, { limits }) => parseBytes(shown) === limits.messageBytes,
  'limits.operations': (shown, { limits }) => Number(shown) === limits.operations,
  'limits.streams': (shown, { limits }) => Number(shown) === limits.streams,
  'limits.bytes': (shown, { limits }) => parseBytes(shown) === limits.bytes,
  'limits.deadline': (shown, { limits }) => parseDuration(shown) === limits.deadlineMs,
  'envoy.concurrency': (shown, { envoy }) => Number(shown) === envoy.concurrency,
  'modules.slots': (shown, { modules }) => Number(shown) === modules.slots,
  'envoy.metricsPort': (shown, { envoy }) => Number(shown) === envoy.metricsPort,
};

describe('docs/components.md', () => {
  const document = read('docs/components.md');

  test('lists every type with its capabilities', () => {
    const rows = tableBelow(document, 'Components').map(([type, , serves, can]) => [
      codeOf(type),
      serves,
      can,
    ]);
    const types = catalog.map(({ type, primitive, capabilities }) => [
      type,
      primitive,
      capabilities.join(', '),
    ]);
    expect(rows).toEqual(types);
  });

  test.each(catalog.map((entry) => [entry.type, entry] as const))(
    'names every metadata key of %s, and no other',
    (type, { metadata }) => {
      const documented = tableBelow(document, type).map(([key]) => codeOf(key) ?? '');
      expect([...documented].sort()).toEqual([...keysOf(metadata)].sort());
    },
  );
});

test('docs/compatibility.md names every row of the recordings that differs, and no other', () => {
  const cells = tableBelow(read('docs/compatibility.md'), 'Deliberate differences').map(
    ([, , cell = '']) => cell,
  );
  const documented = cells.flatMap((cell) =>
    cell.split('; ').flatMap((part) => {
      const [, recording = '', labels = ''] = /^`([\w-]+)`: (.+)$/.exec(part) ?? [];
      return labels.split(', ').map((label) => `${recording}: ${label.replaceAll('\\|', '|')}`);
    }),
  );
  const listed = Object.entries(differences).flatMap(([recording, rows]) =>
    Object.keys(rows).map((label) => `${recording}: ${label}`),
  );
  expect([...new Set(documented)].sort()).toEqual(listed.sort());
});
