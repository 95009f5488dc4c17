import { join } from 'node:path';

import { configFolder } from '../../../../test/support/config-files.js';
import { catalog } from '../../catalog.js';
import { loadConfig } from '../../config/index.js';
import { parseGoDuration } from '../durations.js';
import { parseAddress } from '../addresses.js';
import { metadataSchema } from './metadata.js';

describe('metadata of state.redis', () => {
  it('becomes values', () => {
    const parsed = metadataSchema.parse({
      redisHost: 'redis.example:6380',
      redisPassword: 'p',
      redisUsername: 'u',
      redisDB: '3',
      enableTLS: 'TRUE',
      maxRetries: '3',
      maxRetryBackoff: '2s',
      dialTimeout: '5000',
      readTimeout: '1m30s',
      ttlInSeconds: '-1',
      keyPrefix: 'name',
      redisType: 'node',
      failover: 'false',
    });
    expect(parsed).toMatchObject({
      redisHost: [{ host: 'redis.example', port: 6380 }],
      redisDB: 3,
      enableTLS: true,
      maxRetryBackoff: 2_000,
      dialTimeout: 5_000,
      readTimeout: 90_000,
      ttlInSeconds: -1,
    });
  });

  it('takes empty values as absent, as config files of both peers have them', () => {
    const parsed = metadataSchema.parse({
      redisHost: 'r',
      redisPassword: '',
      redisDB: '',
      enableTLS: '',
      ttlInSeconds: '',
    });
    expect(parsed).toMatchObject({ redisHost: [{ host: 'r', port: undefined }], redisPassword: '' });
    expect(parsed.redisDB).toBeUndefined();
    expect(parsed.enableTLS).toBeUndefined();
  });

  it.each([
    [{}, 'redisHost', 'expected host:port'],
    [{ redisHost: '' }, 'redisHost', 'expected host:port'],
    [{ redisHost: 'a:1,b:2' }, 'redisHost', 'expected one address; several are for redisType: cluster'],
    [{ redisHosts: 'a:1,b:2' }, 'redisHosts', 'expected one address'],
    [{ redisHost: 'a:1', redisHosts: 'b:2' }, 'redisHosts', 'expected only one of redisHost and redisHosts'],
    [{ redisHost: 'a:1,:2', redisType: 'cluster' }, 'redisHost', 'expected host:port, or several'],
    [{ redisHost: 'a:1', redisPort: '2' }, 'redisPort', 'expected the port of redisHost'],
    [{ redisHost: 'a', redisPort: '0' }, 'redisPort', 'expected a whole number from 1'],
    [{ redisHost: 'redis://a:1' }, 'redisHost', 'expected host:port'],
    [{ redisHost: 'r', redisDB: '-1' }, 'redisDB', 'expected a whole number from 0'],
    [{ redisHost: 'r', redisDB: '1', db: '2' }, 'db', 'expected the same number as redisDB'],
    [{ redisHost: 'r', enableTLS: 'maybe' }, 'enableTLS', 'expected true or false'],
    [{ redisHost: 'r', readTimeout: 'soon' }, 'readTimeout', 'expected a duration such as 5s'],
    [{ redisHost: 'r', readTimeout: '2h' }, 'readTimeout', 'up to 1h'],
    [{ redisHost: 'r', ttlInSeconds: '1m' }, 'ttlInSeconds', 'expected whole seconds'],
    [{ redisHost: 'r', keyPrefix: 'a||b' }, 'keyPrefix', 'without "||"'],
    [{ redisHost: 'r', redisType: 'ring' }, 'redisType', 'expected node or cluster'],
    [{ redisHost: 'r', failover: 'true' }, 'sentinelMasterName', 'expected the name that the Sentinels know'],
    [{ redisHost: 'r', enableTLS: 'true', clientCert: 'c' }, 'clientKey', 'expected the key of clientCert'],
    [{ redisHost: 'r', enableTLS: 'true', clientKey: 'k' }, 'clientCert', 'expected the certificate'],
    [{ redisHost: 'r', caCert: 'c' }, 'caCert', 'expected enableTLS: true'],
    [{ redisHost: 'r', enableTLS: 'false', tlsServerName: 'n' }, 'tlsServerName', 'expected enableTLS'],
    [{ redisHost: 'r', strongReplicas: '-1' }, 'strongReplicas', 'expected a whole number from 0 to 100'],
    [{ redisHost: 'r', strongTimeout: 'x' }, 'strongTimeout', 'expected a duration'],
  ])('%j names the key %s and what was expected', (metadata, key, expected) => {
    const issues = metadataSchema.safeParse(metadata).error?.issues ?? [];
    expect(issues.map(({ path, message }) => [path[0], message])).toEqual([
      [key, expect.stringContaining(expected) as string],
    ]);
  });

  it('knows no other keys', () => {
    const issues = metadataSchema.safeParse({ redisHost: 'r', redisHsot: 'x' }).error?.issues;
    expect(issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['redisHsot'] }]);
  });
});

it('keeps a private key out of messages', async () => {
  const folder = await configFolder();
  const metadata = '{redisHost: r, clientCert: c, clientKey: hunter2}';
  await folder.write({ 'a.yaml': `components: [{name: a, type: state.redis, metadata: ${metadata}}]` });
  const result = await loadConfig({ catalog, file: join(folder.path, 'a.yaml') });
  await folder.remove();
  const messages =
    'problems' in result ? result.problems.map(({ key, message }) => `${key}: ${message}`) : [];
  expect(messages).toHaveLength(2);
  expect(messages.join()).toContain('clientKey: expected enableTLS: true beside it');
  expect(messages.join()).not.toContain('hunter2');
});

describe('parseAddress', () => {
  it.each([
    ['localhost:6379', { host: 'localhost', port: 6379 }],
    ['localhost', { host: 'localhost', port: undefined }],
    ['10.0.0.1:1', { host: '10.0.0.1', port: 1 }],
    ['[::1]:6380', { host: '::1', port: 6380 }],
    ['[fe80::1]', { host: 'fe80::1', port: undefined }],
    ['::1', { host: '::1', port: undefined }],
    ['host:', undefined],
    ['host:0', undefined],
    ['host:65536', undefined],
    ['host:x', undefined],
    [':6379', undefined],
    ['', undefined],
    ['a b', undefined],
  ])('%s', (text, wanted) => {
    expect(parseAddress(text)).toEqual(wanted);
  });
});

describe('parseGoDuration', () => {
  it.each([
    ['5s', 5_000],
    ['500ms', 500],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['1500us', 2],
    ['250', 250],
    ['0', 0],
    ['-1', undefined],
    ['5', 5],
    ['s', undefined],
    ['5 s', undefined],
    ['5sec', undefined],
    ['', undefined],
  ])('%s', (text, wanted) => {
    expect(parseGoDuration(text)).toBe(wanted);
  });
});
