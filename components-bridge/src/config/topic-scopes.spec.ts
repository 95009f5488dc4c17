import * as z from 'zod';

import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';
import { sampleCatalog } from '../../../test/support/sample-catalog.js';
import type { LoadOptions } from './index.js';
import { formatProblem } from './index.js';
import type { CatalogEntry, RuntimeConfig } from './types.js';

const catalog: readonly CatalogEntry[] = [
  ...sampleCatalog,
  {
    type: 'pubsub.test',
    aliases: ['test'],
    primitive: 'pubsub',
    capabilities: [],
    metadata: z.strictObject({ url: z.string().optional() }),
  },
];

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

async function load(
  files: Record<string, string>,
  options: Partial<LoadOptions>,
): Promise<{ config?: RuntimeConfig; problems: string[] }> {
  await folder.write(files);
  const result = await folder.load({ catalog, ...options });
  if ('problems' in result) return { problems: result.problems.map(formatProblem) };
  return { config: result.config, problems: [] };
}

const SCOPES = {
  allowed: ['a', 'b'],
  protected: ['b'],
  publishing: { shop: ['a', 'b'], stock: [] },
  subscription: {},
};

it('are read from every form, whatever the broker and the case of keys', async () => {
  const native = `components:
  - name: events
    type: pubsub.test
    metadata: {url: u, allowedTopics: "a, b,a", protectedTopics: b, PublishingScopes: "shop=a, b; stock=;"}
`;
  const dapr = `apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: events}
spec:
  type: pubsub.test
  metadata:
  - {name: allowedTopics, value: "a,b"}
  - {name: protectedTopics, value: b}
  - {name: publishingScopes, value: "shop=a,b;stock="}
`;
  const metadata = { allowedTopics: 'a,b', protectedTopics: 'b', publishingScopes: 'shop=a,b;stock=' };
  const layotto = JSON.stringify({ pub_subs: { events: { type: 'test', metadata } } });
  for (const [files, options] of [
    [{ 'l.yaml': native }, { file: 'l.yaml' }],
    [{ 'r/c.yaml': dapr }, { resourcesPath: 'r' }],
    [{ 'c.json': layotto }, { file: 'c.json' }],
  ] as const) {
    const result = await load(files, options);
    expect(result.problems).toEqual([]);
    expect(result.config?.components.find(({ name }) => name === 'events')).toMatchObject({
      topicScopes: SCOPES,
    });
    expect(result.config?.components[0]?.metadata).not.toHaveProperty('allowedTopics');
    // Who may change components could take the rules away.
    expect(result.config?.lifecycle.apply).toBe(false);
  }
});

it('are absent where nothing is said', async () => {
  const text = 'components:\n  - {name: events, type: pubsub.test, metadata: {allowedTopics: ""}}\n';
  const { config } = await load({ 'l.yaml': text }, { file: 'l.yaml' });
  expect(config?.components[0]).not.toHaveProperty('topicScopes');
  expect(config?.lifecycle.apply).toBe(true);
});

it('that are wrong are problems', async () => {
  const text = 'components:\n  - {name: e, type: pubsub.test, metadata: {publishingScopes: "a,b"}}\n';
  const { problems } = await load({ 'l.yaml': text }, { file: 'l.yaml' });
  expect(problems).toEqual([
    'l.yaml:2: components[0].metadata.publishingScopes: expected app ids with the topics of each, such as "shop=orders,bills;stock=orders", found "a,b"',
  ]);
  const state = 'components:\n  - {name: s, type: state.in-memory, metadata: {allowedTopics: a}}\n';
  const other = await load({ 'l.yaml': state }, { file: 'l.yaml' });
  expect(other.problems).toEqual([expect.stringContaining('unknown metadata key of state.embedded')]);
});
