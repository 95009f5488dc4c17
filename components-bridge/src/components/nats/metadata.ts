import * as z from 'zod';

import { parseAddress } from '../addresses.js';
import { parseGoDuration } from '../durations.js';
import { duration, flag, oneOf, read, text, whole } from '../fields.js';

/** Longest age of a stream's messages that can be configured: ten years, in hours. */
const LONGEST_AGE_MS = 87_600 * 3_600_000;

/** Servers of one cluster, and how to log in to them. */
export interface NatsServers {
  /** `host:port` each. */
  addresses: string[];
  tls: boolean;
  user?: string;
  password?: string;
}

/** `nats://user:password@host:port`, several by commas; `tls://` where TLS is asked for. */
function parseServers(value: string): NatsServers | undefined {
  const servers = value.split(',').map(parseServer);
  if (!servers.every((server) => server !== undefined)) return undefined;
  const [first] = servers;
  if (first === undefined) return undefined;
  const alike = servers.every(
    ({ tls, user, password }) => tls === first.tls && user === first.user && password === first.password,
  );
  return alike ? { ...first, addresses: servers.flatMap(({ addresses }) => addresses) } : undefined;
}

function parseServer(value: string): NatsServers | undefined {
  const match = /^(?:(nats|tls):\/\/)?(?:([^@/\s]*)@)?([^@/\s]+?)\/?$/i.exec(value.trim());
  const address = match?.[3] === undefined ? undefined : parseAddress(match[3]);
  if (match === null || address === undefined) return undefined;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const server = { addresses: [`${host}:${address.port ?? 4222}`], tls: match[1]?.toLowerCase() === 'tls' };
  if (match[2] === undefined) return server;
  const [user = '', password] = match[2].split(/:(.*)/s).map(decoded);
  return { ...server, user, ...(password !== undefined && { password }) };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Durations by commas, as pauses before the first, second, … time a message is delivered again. */
function parsePauses(value: string): number[] | undefined {
  const pauses = value.split(',').map((part) => parseGoDuration(part));
  return pauses.every((pause): pause is number => pause !== undefined && pause > 0) ? pauses : undefined;
}

/** A key that would change what is promised, or that pulling consumers do not have: it must be left out. */
function unserved(why: string): z.ZodType<string | undefined> {
  return read<string>(`it to be left out: ${why}`, () => undefined);
}

const atLeast = (lowest: number) => whole(lowest, 999_999_999);

/** Metadata of `pubsub.jetstream`: Dapr's keys, and a few of our own. */
export const metadataSchema = z
  .strictObject({
    natsURL: read(
      'nats://host:port, or several separated by commas that are logged in to alike',
      parseServers,
    ).describe(
      'Addresses of the servers, `nats://host:port` or `tls://host:port`, by commas; a user and a password as in `nats://user:password@host:port`. Default port 4222.',
    ),
    jwt: text('a JWT').optional().describe('JWT of the user, beside seedKey.'),
    seedKey: text('a seed').optional().describe("Seed of the user's key, beside jwt."),
    token: text('a token').optional().describe('Token, if the server asks for one.'),
    tls_client_cert: text('a certificate').optional().describe('Certificate to present: PEM or a file.'),
    tls_client_key: text('a private key').optional().describe('Key of tls_client_cert: PEM or a file.'),
    tls_ca_cert: text('a certificate')
      .optional()
      .describe('CA to trust instead of the public ones: PEM or a file. Asks for TLS.'),
    name: text('a name')
      .optional()
      .describe('What the server calls the connection. Default: `layotto` and the app.'),
    domain: text('a domain').optional().describe('Domain of JetStream.'),
    apiPrefix: text('a prefix')
      .optional()
      .describe('Prefix of the JetStream API, for an account that imports it.'),
    timeout: duration().describe('How long an answer may take. Default 5s.'),
    streamName: text('a name')
      .optional()
      .describe(
        'Stream of every topic; it is created if it is missing. Default: the one that has the topic among its subjects, else a new one for each topic.',
      ),
    streamMaxAge: read('a duration such as 168h, 0 for ever', (value) => {
      const ms = parseGoDuration(value);
      return ms !== undefined && ms <= LONGEST_AGE_MS ? ms : undefined;
    }).describe(
      'How long streams that are created keep messages, delivered or not; 0: for ever. Default 168h.',
    ),
    replicas: whole(1, 5).describe('Servers that hold each stream and consumer that is created. Default 1.'),
    memoryStorage: flag().describe(
      'Keep streams and consumers that are created in memory: they do not survive the server. Default false.',
    ),
    consumerID: text('a name').optional().describe('Group of subscribers. Default: the app.'),
    queueGroupName: text('a name').optional().describe("Dapr's name for consumerID."),
    durableName: text('a name')
      .optional()
      .describe('Consumer to use, for one topic only. Default: one for each group and topic.'),
    deliverPolicy: oneOf('all', 'last', 'new', 'sequence', 'time').describe(
      'Where a new group begins: all, last, new, sequence or time. Default all.',
    ),
    startSequence: read('a sequence number, at least 1', (value) => {
      const number = /^\d{1,16}$/.test(value) ? Number(value) : 0;
      return Number.isSafeInteger(number) && number > 0 ? number : undefined;
    }).describe('With deliverPolicy sequence: the first message.'),
    startTime: read('seconds since 1970', (value) =>
      /^\d{1,10}$/.test(value) ? Number(value) : undefined,
    ).describe('With deliverPolicy time: the first message, in seconds since 1970.'),
    ackPolicy: read(
      'explicit: with any other, messages that no app has acknowledged would be lost',
      (value): 'explicit' | undefined => (value.toLowerCase() === 'explicit' ? 'explicit' : undefined),
    ).describe('explicit, as by default; none and all are refused.'),
    ackWait: duration().describe(
      'How long a message may be without a sign of life before it is delivered again; they are sent for messages in hand. Default 15s. At least 1s.',
    ),
    redeliverInterval: duration().describe(
      'Pause before a message is delivered again that the app wants again. Default: ackWait if that is set, else 1s.',
    ),
    backOff: read('durations separated by commas, such as 1s,5s,30s', parsePauses).describe(
      'Such pauses one by one, by commas; the last one is kept.',
    ),
    maxDeliver: atLeast(1).describe(
      'How often a message is delivered at most. Default: until it is acknowledged.',
    ),
    maxAckPending: atLeast(1).describe(
      'Messages of a group that are delivered and not settled, at most. Default 1000.',
    ),
    concurrency: oneOf('single', 'parallel').describe(
      "single: one message at a time per subscription. Default parallel, up to the subscription's own number.",
    ),
    heartbeat: duration().describe(
      'How often the server says that it is there when there are no messages. Default 5s.',
    ),
    flowControl: flag().describe('Has no effect: messages are asked for as fast as the app takes them.'),
    rateLimit: unserved('messages are pulled, and NATS limits the rate of pushed ones only').describe(
      'Refused.',
    ),
  })
  .superRefine((metadata, context) => {
    for (const [key, message] of contradictions(metadata)) {
      context.addIssue({ code: 'custom', path: [key], message });
    }
  });

export type NatsMetadata = z.output<typeof metadataSchema>;

function* contradictions(metadata: NatsMetadata): Iterable<[keyof NatsMetadata, string]> {
  const { natsURL, jwt, seedKey, token, deliverPolicy, startSequence, startTime } = metadata;
  if (natsURL === undefined) yield ['natsURL', 'expected nats://host:port'];
  if (jwt && !seedKey) yield ['seedKey', "expected the seed of the jwt's user"];
  if (seedKey && !jwt) yield ['jwt', "expected the JWT of the seedKey's user"];
  if (token && jwt) yield ['token', 'expected only one of token and jwt'];
  if (natsURL?.user !== undefined && (token || jwt))
    yield ['natsURL', `expected no user beside ${token ? 'token' : 'jwt'}`];
  if (metadata.tls_client_cert && !metadata.tls_client_key)
    yield ['tls_client_key', 'expected the key of tls_client_cert'];
  if (metadata.tls_client_key && !metadata.tls_client_cert)
    yield ['tls_client_cert', 'expected the certificate of tls_client_key'];
  if (metadata.domain && metadata.apiPrefix) yield ['apiPrefix', 'expected only one of domain and apiPrefix'];
  if (metadata.consumerID && metadata.queueGroupName && metadata.consumerID !== metadata.queueGroupName)
    yield ['queueGroupName', 'expected only one of consumerID and queueGroupName'];
  if ((deliverPolicy === 'sequence') !== (startSequence !== undefined))
    yield ['startSequence', 'expected it beside deliverPolicy: sequence, and only there'];
  if ((deliverPolicy === 'time') !== (startTime !== undefined))
    yield ['startTime', 'expected it beside deliverPolicy: time, and only there'];
  if (metadata.ackWait !== undefined && metadata.ackWait < 1_000) yield ['ackWait', 'expected at least 1s'];
  if (metadata.heartbeat !== undefined && metadata.heartbeat < 500)
    yield ['heartbeat', 'expected at least 500ms'];
  for (const key of ['streamName', 'durableName'] as const) {
    const name = metadata[key];
    if (name && !isName(name)) yield [key, 'expected a name without blanks and without . * > / \\'];
  }
}

/** What NATS takes as the name of a stream or a consumer. */
export function isName(name: string): boolean {
  return /^[^\s.*>/\\\p{Cc}]{1,255}$/u.test(name);
}
