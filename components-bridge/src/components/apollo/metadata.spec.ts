import { join } from 'node:path';

import { configFolder } from '../../../../test/support/config-files.js';
import { catalog } from '../../catalog.js';
import { loadConfig } from '../../config/index.js';
import { metadataSchema } from './metadata.js';

const NEEDED = { address: 'apollo:8080', app_id: 'shop' };
const OPEN_API = {
  open_api_address: 'http://portal:8070/',
  open_api_token: 't',
  open_api_user: 'u',
};

it('becomes values', () => {
  const address = 'apollo-1:8080, https://apollo-2/base/';
  const given = { ...NEEDED, ...OPEN_API, address, namespace_name: 'application,b.yaml, ,application' };
  expect(
    metadataSchema.parse({ ...given, is_backup_config: 'false', requestTimeout: '500ms' }),
  ).toMatchObject({
    address: ['http://apollo-1:8080', 'https://apollo-2/base'],
    namespace_name: ['application', 'b.yaml'],
    is_backup_config: false,
    open_api_address: 'http://portal:8070',
    requestTimeout: 500,
  });
});

it('takes empty values as absent', () => {
  const empty = { cluster: '', namespace_name: '', secret: '', open_api_address: '', open_api_token: '' };
  expect(metadataSchema.parse({ ...NEEDED, ...empty }).cluster).toBeUndefined();
});

it.each([
  [{ app_id: 'a' }, 'address', 'expected an address such as'],
  [{ ...NEEDED, address: 'http://a b' }, 'address', 'expected an address such as'],
  [{ ...NEEDED, address: 'http://u:p@apollo' }, 'address', 'expected an address such as'],
  [{ address: 'a' }, 'app_id', 'expected the id of an app in Apollo'],
  [{ ...NEEDED, app_id: 'a/b' }, 'app_id', 'expected the id of an app in Apollo'],
  [{ ...NEEDED, cluster: '..' }, 'cluster', 'expected the name of a cluster'],
  [{ ...NEEDED, namespace_name: 'a,b c' }, 'namespace_name', 'names of namespaces, separated by commas'],
  [{ ...NEEDED, is_backup_config: 'maybe' }, 'is_backup_config', 'expected true or false'],
  [{ ...NEEDED, ...OPEN_API, open_api_user: '' }, 'open_api_user', 'because open_api_address is set'],
  [{ ...NEEDED, ...OPEN_API, open_api_token: '' }, 'open_api_token', 'because open_api_address is set'],
  [
    { ...NEEDED, open_api_token: 't', open_api_user: 'u' },
    'open_api_address',
    'because open_api_token is set',
  ],
])('%j names the key %s and what was expected', (metadata, key, expected) => {
  const issues = metadataSchema.safeParse(metadata).error?.issues ?? [];
  expect(issues.map(({ path, message }) => [path[0], message])).toEqual([
    [key, expect.stringContaining(expected) as string],
  ]);
});

it("loads from Layotto's own file", async () => {
  const folder = await configFolder();
  const metadata = {
    app_id: 'testApplication_yang',
    cluster: 'default',
    namespace_name: 'dubbo,product.joe,application',
    is_backup_config: 'true',
    secret: 's',
    open_api_token: 't',
    open_api_address: 'http://localhost:8070',
    open_api_user: 'apollo',
  };
  const config_store = { config_demo: { type: 'apollo', address: ['http://127.0.0.1:8080'], metadata } };
  await folder.write({ 'config.json': JSON.stringify({ grpc_config: { config_store } }) });
  const result = await loadConfig({ catalog, file: join(folder.path, 'config.json') });
  await folder.remove();
  expect(result).toMatchObject({
    config: {
      components: [
        {
          name: 'config_demo',
          type: 'configuration.apollo',
          metadata: { ...metadata, address: 'http://127.0.0.1:8080' },
        },
      ],
    },
  });
});
