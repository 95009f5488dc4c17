import * as z from 'zod';

import { answerInEnvoySchema } from '../../primitives/configuration/metadata.js';
import { duration, flag, read, text } from '../fields.js';

/** Config services whose addresses one component may name. */
const MOST_ADDRESSES = 16;
/** Namespaces that one component may name: each is kept in memory and on disk. */
const MOST_NAMESPACES = 32;

const ADDRESS = 'an address such as http://apollo.example:8080';

function parseAddress(value: string): string | undefined {
  const address = /^https?:\/\//.test(value) ? value : `http://${value}`;
  if (/\s/.test(value) || !URL.canParse(address)) return undefined;
  const { username, password, search, hash, href } = new URL(address);
  return username + password + search + hash === '' ? href.replace(/\/+$/, '') : undefined;
}

/** Addresses between commas, `http://` put in where a scheme is missing, without slashes at the end. */
function parseAddresses(value: string): string[] | undefined {
  const addresses = value.split(',').map((address) => parseAddress(address.trim()));
  if (addresses.length > MOST_ADDRESSES || addresses.includes(undefined)) return undefined;
  return addresses as string[];
}

/** The letters that Apollo takes in the names of namespaces, clusters and apps. */
export function isName(name: string): boolean {
  return /^[\w.-]{1,128}$/.test(name) && !/^\.+$/.test(name);
}

function parseNames(value: string): string[] | undefined {
  const names = value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0 || names.length > MOST_NAMESPACES || !names.every(isName)) return undefined;
  return [...new Set(names)];
}

function required<Value>(expected: string, parse: (value: string) => Value | undefined): z.ZodType<Value> {
  return z.string(`expected ${expected}`).transform((value, context): Value => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.issues.push({ code: 'custom', message: `expected ${expected}`, input: value });
    return z.NEVER;
  });
}

const name = (what: string) => read(`the name of ${what}`, (value) => (isName(value) ? value : undefined));

/** Metadata of `configuration.apollo`: Layotto's keys, and some of its own. */
export const metadataSchema = z
  .strictObject({
    address: required(`${ADDRESS}, or several separated by commas`, parseAddresses).describe(
      "Apollo's meta or config services; several separated by commas, tried in turn.",
    ),
    app_id: required('the id of an app in Apollo', (value) => (isName(value) ? value : undefined)).describe(
      'The app in Apollo whose configuration it is, whatever app a call names.',
    ),
    cluster: name('a cluster').describe(
      'Its cluster. Where that has no release, Apollo answers with `default`. Default `default`.',
    ),
    namespace_name: read(
      `up to ${MOST_NAMESPACES} names of namespaces, separated by commas`,
      parseNames,
    ).describe('Namespaces that are kept at hand, and that the group `*` stands for. Default `application`.'),
    is_backup_config: flag().describe(
      'Keep configuration in memory and on disk, and answer with it while Apollo is away. Default true.',
    ),
    secret: text('an access key').optional().describe("The app's access key, if it has one."),
    open_api_address: read(ADDRESS, parseAddress).describe(
      "Apollo's portal, whose open API saves and deletes. Default: the store is only read.",
    ),
    open_api_token: text('a token').optional().describe("The open API's token for the app."),
    open_api_user: text('a user').optional().describe('The user in Apollo that changes are made for.'),
    open_api_env: name('an environment').describe('The environment that is written to. Default `DEV`.'),
    clientIP: read('an IP address', (value) => (/^[\da-fA-F.:]+$/.test(value) ? value : undefined)).describe(
      "What gray releases go by. Default: this machine's address.",
    ),
    requestTimeout: duration().describe('How long a config service may take to answer. Default 3s.'),
    answerInEnvoy: answerInEnvoySchema(),
  })
  .superRefine((metadata, context) => {
    const keys = ['open_api_address', 'open_api_token', 'open_api_user'] as const;
    const given = keys.find((key) => Boolean(metadata[key]));
    if (given === undefined) return;
    for (const key of keys) {
      if (metadata[key]) continue;
      const message = `expected a value, because ${given} is set`;
      context.addIssue({ code: 'custom', path: [key], message });
    }
  });

export type ApolloMetadata = z.output<typeof metadataSchema>;
