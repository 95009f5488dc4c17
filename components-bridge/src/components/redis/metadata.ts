import * as z from 'zod';

import { NEAR_CACHE_EXPECTED, parseNearCacheAge } from '../../config/near-cache.js';
import { answerInEnvoySchema } from '../../primitives/configuration/metadata.js';
import { parseTtl } from '../../primitives/state/ttl.js';
import { lockKeyPrefix } from '../../primitives/lock/metadata.js';
import { keyPrefixSchema } from '../../primitives/state/metadata.js';
import { duration, flag, oneOf, read, text, whole } from '../fields.js';
import { parseAddresses } from '../addresses.js';
import { segmentShape, sequencerShape } from '../sequencer-fields.js';

const addresses = read('host:port, or several separated by commas', parseAddresses);

/** How to reach a Redis: shared by every primitive served from it. Dapr's and Layotto's keys, and a few of our own. */
export const connectionShape = {
  redisHost: addresses.describe('Address, host:port; of Sentinels and cluster nodes several, by commas.'),
  redisHosts: addresses.describe('The same as redisHost.'),
  redisPort: whole(1, 65535).describe('Port of addresses that have none. Default 6379, Sentinel 26379.'),
  redisType: oneOf('node', 'cluster').describe('node, or cluster for a Redis Cluster. Default node.'),
  failover: flag().describe('Ask Sentinels at redisHost where the primary is. Default false.'),
  sentinelMasterName: text('the name of the primary').optional().describe('What Sentinels call the primary.'),
  sentinelUsername: text('a user name').optional().describe('ACL user at the Sentinels.'),
  sentinelPassword: text('a password').optional().describe('Password at the Sentinels.'),
  redisUsername: text('a user name').optional().describe('ACL user; Redis 6 or newer.'),
  redisPassword: text('a password').optional().describe('Password.'),
  redisDB: whole(0, 99_999).describe('Database number; a cluster has only 0. Default 0.'),
  db: whole(0, 99_999).describe('The same as redisDB.'),
  enableTLS: flag().describe('Speak TLS, and check the certificate. Default false.'),
  caCert: text('a certificate').optional().describe('CA to trust instead of the public ones: PEM or a file.'),
  clientCert: text('a certificate').optional().describe('Certificate to present: PEM or a file.'),
  clientKey: text('a private key').optional().describe('Key of clientCert: PEM or a file.'),
  tlsServerName: text('a name')
    .optional()
    .describe('Name that certificates must hold. Default: the host of the address.'),
  insecureSkipTLSVerify: flag().describe('Take any certificate, for tests. Default false.'),
  dialTimeout: duration().describe('How long connecting may take. Default 5s.'),
  readTimeout: duration().describe(
    'How long an answer may take before the connection counts as lost. Default 3s.',
  ),
  writeTimeout: duration().describe('Accepted; readTimeout covers it.'),
  maxRetries: whole(-1, 1_000_000).describe('Accepted; failed commands are not repeated here.'),
  redisMaxRetries: whole(-1, 1_000_000).describe('The same as maxRetries.'),
  maxRetryBackoff: duration().describe('Longest pause between tries to reconnect. Default 2s.'),
  redisMaxRetryInterval: duration().describe('The same as maxRetryBackoff.'),
  strongReplicas: whole(0, 100).describe(
    'How many replicas confirm a STRONG write, a lock or an id. Default: all that are connected.',
  ),
  strongTimeout: duration().describe('How long that may take. Default 2s.'),
};

/** Metadata of `state.redis`. */
export const metadataSchema = z
  .strictObject({
    ...connectionShape,
    ttlInSeconds: read('whole seconds, 0 or less for never', parseTtl).describe(
      'Expiry of values saved without one of their own. Default: none.',
    ),
    keyPrefix: keyPrefixSchema(),
    nearCacheMaxAge: read(NEAR_CACHE_EXPECTED, parseNearCacheAge).describe(
      'Keep answers to eventual reads in Envoy, up to this age. Default: off.',
    ),
  })
  .superRefine(refuseContradictions);

/** Metadata of `lock.redis`. */
export const lockMetadataSchema = z
  .strictObject({ ...connectionShape, keyPrefix: lockKeyPrefix() })
  .superRefine(refuseContradictions);

const { redisType: _, ...clusterShape } = connectionShape;

/** Metadata of `lock.redis_cluster`. */
export const clusterLockMetadataSchema = z
  .strictObject({
    ...clusterShape,
    keyPrefix: lockKeyPrefix(),
    concurrency: whole(0, 1_000_000).describe('Accepted; every call is sent at once here.'),
  })
  .superRefine((metadata, context) => refuseContradictions({ ...metadata, redisType: 'cluster' }, context));

/** Metadata of `pubsub.redis`. */
export const pubsubMetadataSchema = z
  .strictObject({
    ...connectionShape,
    consumerID: text('a name').optional().describe('Consumer group and consumer. Default: the app id.'),
    processingTimeout: duration().describe(
      'How long a message waits that nobody works on any more, or that is to be retried. 0: for ever. Default 15s.',
    ),
    redeliverInterval: duration().describe('How often such messages are looked for. 0: never. Default 5s.'),
    queueDepth: whole(1, 100_000).describe('Messages that are read ahead, at most. Default 100.'),
    concurrency: whole(1, 100_000).describe(
      'Deliveries of a subscription at the same time, at most. Default: what the subscription says.',
    ),
    maxLenApprox: whole(1, 999_999_999).describe(
      'About how many messages a stream keeps, whether they were delivered or not. Default: all.',
    ),
  })
  .superRefine(refuseContradictions);

/** Metadata of `sequencer.redis`. */
export const sequencerMetadataSchema = z
  .strictObject({ ...connectionShape, ...sequencerShape, ...segmentShape })
  .superRefine(refuseContradictions);

/** Metadata of `configuration.redis`. */
export const configurationMetadataSchema = z
  .strictObject({ ...connectionShape, answerInEnvoy: answerInEnvoySchema() })
  .superRefine((metadata, context) => {
    refuseContradictions(metadata, context);
    if (metadata.redisType !== 'cluster') return;
    // The nodes of a cluster tell of changes each for itself, and its commands take keys of one slot only.
    const message =
      'expected node: a Redis Cluster cannot hold configuration; use a single server or Sentinels';
    context.addIssue({ code: 'custom', path: ['redisType'], message });
  });

export type RedisStateMetadata = z.output<typeof metadataSchema>;
export type RedisConnectionMetadata = Pick<RedisStateMetadata, keyof typeof connectionShape>;

function refuseContradictions(metadata: RedisConnectionMetadata, context: z.RefinementCtx): void {
  for (const [key, message] of contradictions(metadata)) {
    context.addIssue({ code: 'custom', path: [key], message });
  }
}

/** Keys that do not go together, each with what was expected. */
function* contradictions(
  metadata: RedisConnectionMetadata,
): Iterable<[keyof RedisConnectionMetadata, string]> {
  const { redisHost, redisHosts, redisPort, redisType, failover, redisDB, db } = metadata;
  const given = redisHost ?? redisHosts;
  if (given === undefined) {
    yield ['redisHost', 'expected host:port'];
  } else {
    const key = redisHost === undefined ? 'redisHosts' : 'redisHost';
    if (redisHost !== undefined && redisHosts !== undefined)
      yield ['redisHosts', 'expected only one of redisHost and redisHosts'];
    if (given.length > 1 && redisType !== 'cluster' && failover !== true)
      yield [
        key,
        'expected one address; several are for redisType: cluster, or for Sentinels with failover: true',
      ];
    if (redisPort !== undefined && given.some(({ port }) => port !== undefined && port !== redisPort))
      yield ['redisPort', `expected the port of ${key}, or only one of them`];
  }
  if (failover === true && !metadata.sentinelMasterName)
    yield ['sentinelMasterName', 'expected the name that the Sentinels know the primary by'];
  if (redisDB !== undefined && db !== undefined && redisDB !== db)
    yield ['db', 'expected the same number as redisDB, or only one of them'];
  if (metadata.clientCert && !metadata.clientKey) yield ['clientKey', 'expected the key of clientCert'];
  if (metadata.clientKey && !metadata.clientCert)
    yield ['clientCert', 'expected the certificate of clientKey'];
  for (const key of ['caCert', 'clientCert', 'clientKey', 'tlsServerName'] as const) {
    if (metadata[key] && metadata.enableTLS !== true) yield [key, 'expected enableTLS: true beside it'];
  }
}
