import { join } from 'node:path';

import { configFolder } from '../../../../test/support/config-files.js';
import { catalog } from '../../catalog.js';
import { loadConfig } from '../../config/index.js';
import { configurationMetadataSchema, layottoPath, speaksTls, stateMetadataSchema } from './metadata.js';

it("reads Layotto's own file: addresses and a time beside the metadata", async () => {
  const etcd = { type: 'etcd', address: ['127.0.0.1:2379', '127.0.0.1:2380'], timeout: '10', metadata: {} };
  const apollo = { type: 'apollo', address: ['http://127.0.0.1:8080'], metadata: { app_id: 'a' } };
  const lock = { type: 'etcd', metadata: { endpoints: 'a:1;b:2', dialTimeout: '5' } };
  const content = { config_store: { etcd, apollo }, lock: { lock }, sequencer: { ids: lock } };
  const folder = await configFolder();
  await folder.write({ 'layotto.json': JSON.stringify(content) });
  const result = await loadConfig({ catalog, file: join(folder.path, 'layotto.json') });
  await folder.remove();
  if (!('config' in result)) throw new Error(JSON.stringify(result.problems));
  expect(result.config.components).toMatchObject([
    { type: 'configuration.etcd', metadata: { address: '127.0.0.1:2379,127.0.0.1:2380', timeout: '10' } },
    { type: 'configuration.apollo', metadata: { address: 'http://127.0.0.1:8080', app_id: 'a' } },
    { type: 'lock.etcd', metadata: { endpoints: 'a:1;b:2' } },
    { type: 'sequencer.etcd', metadata: { endpoints: 'a:1;b:2' } },
  ]);
  expect(result.notices).toEqual([]);
});

it('becomes values', () => {
  const endpoints = 'https://a:1; https://[::1]:2,https://c/';
  expect(stateMetadataSchema.parse({ endpoints, dialTimeout: '5', timeout: '300ms' })).toMatchObject({
    endpoints: [
      { host: 'a', port: 1, secure: true },
      { host: '::1', port: 2, secure: true },
      { host: 'c', port: undefined, secure: true },
    ],
    dialTimeout: 5_000,
    timeout: 300,
  });
});

it.each<[Record<string, string>, string]>([
  [{}, 'endpoints: expected host:port'],
  [{ endpoints: 'a:1,' }, 'endpoints: expected host:port, or several separated by commas'],
  [{ endpoints: 'https://a:1,b:2' }, 'endpoints: expected https:// before every address, or before none'],
  [{ endpoints: 'a', username: 'u' }, 'password: expected the password of username'],
  [{ endpoints: 'a', password: 'p' }, 'username: expected the user of password'],
  [{ endpoints: 'a', ca: 'x', tlsCa: 'y' }, 'tlsCa: expected only one of ca and tlsCa'],
  [{ endpoints: 'a', tlsCert: 'x' }, 'key: expected the key of cert'],
  [{ endpoints: 'a', tlsEnable: 'false', ca: 'x' }, 'ca: expected tlsEnable: true beside it'],
  [{ endpoints: 'https://a', tlsEnable: 'false' }, 'tlsEnable: expected true beside https:// addresses'],
  [
    { endpoints: 'a', timeout: '0' },
    'timeout: expected a duration such as 5s or 500ms, or seconds, up to 1h',
  ],
])('says what is wrong with %j', (metadata, problem) => {
  const [issue] = stateMetadataSchema.safeParse(metadata).error?.issues ?? [];
  expect(`${issue?.path.join('.')}: ${issue?.message}`).toBe(problem);
});

it('takes one of endpoints and address', () => {
  expect(configurationMetadataSchema.safeParse({ address: 'a:1' }).success).toBe(true);
  const both = configurationMetadataSchema.safeParse({ address: 'a:1', endpoints: 'a:1' });
  expect(both.error?.issues[0]?.message).toBe('expected only one of endpoints and address');
});

it('knows when to speak TLS', () => {
  const speaks = (metadata: Record<string, string>): boolean =>
    speaksTls(stateMetadataSchema.parse({ endpoints: 'a', ...metadata }));
  expect(speaks({})).toBe(false);
  expect(speaks({ tlsEnable: 'true' })).toBe(true);
  expect(speaks({ tlsCa: 'x' })).toBe(true);
  expect(speaks({ endpoints: 'https://a' })).toBe(true);
});

it.each([
  [undefined, '/layotto/'],
  ['', '/'],
  ['/', '/'],
  ['mine', '/mine/'],
  ['/mine/inner/', '/mine/inner/'],
])('makes of the path %j the path %j', (keyPrefixPath, path) => {
  expect(layottoPath({ keyPrefixPath })).toBe(path);
});
