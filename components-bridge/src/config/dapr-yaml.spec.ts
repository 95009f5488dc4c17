import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const resourcesPath = 'components';

function component(name: string, type: string, more = '', metadata = ''): string {
  return `apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: ${name}
${more}spec:
  type: ${type}
  version: v1
  metadata:
${metadata}`;
}

const host = '  - {name: redisHost, value: "localhost:6379"}\n';

describe("Dapr's component files", () => {
  it('reads every file of the folder, with all its documents', async () => {
    await folder.write({
      'components/b.yaml': `# first\n---\n${component('one', 'state.redis', '', `${host}  - name: redisdb\n    value: 3\n  - name: enableTLS\n    value: true\n`)}---\n---\n${component('two', 'state.in-memory')}`,
      'components/a.yml': component('zero', 'state.redis', '', host),
      'components/notes.txt': 'not yaml: [',
      'components/sub/c.yaml': 'not read: [',
    });
    const config = await folder.config({ resourcesPath });
    expect(config.source).toBe(resourcesPath);
    expect(config.components).toEqual([
      expect.objectContaining({ name: 'zero', origin: { file: 'components/a.yml', line: 1 } }),
      {
        name: 'one',
        type: 'state.redis',
        version: 'v1',
        primitive: 'state',
        form: 'dapr',
        metadata: { redisHost: 'localhost:6379', redisDB: '3', enableTLS: 'true' },
        origin: { file: 'components/b.yaml', line: 3 },
      },
      expect.objectContaining({ name: 'two', type: 'state.embedded', metadata: {} }),
    ]);
  });

  it('joins the components of a configuration file', async () => {
    await folder.write({
      'layotto.yaml': 'app: {id: shop}\ncomponents: [{name: mine, type: state.embedded}]\n',
      'components/a.yaml': component('theirs', 'state.redis', '', host),
    });
    const config = await folder.config({ file: 'layotto.yaml', resourcesPath });
    expect(config.source).toBe('layotto.yaml and components');
    expect(config.components.map(({ name, form }) => [name, form])).toEqual([
      ['mine', 'native'],
      ['theirs', 'dapr'],
    ]);
    await folder.write({ 'components/a.yaml': component('mine', 'state.redis', '', host) });
    expect(await folder.problems({ file: 'layotto.yaml', resourcesPath })).toEqual([
      'components/a.yaml:1 spec: the name "mine" is taken by the component at layotto.yaml:2; give each its own',
    ]);
  });

  it('adds no embedded store to a folder, not even to an empty one', async () => {
    await folder.write({ 'components/readme.md': '', 'layotto.yaml': 'app: {id: x}' });
    const result = await folder.load({ resourcesPath });
    expect(result).toMatchObject({ config: { components: [] } });
    expect(result.notices).toEqual([
      { file: resourcesPath, line: 0, key: '', message: 'the folder holds no *.yaml or *.yml file' },
    ]);
    expect(await folder.config({ resourcesPath, file: 'layotto.yaml' })).toMatchObject({ components: [] });
  });

  it('honours scopes', async () => {
    await folder.write({
      'components/a.yaml': `${component('a', 'state.in-memory')}scopes: [shop, bar]\n`,
      'components/b.yaml': `${component('b', 'state.in-memory', '', '  - {name: x, secretKeyRef: {name: y}}\n')}scopes:\n- other\n`,
      'components/c.yaml': `${component('c', 'state.in-memory')}scopes: []\n`,
    });
    const result = await folder.load({ resourcesPath, appId: 'shop' });
    expect(result).toMatchObject({ config: { components: [{ name: 'a' }, { name: 'c' }] } });
    expect(result.notices).toEqual([
      {
        file: 'components/b.yaml',
        line: 10,
        key: 'scopes',
        message: '"b" is not meant for the app "shop"; it is left out',
      },
    ]);
  });

  it('fills in environment variables and template tags', async () => {
    const metadata = `  - {name: redisHost, value: "{podName}.{namespace}/{appID}/{other}"}
  - {name: redisPassword, envRef: REDIS_PASSWORD}
  - {name: keyPrefix, value: "{uuid}"}
`;
    await folder.write({ 'components/a.yaml': component('a', 'state.redis', '', metadata) });
    const env = { REDIS_PASSWORD: 'secret', POD_NAME: 'pod-1', NAMESPACE: 'prod' };
    const [found] = (await folder.config({ resourcesPath, appId: 'shop', env })).components;
    expect(found?.metadata).toEqual({
      redisHost: 'pod-1.prod.shop/shop/{other}',
      redisPassword: 'secret',
      keyPrefix: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
    });
  });

  it('leaves out, with a notice, what this version does not serve', async () => {
    const other = 'apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: s}\n';
    await folder.write({
      'components/a.yaml': `${component('bus', 'pubsub.kafka', '', '  - {name: brokers, value: x}\n')}---\n${other}`,
      'components/b.yaml': component(
        's',
        'state.redis',
        '',
        `${host}  - {name: actorStateStore, value: "true"}\n`,
      ),
    });
    const result = await folder.load({ resourcesPath });
    expect(result).toMatchObject({
      config: { components: [{ name: 's', metadata: { redisHost: 'localhost:6379' } }] },
    });
    expect(
      result.notices.map(({ file, line, key, message }) => `${file}:${line} ${key}: ${message}`),
    ).toEqual([
      'components/a.yaml:12 kind: resources of kind "Resiliency" are not served by this version',
      'components/a.yaml:6 spec.type: the component type "pubsub.kafka" is not served by this version; "bus" is left out',
      'components/b.yaml:10 spec.metadata.actorStateStore: state.redis does not use this metadata key; it is left out',
    ]);
  });

  const item = (text: string): string => component('a', 'state.redis', '', `${host}${text}`);
  it.each([
    ['just text', '1 : expected a resource: a map'],
    ['[1]', '1 : expected a resource: a map'],
    ['metadata: {name: x}', "1 kind: expected the resource's kind, such as Component, found nothing"],
    [
      component('a', 'state.redis', '', host).replace('v1alpha1', 'v9'),
      '1 apiVersion: expected dapr.io/v1alpha1, found "dapr.io/v9"',
    ],
    [component('a/b', 'state.redis', '', host), '4 metadata.name: expected 1 to 128 bytes'],
    [component('{}', 'state.redis', '', host), '4 metadata.name: expected a name (text)'],
    [
      'apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: a}\nspec: 3',
      '4 spec: expected a map with type and metadata, found 3',
    ],
    [component('a', '3'), '6 spec.type: expected a component type (text), such as state.redis, found 3'],
    [
      component('a', 'state.reddis', '', host),
      '6 spec.type: unknown component type "state.reddis"; did you mean "state.redis"?',
    ],
    [
      component('a', 'state.redis', 'scopes: shop\n', host),
      '5 scopes: expected a list of app ids, found "shop"',
    ],
    [component('a', 'state.redis'), '1 spec.metadata.redisHost: expected the address of Redis'],
    [
      component('a', 'state.redis', '', '    redisHost: x\n'),
      '8 spec.metadata: expected a list of names and values, found a map',
    ],
    [item('  - redisHost\n'), '10 spec.metadata[1]: expected a map with name and value, found "redisHost"'],
    [item('  - {value: x}\n'), '10 spec.metadata[1].name: expected the name of a setting, found nothing'],
    [
      item('  - {name: redisDB, value: {a: b}}\n'),
      '10 spec.metadata[1].value: expected text, a number, true or false for "redisDB", found a map',
    ],
    [
      item('  - {name: redisDB, value: x}\n'),
      '10 spec.metadata.redisDB: expected a number from 0 to 15, found "x"',
    ],
    [
      item('  - name: redisPassword\n    secretKeyRef: {key: k}\n'),
      '11 spec.metadata[1].secretKeyRef.name: expected the name of the secret that holds "redisPassword"',
    ],
    [
      item('  - {name: redisPassword, envRef: NOT_SET}\n'),
      '10 spec.metadata[1].envRef: expected the environment variable NOT_SET to be set',
    ],
    [
      item('  - {name: redisPassword, envRef: DAPR_API_TOKEN}\n'),
      '10 spec.metadata[1].envRef: expected the name of an environment variable',
    ],
    [
      item('  - {name: redisPassword, envRef: [a]}\n'),
      '10 spec.metadata[1].envRef: expected the name of an environment variable',
    ],
    [
      item('  - {name: keyPrefix, value: "{podName}"}\n'),
      '10 spec.metadata[1].value: expected the environment variable POD_NAME',
    ],
    [item('  - {name: RedisHost, value: y}\n'), '10 spec.metadata.RedisHost: given twice, first in line 9'],
    ['kind: [', '1 : cannot be read as YAML or JSON: '],
  ])('explains what is wrong with\n%s', async (text, expected) => {
    await folder.write({ 'components/a.yaml': text });
    const problems = await folder.problems({ resourcesPath });
    expect(problems).toEqual([expect.stringContaining(`components/a.yaml:${expected}`)]);
  });
});
