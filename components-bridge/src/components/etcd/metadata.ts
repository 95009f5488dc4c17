import * as z from 'zod';

import { parseTtl } from '../../primitives/state/ttl.js';
import { answerInEnvoySchema } from '../../primitives/configuration/metadata.js';
import { lockKeyPrefix } from '../../primitives/lock/metadata.js';
import { keyPrefixSchema } from '../../primitives/state/metadata.js';
import { parseAddress } from '../addresses.js';
import type { Address } from '../addresses.js';
import { parseGoDuration } from '../durations.js';
import { flag, read, text, whole } from '../fields.js';
import { segmentShape, sequencerShape } from '../sequencer-fields.js';

/** Longest wait that can be configured: an hour. */
const LONGEST_MS = 3_600_000;

/** Where a server listens, and whether it says that it speaks TLS there. */
export interface EtcdAddress extends Address {
  secure: boolean;
}

/** Addresses separated by commas, as Dapr has them, or semicolons, as Layotto has them. */
function parseEndpoints(value: string): EtcdAddress[] | undefined {
  const endpoints = value.split(/[,;]/).map((part): EtcdAddress | undefined => {
    const [, scheme, rest = ''] = /^(https?:\/\/)?(.*?)\/?$/i.exec(part.trim()) ?? [];
    const address = parseAddress(rest);
    return address === undefined ? undefined : { ...address, secure: scheme?.toLowerCase() === 'https://' };
  });
  return endpoints.every((endpoint) => endpoint !== undefined) ? endpoints : undefined;
}

/** Milliseconds, from Go's form of a duration or a number of seconds, as Layotto has it. */
function seconds(): z.ZodType<number | undefined> {
  return read('a duration such as 5s or 500ms, or seconds, up to 1h', (value) => {
    const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : parseGoDuration(value);
    return ms !== undefined && ms > 0 && ms <= LONGEST_MS ? ms : undefined;
  });
}

const pem = (what: string): z.ZodType<string | undefined> => text(what).optional();

/** How to reach an etcd: shared by every primitive served from it. Dapr's and Layotto's keys, and a few of our own. */
export const connectionShape = {
  endpoints: read('host:port, or several separated by commas', parseEndpoints).describe(
    'Addresses of the members, host:port, by commas or semicolons. Default port 2379.',
  ),
  username: text('a user name').optional().describe('User, if the server asks for one.'),
  password: text('a password').optional().describe('Password of the user.'),
  dialTimeout: seconds().describe('How long connecting may take. Default 5s.'),
  timeout: seconds().describe('How long an answer may take. Default 3s.'),
  tlsEnable: flag().describe(
    'Speak TLS, and check the certificate. Default: if one of the next keys is set.',
  ),
  ca: pem('a certificate').describe('CA to trust instead of the public ones: PEM or a file.'),
  cert: pem('a certificate').describe('Certificate to present: PEM or a file.'),
  key: pem('a private key').describe('Key of cert: PEM or a file.'),
  tlsCa: pem('a certificate').describe("Layotto's name for ca."),
  tlsCert: pem('a certificate').describe("Layotto's name for cert."),
  tlsCertKey: pem('a private key').describe("Layotto's name for key."),
  tlsServerName: text('a name')
    .optional()
    .describe('Name that certificates must hold. Default: the host of the address.'),
  keyPrefixPath: text('a path').optional().describe('What stands before every key in etcd.'),
};

export type EtcdConnectionMetadata = {
  [Key in keyof typeof connectionShape]?: z.output<(typeof connectionShape)[Key]>;
};

/** Metadata of `state.etcd`. */
export const stateMetadataSchema = z
  .strictObject({
    ...connectionShape,
    maxTxnOps: whole(3, 1_000_000).describe("The server's --max-txn-ops. Default 128."),
    ttlInSeconds: read('whole seconds, 0 or less for never', parseTtl).describe(
      'Expiry of values saved without one of their own. Default: none.',
    ),
    keyPrefix: keyPrefixSchema(),
  })
  .superRefine(connectionRules);

/** Metadata of `lock.etcd`. */
export const lockMetadataSchema = z
  .strictObject({ ...connectionShape, keyPrefix: lockKeyPrefix() })
  .superRefine(connectionRules);

/** Metadata of `sequencer.etcd`. */
export const sequencerMetadataSchema = z
  .strictObject({ ...connectionShape, ...sequencerShape, ...segmentShape })
  .superRefine(connectionRules);

/** Metadata of `configuration.etcd`. */
export const configurationMetadataSchema = z
  .strictObject({
    ...connectionShape,
    address: connectionShape.endpoints.describe("Layotto's name for endpoints."),
    answerInEnvoy: answerInEnvoySchema(),
  })
  .superRefine(({ address, answerInEnvoy: _, ...metadata }, context) => {
    if (address !== undefined && metadata.endpoints !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['address'],
        message: 'expected only one of endpoints and address',
      });
    else connectionRules({ ...metadata, endpoints: metadata.endpoints ?? address }, context);
  });

/** What stands before the keys of locks and ids: as Layotto has it, with a slash before and after. */
export function layottoPath({ keyPrefixPath = '/layotto/' }: EtcdConnectionMetadata): string {
  const inner = keyPrefixPath.replace(/^\/|\/$/g, '');
  return inner === '' ? '/' : `/${inner}/`;
}

/** Adds what is wrong with keys that do not go together. */
export function connectionRules(metadata: EtcdConnectionMetadata, context: z.RefinementCtx): void {
  for (const [key, message] of contradictions(metadata)) {
    context.addIssue({ code: 'custom', path: [key], message });
  }
}

function* contradictions(metadata: EtcdConnectionMetadata): Iterable<[keyof EtcdConnectionMetadata, string]> {
  const { endpoints, username, password } = metadata;
  if (endpoints === undefined) yield ['endpoints', 'expected host:port'];
  else if (new Set(endpoints.map(({ secure }) => secure)).size > 1)
    yield ['endpoints', 'expected https:// before every address, or before none'];
  if (username && password === undefined) yield ['password', 'expected the password of username'];
  if (password && !username) yield ['username', 'expected the user of password'];
  for (const [key, other] of [
    ['tlsCa', 'ca'],
    ['tlsCert', 'cert'],
    ['tlsCertKey', 'key'],
  ] as const) {
    if (metadata[key] && metadata[other]) yield [key, `expected only one of ${other} and ${key}`];
  }
  const cert = metadata.cert || metadata.tlsCert;
  const key = metadata.key || metadata.tlsCertKey;
  if (cert && !key) yield ['key', 'expected the key of cert'];
  if (key && !cert) yield ['cert', 'expected the certificate of key'];
  if (metadata.tlsEnable === false) {
    if (endpoints?.some(({ secure }) => secure))
      yield ['tlsEnable', 'expected true beside https:// addresses'];
    const given = TLS_KEYS.find((name) => metadata[name]);
    if (given !== undefined) yield [given, 'expected tlsEnable: true beside it'];
  }
}

const TLS_KEYS = ['ca', 'cert', 'key', 'tlsCa', 'tlsCert', 'tlsCertKey', 'tlsServerName'] as const;

/** Whether a connection with this metadata speaks TLS. */
export function speaksTls(metadata: EtcdConnectionMetadata): boolean {
  return (
    metadata.tlsEnable ??
    (metadata.endpoints?.some(({ secure }) => secure) === true || TLS_KEYS.some((key) => metadata[key]))
  );
}
