import { authOf, metadataSchema } from './metadata.js';

const brokers = 'k:9092';

/** What is said of metadata, key by key. */
function problems(metadata: Record<string, string>): string[] {
  const { error } = metadataSchema.safeParse(metadata);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

it('becomes values', () => {
  const parsed = metadataSchema.parse({
    brokers: 'one:9093, two',
    authType: 'Password',
    saslUsername: 'u',
    saslPassword: 'p',
    saslMechanism: 'SHA-512',
    disableTls: 'true',
    initialOffset: 'Newest',
    consumeRetryInterval: '200',
    consumeRetryEnabled: 'true',
    version: '2.0.0.0',
    oidcTokenEndpoint: '',
  });
  expect(parsed).toMatchObject({
    brokers: [
      { host: 'one', port: 9093 },
      { host: 'two', port: undefined },
    ],
    authType: 'password',
    saslMechanism: 'scram-sha-512',
    disableTls: true,
    initialOffset: 'newest',
    consumeRetryInterval: 200,
  });
});

it.each<[Record<string, string>, string]>([
  [{}, 'none'],
  [{ authRequired: 'false' }, 'none'],
  [{ authRequired: 'true' }, 'mtls'],
  [{ authRequired: 'true', saslUsername: 'u', saslPassword: 'p' }, 'password'],
  [{ authType: 'mtls' }, 'mtls'],
])('%j logs in by %s', (metadata, auth) => {
  expect(authOf(metadataSchema.parse({ brokers, ...metadata }))).toBe(auth);
});

it.each<[Record<string, string>, string]>([
  [{}, 'brokers: expected host:port'],
  [
    { brokers, authType: 'oidc' },
    'authType: expected none, password, mtls or certificate; OIDC and AWS IAM are not',
  ],
  [{ brokers, oidcClientID: 'c' }, 'oidcClientID: expected it to be left out: OIDC is not served'],
  [{ brokers, awsRegion: 'r' }, "awsRegion: expected it to be left out: AWS's IAM is not served"],
  [
    { brokers, schemaRegistryURL: 'u' },
    'schemaRegistryURL: expected it to be left out: a schema registry is not',
  ],
  [{ brokers, authType: 'password', saslPassword: 'p' }, 'saslUsername: expected the user'],
  [
    { brokers, authType: 'password', saslUsername: 'u' },
    'saslPassword: expected the password of saslUsername',
  ],
  [{ brokers, saslUsername: 'u' }, 'saslUsername: expected authType password beside it'],
  [{ brokers, authType: 'certificate' }, 'caCert: expected the CA, for authType certificate'],
  [{ brokers, caCert: 'c' }, 'caCert: expected authType certificate, mtls or password beside it'],
  [{ brokers, authType: 'mtls', clientCert: 'c' }, 'clientKey: expected the key of clientCert'],
  [{ brokers, authType: 'mtls', clientKey: 'c' }, 'clientCert: expected the certificate of clientKey'],
  [{ brokers, consumeRetryEnabled: 'false' }, 'consumeRetryEnabled: expected true: without another delivery'],
  [{ brokers, initialOffset: 'middle' }, 'initialOffset: expected oldest or newest'],
  [{ brokers, sessionTimeout: '4s' }, 'heartbeatInterval: expected at most half of sessionTimeout'],
  [{ brokers, consumerGroup: 'a', consumerID: 'b' }, 'consumerID: expected only one of'],
  [{ brokers, nonsense: 'x' }, 'Unrecognized key: "nonsense"'],
])('refuses %j', (metadata, problem) => {
  const [first, ...others] = problems(metadata);
  expect(first).toContain(problem);
  expect(others).toEqual([]);
});
