import * as z from 'zod';

import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';
import { sampleCatalog } from '../../../test/support/sample-catalog.js';
import type { LoadOptions, LoadResult } from './index.js';
import { formatProblem } from './index.js';
import type { CatalogEntry, ComponentConfig } from './types.js';

const catalog: readonly CatalogEntry[] = [
  ...sampleCatalog,
  {
    type: 'secretstores.local.file',
    aliases: ['secret.local.file'],
    primitive: 'secret',
    capabilities: [],
    metadata: z.strictObject({ secretsFile: z.string('expected a file') }),
  },
  {
    type: 'hello.helloworld',
    aliases: ['helloworld'],
    primitive: 'hello',
    capabilities: [],
    metadata: z.strictObject({ hello: z.string().optional() }),
  },
];

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

async function load(files: Record<string, string>, options: Partial<LoadOptions>): Promise<LoadResult> {
  await folder.write(files);
  return folder.load({ catalog, ...options });
}

/** The components of a configuration that must be fine, and the notices. */
async function fine(
  files: Record<string, string>,
  options: Partial<LoadOptions>,
): Promise<{ components: ComponentConfig[]; notices: string[] }> {
  const result = await load(files, options);
  if ('problems' in result) throw new Error(result.problems.map(formatProblem).join('\n'));
  return { components: result.config.components, notices: result.notices.map(formatProblem) };
}

async function problems(files: Record<string, string>, options: Partial<LoadOptions>): Promise<string[]> {
  const result = await load(files, options);
  return 'problems' in result ? result.problems.map(formatProblem) : [];
}

const STORE = '  - {name: vault, type: secretstores.local.file, metadata: {secretsFile: s.json}}\n';
const redis = (metadata: string, more = ''): string =>
  `components:\n${STORE}  - name: cache\n    type: state.redis\n    metadata: {${metadata}}\n${more}`;

describe('metadata from secret stores', () => {
  const file = 'layotto.yaml';
  const native = (text: string) => ({ [file]: text });

  it('is named in the native form in the place of a value', async () => {
    const text = redis(
      'redisHost: "a:1", REDISPASSWORD: {secret: {store: vault, name: redis, key: pw}}, redisDB: {secret: {store: vault, name: db}}',
    );
    const { components, notices } = await fine(native(text), { file });
    expect(components[1]).toMatchObject({
      metadata: { redisHost: 'a:1' },
      secretRefs: [
        { injectAs: 'redisPassword', store: 'vault', name: 'redis', key: 'pw' },
        { injectAs: 'redisDB', store: 'vault', name: 'db', key: 'db' },
      ],
    });
    expect(components[0]).not.toHaveProperty('secretRefs');
    expect(notices).toEqual([]);
  });

  it('may be metadata that is required', async () => {
    const text = redis('redisHost: {secret: {store: vault, name: h}}');
    expect((await fine(native(text), { file })).components[1]?.metadata).toEqual({});
  });

  it('is heard of when its store is not there', async () => {
    const text = redis('redisHost: {secret: {store: volt, name: h}}');
    expect((await fine(native(text), { file })).notices).toEqual([
      'layotto.yaml:5: components[1].metadata.redisHost: there is no secret store "volt"; "cache" is not ready until there is one',
    ]);
  });

  it.each([
    [
      'redisHost: {secret: vault}',
      'components[1].metadata.redisHost.secret: expected a map with store and name, found "vault"',
    ],
    [
      'redisHost: {secret: {name: a}}',
      'components[1].metadata.redisHost.secret.store: expected the name of a secret store, found nothing',
    ],
    [
      'redisHost: {secret: {store: a}}',
      'components[1].metadata.redisHost.secret.name: expected the name of a secret, found nothing',
    ],
    [
      'redisHost: {secret: {store: vault, name: a, kye: b}}',
      'components[1].metadata.redisHost.secret.kye: unknown key; did you mean "key"?',
    ],
    [
      'redisHots: {secret: {store: vault, name: a}}, redisHost: b',
      'components[1].metadata.redisHots: unknown metadata key of state.redis; did you mean "redisHost"?',
    ],
    [
      'redisHost: "a:1", keyPrefix: {secret: {store: vault, name: a}}',
      'components[1].metadata.keyPrefix: keyPrefix cannot come from a secret store; write the value',
    ],
    [
      'redisHost: {secret: {store: vault, name: a}}, RedisHost: {secret: {store: vault, name: b}}',
      'components[1].metadata.RedisHost: redisHost is taken from a secret twice, first in line 5; keep one',
    ],
  ])('explains %s', async (metadata, message) => {
    expect(await problems(native(redis(metadata)), { file })).toContain(`layotto.yaml:5: ${message}`);
  });

  it('is named in Layotto by secret_ref', async () => {
    const config = {
      secret_store: { vault: { type: 'local.file', metadata: { secretsFile: 's.json' } } },
      state: {
        cache: {
          type: 'redis',
          metadata: { redisHost: 'a:1', redisPassword: '' },
          secret_ref: [
            { store_name: 'vault', key: 'db:pw', sub_key: 'pw', inject_as: 'redisPassword' },
            { store_name: 'vault', key: 'redisDB' },
          ],
        },
      },
      hellos: { quick_start_demo: { type: 'helloworld', hello: 'greeting' } },
    };
    const { components, notices } = await fine({ 'c.json': JSON.stringify(config) }, { file: 'c.json' });
    expect(components).toMatchObject([
      { name: 'vault', type: 'secretstores.local.file', primitive: 'secret' },
      {
        metadata: { redisHost: 'a:1' },
        secretRefs: [
          { injectAs: 'redisPassword', store: 'vault', name: 'db:pw', key: 'pw' },
          { injectAs: 'redisDB', store: 'vault', name: 'redisDB', key: 'redisDB' },
        ],
      },
      { name: 'quick_start_demo', type: 'hello.helloworld', metadata: { hello: 'greeting' } },
    ]);
    expect(components[1]?.metadata).not.toHaveProperty('redisPassword');
    expect(notices).toEqual([]);
  });

  it('is named in Dapr by secretKeyRef', async () => {
    const component = `
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: cache}
spec:
  type: state.redis
  version: v1
  metadata:
  - {name: redisHost, value: "a:1"}
  - {name: redispassword, secretKeyRef: {name: redis, key: pw}}
  - {name: redisDB, secretKeyRef: {name: db}}
`;
    const auth = 'auth: {secretStore: vault}\n';
    const { components, notices } = await fine(
      { 'r/a.yaml': component + auth, 'r/b.yaml': component.replace('cache', 'other') },
      { resourcesPath: 'r' },
    );
    expect(components).toMatchObject([
      {
        secretRefs: [
          { injectAs: 'redisPassword', store: 'vault', name: 'redis', key: 'pw' },
          { injectAs: 'redisDB', store: 'vault', name: 'db', key: 'db' },
        ],
      },
      { secretRefs: [{ store: 'kubernetes' }, { store: 'kubernetes' }] },
    ]);
    expect(notices.join('\n')).toContain('there is no secret store "kubernetes"; "other" is not ready');
  });
});

describe('rules of access to secrets', () => {
  const scopes = (rules: string): string => `
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: {name: c}
spec:
  tracing: {samplingRate: "1"}
  secrets:
    scopes:
${rules}`;
  const rules = { default: 'deny', allowed: ['a'], denied: ['b', '1'] };

  it('stand in the native form with the store', async () => {
    const text = `components:\n  - name: vault\n    type: secretstores.local.file\n    metadata: {secretsFile: s}\n    access: {default: deny, allowed: [a], denied: [b, 1]}\n`;
    const { components } = await fine({ 'l.yaml': text }, { file: 'l.yaml' });
    expect(components[0]?.access).toEqual(rules);
  });

  it("stand in Dapr's configuration, and in Layotto's JSON with the store", async () => {
    const store = { type: 'local.file', metadata: { secretsFile: 's' } };
    const files = {
      'r/c.yaml': scopes(
        '    - {storeName: vault, defaultAccess: Deny, allowedSecrets: [a], deniedSecrets: [b, 1]}\n',
      ),
      'c.json': JSON.stringify({ secret_store: { vault: store, other: { ...store, access: rules } } }),
    };
    const { components, notices } = await fine(files, { file: 'c.json', resourcesPath: 'r' });
    expect(components.map(({ access }) => access)).toEqual([rules, { ...rules, denied: ['b', '1'] }]);
    expect(notices).toEqual(['r/c.yaml:6: spec.tracing: not used by this version']);
  });

  it('keep the app from changing components, unless it is said that it may', async () => {
    const text = `components:\n  - name: vault\n    type: secretstores.local.file\n    metadata: {secretsFile: s}\n`;
    const mayApply = async (more: string): Promise<boolean | undefined> => {
      const result = await load({ 'l.yaml': text + more }, { file: 'l.yaml' });
      return 'config' in result ? result.config.lifecycle.apply : undefined;
    };
    expect(await mayApply('')).toBe(true);
    expect(await mayApply('lifecycle: {apply: false}\n')).toBe(false);
    expect(await mayApply('    access: {default: deny}\n')).toBe(false);
    expect(await mayApply('    access: {default: deny}\nlifecycle: {apply: true}\n')).toBe(true);
  });

  it('that are for no store are heard of', async () => {
    const files = { 'r/c.yaml': scopes('    - {storeName: volt, defaultAccess: deny}\n') };
    expect((await fine(files, { resourcesPath: 'r' })).notices).toContain(
      'r/c.yaml:9: spec.secrets.scopes[0]: there is no secret store "volt" that these rules could be for',
    );
  });

  it.each([
    [
      '    - {storeName: v, defaultAccess: none}\n',
      'spec.secrets.scopes[0].defaultAccess: expected allow or deny, found "none"',
    ],
    [
      '    - {storeName: v, denySecrets: [a]}\n',
      'spec.secrets.scopes[0].denySecrets: unknown key; did you mean "deniedSecrets"?',
    ],
    [
      '    - {storeName: v, deniedSecrets: a}\n',
      `spec.secrets.scopes[0].deniedSecrets: expected a list of secrets' names, found "a"`,
    ],
    [
      '    - {storeName: v, deniedSecrets: [{a: b}]}\n',
      `spec.secrets.scopes[0].deniedSecrets: expected a list of secrets' names, found a list`,
    ],
    [
      '    - {defaultAccess: deny}\n',
      'spec.secrets.scopes[0].storeName: expected the name of a secret store',
    ],
    [
      '    - x\n',
      'spec.secrets.scopes[0]: expected a map with defaultAccess, allowedSecrets and deniedSecrets, found "x"',
    ],
  ])('that are wrong are problems: %s', async (written, message) => {
    expect(await problems({ 'r/c.yaml': scopes(written) }, { resourcesPath: 'r' })).toEqual([
      `r/c.yaml:9: ${message}`,
    ]);
  });

  it('are for secret stores, and stand in one place', async () => {
    const state = `components:\n  - {name: s, type: state.in-memory, access: {default: deny}}\n`;
    expect(await problems({ 'l.yaml': state }, { file: 'l.yaml' })).toEqual([
      'l.yaml:2: components[0].access: only secret stores have rules of access, and state.embedded is none; remove them',
    ]);
    const twice = {
      'l.yaml': `components:\n  - {name: v, type: secretstores.local.file, metadata: {secretsFile: s}, access: {}}\n`,
      'r/c.yaml': scopes('    - {storeName: v, defaultAccess: deny}\n'),
    };
    expect(await problems(twice, { file: 'l.yaml', resourcesPath: 'r' })).toEqual([
      'r/c.yaml:9: spec.secrets.scopes[0]: the secret store "v" has rules already; keep one of them',
    ]);
  });
});
