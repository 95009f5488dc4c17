import { z } from 'zod';

import { answerInEnvoySchema } from '../../primitives/configuration/metadata.js';
import { duration, flag, read, text } from '../fields.js';

/** Most namespaces that can be named. */
const MOST_NAMESPACES = 100;

/** A URL without a slash at its end; `http://` goes without saying. */
export function parseBase(value: string): string | undefined {
  const trimmed = value.trim();
  const text = /^https?:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`;
  if (!URL.canParse(text)) return undefined;
  const { href, search, hash } = new URL(text);
  return search === '' && hash === '' ? href.replace(/\/+$/, '') : undefined;
}

function parseBases(value: string): string[] | undefined {
  const bases = value.split(',').map(parseBase);
  return bases.every((base) => base !== undefined) ? bases : undefined;
}

function parseNamespaces(value: string): string[] | undefined {
  const names = value.split(',').map((name) => name.trim());
  if (names.length > MOST_NAMESPACES || names.some((name) => name === '' || name === '*')) return undefined;
  return [...new Set(names)];
}

const base = (what: string): z.ZodType<string | undefined> => read(what, parseBase);

/** Metadata of `configuration.apollo`. Layotto's keys, and a few of our own. */
export const metadataSchema = z
  .strictObject({
    address: read('host:port or a URL, or several separated by commas', parseBases).describe(
      "Apollo's meta service or config service, by commas.",
    ),
    app_id: text('an app id').min(1, 'expected an app id').describe('The app in Apollo.'),
    cluster: text('a name').optional().describe('The cluster to read from and write to. Default default.'),
    data_center: text('a name').optional().describe('The cluster to read what cluster does not have.'),
    namespace_name: read('names separated by commas', parseNamespaces).describe(
      'Namespaces that the group * stands for, by commas. Default application.',
    ),
    is_backup_config: flag().describe(
      'Keep what was read on disk, and serve it while Apollo is away. Default true.',
    ),
    secret: text('an access key').optional().describe('Access key of the app, if it has one.'),
    open_api_address: base('host:port or a URL').describe('The portal, to save and delete.'),
    open_api_token: text('a token').optional().describe('Token for the open API.'),
    open_api_user: text('a user name').optional().describe('Who saves and deletes.'),
    open_api_env: text('a name').optional().describe('Environment to save to. Default DEV.'),
    timeout: duration().describe('How long an answer may take. Default 3s.'),
    answerInEnvoy: answerInEnvoySchema(),
  })
  .superRefine((metadata, context) => {
    if (metadata.address === undefined)
      context.addIssue({ code: 'custom', path: ['address'], message: 'expected host:port or a URL' });
    const together = ['open_api_address', 'open_api_token', 'open_api_user'] as const;
    const given = together.find((key) => metadata[key]);
    const missing = together.find((key) => !metadata[key]);
    if (given !== undefined && missing !== undefined)
      context.addIssue({ code: 'custom', path: [missing], message: `expected a value, beside ${given}` });
  });

export type ApolloMetadata = z.output<typeof metadataSchema>;
