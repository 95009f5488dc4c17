import * as z from 'zod';

import { parseAddresses } from '../addresses.js';
import { duration, flag, oneOf, read, text, whole } from '../fields.js';

/** Dapr's spellings of SASL's mechanisms, and their own names. */
const MECHANISMS: Readonly<Record<string, 'plain' | 'scram-sha-256' | 'scram-sha-512'>> = {
  plain: 'plain',
  plaintext: 'plain',
  'sha-256': 'scram-sha-256',
  'scram-sha-256': 'scram-sha-256',
  'sha-512': 'scram-sha-512',
  'scram-sha-512': 'scram-sha-512',
};

/** A key of something that is not served: it must be left out. */
function unserved(what: string): z.ZodType<string | undefined> {
  return read<string>(`it to be left out: ${what} is not served`, () => undefined);
}

const oidc = (): z.ZodType<string | undefined> => unserved('OIDC').describe('Refused, as is authType oidc.');
const aws = (): z.ZodType<string | undefined> =>
  unserved("AWS's IAM").describe('Refused, as is authType awsiam.');
const registry = (): z.ZodType<string | undefined> => unserved('a schema registry').describe('Refused.');

/** Metadata of `pubsub.kafka`: Dapr's keys. */
export const metadataSchema = z
  .strictObject({
    brokers: read('host:port, or several separated by commas', parseAddresses).describe(
      'Addresses of brokers to begin with, host:port, by commas. Default port 9092.',
    ),
    clientID: text('a name')
      .optional()
      .describe('What brokers call this client. Default: `layotto` and the app.'),
    authType: read('none, password, mtls or certificate; OIDC and AWS IAM are not served', (value) =>
      AUTH_TYPES.find((one) => one === value.toLowerCase()),
    ).describe('How to log in: none, password, mtls or certificate. Default none.'),
    authRequired: flag().describe(
      "Dapr's old switch: true is authType password beside a password, else mtls.",
    ),
    saslUsername: text('a user name').optional().describe('User, for authType password.'),
    saslPassword: text('a password').optional().describe('Password of the user.'),
    saslMechanism: read('PLAINTEXT, SHA-256 or SHA-512', (value) => MECHANISMS[value.toLowerCase()]).describe(
      'PLAINTEXT, SHA-256 or SHA-512. Default PLAINTEXT.',
    ),
    disableTls: flag().describe('With authType password: do not speak TLS. Default false.'),
    caCert: text('a certificate')
      .optional()
      .describe('CA to trust instead of the public ones: PEM or a file.'),
    clientCert: text('a certificate').optional().describe('Certificate to present, for mtls: PEM or a file.'),
    clientKey: text('a private key').optional().describe('Key of clientCert: PEM or a file.'),
    skipVerify: flag().describe("Do not check brokers' certificates. Default false."),
    consumerGroup: text('a name')
      .optional()
      .describe('Group of subscribers. Default: consumerID, else the app.'),
    consumerID: text('a name').optional().describe('The same, by another name.'),
    initialOffset: oneOf('oldest', 'newest').describe('Where a new group begins. Default oldest.'),
    maxMessageBytes: whole(1, 999_999_999).describe('Largest message. Default: what the brokers take.'),
    consumeRetryInterval: duration().describe(
      'Pause before a message is delivered again; it doubles each time, up to a hundred times. Default 100ms.',
    ),
    consumeRetryEnabled: read(
      'true: without another delivery, events that an app could not handle would be lost',
      (value): true | undefined => (/^(true|1|t|y|yes|on)$/i.test(value) ? true : undefined),
    ).describe('true, as always.'),
    heartbeatInterval: duration().describe('Pause between two signs of life of a subscriber. Default 3s.'),
    sessionTimeout: duration().describe('Without one for so long a subscriber counts as gone. Default 10s.'),
    version: read('a version such as 2.0.0', (value) =>
      /^\d+(\.\d+){1,3}$/.test(value) ? value : undefined,
    ).describe('Has no effect: brokers are asked for theirs.'),
    escapeHeaders: flag().describe("Escape values of a message's headers as in URLs. Default false."),
    consumerFetchMin: whole(1, 999_999_999).describe('Bytes that a broker waits for. Default 1.'),
    consumerFetchDefault: whole(1, 999_999_999).describe('Bytes to fetch per partition. Default 1048576.'),
    channelBufferSize: whole(0, 999_999_999).describe('Has no effect.'),
    clientConnectionTopicMetadataRefreshInterval: duration().describe(
      'How often topics are looked at for new partitions. Default 5m.',
    ),
    clientConnectionKeepAliveInterval: duration().describe('Has no effect: connections are kept alive.'),
    timeout: duration().describe('How long an answer may take. Default 5s.'),
    oidcTokenEndpoint: oidc(),
    oidcClientID: oidc(),
    oidcClientSecret: oidc(),
    oidcScopes: oidc(),
    oidcExtensions: oidc(),
    awsRegion: aws(),
    awsAccessKey: aws(),
    awsSecretKey: aws(),
    awsSessionToken: aws(),
    awsIamRoleArn: aws(),
    awsStsSessionName: aws(),
    schemaRegistryURL: registry(),
    schemaRegistryAPIKey: registry(),
    schemaRegistryAPISecret: registry(),
    schemaCachingEnabled: registry(),
    schemaLatestVersionCacheTTL: registry(),
  })
  .superRefine((metadata, context) => {
    for (const [key, message] of contradictions(metadata)) {
      context.addIssue({ code: 'custom', path: [key], message });
    }
  });

const AUTH_TYPES = ['none', 'password', 'mtls', 'certificate'] as const;

export type KafkaMetadata = z.output<typeof metadataSchema>;

/** How to log in. */
export function authOf({ authType, authRequired, saslPassword }: KafkaMetadata): (typeof AUTH_TYPES)[number] {
  if (authType !== undefined) return authType;
  if (authRequired !== true) return 'none';
  return saslPassword ? 'password' : 'mtls';
}

function* contradictions(metadata: KafkaMetadata): Iterable<[keyof KafkaMetadata, string]> {
  const { brokers, saslUsername, saslPassword, clientCert, clientKey, caCert } = metadata;
  if (brokers === undefined) yield ['brokers', 'expected host:port'];
  const auth = authOf(metadata);
  if (auth === 'password') {
    if (!saslUsername) yield ['saslUsername', 'expected the user, for authType password'];
    if (!saslPassword) yield ['saslPassword', 'expected the password of saslUsername'];
  } else if (saslUsername || saslPassword) {
    yield [saslUsername ? 'saslUsername' : 'saslPassword', 'expected authType password beside it'];
  }
  if (auth === 'certificate' && !caCert) yield ['caCert', 'expected the CA, for authType certificate'];
  if (clientCert && !clientKey) yield ['clientKey', 'expected the key of clientCert'];
  if (clientKey && !clientCert) yield ['clientCert', 'expected the certificate of clientKey'];
  if (auth === 'none') {
    const key = (['caCert', 'clientCert', 'clientKey'] as const).find((name) => metadata[name]);
    if (key !== undefined) yield [key, 'expected authType certificate, mtls or password beside it'];
  }
  const { heartbeatInterval = 3_000, sessionTimeout = 10_000 } = metadata;
  if (heartbeatInterval * 2 > sessionTimeout)
    yield ['heartbeatInterval', 'expected at most half of sessionTimeout'];
  if (metadata.consumerGroup && metadata.consumerID && metadata.consumerGroup !== metadata.consumerID)
    yield ['consumerID', 'expected only one of consumerGroup and consumerID'];
}
