import * as z from 'zod';

import { parseBytes } from '../../config/units.js';
import { duration, flag, read, text } from '../fields.js';

/** Go's units of quantities, as Dapr's files have them, beside our own. */
function parseSize(value: string): number | undefined {
  return parseBytes(value.replace(/^(\d+(?:\.\d+)?)(Ki|Mi|Gi)$/, '$1$2B'));
}

function parseUrl(value: string): URL | undefined {
  if (!URL.canParse(value)) return undefined;
  const url = new URL(value);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
}

/** A name that HTTP takes as a header's. */
function parseHeader(value: string): string | undefined {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) ? value : undefined;
}

/** Metadata of `bindings.http`: Dapr's keys. */
export const metadataSchema = z
  .strictObject({
    url: z
      .string('expected an address, http://… or https://…')
      .transform((value, context): URL => {
        const url = parseUrl(value);
        if (url !== undefined) return url;
        const message = 'expected an address, http://… or https://…';
        context.issues.push({ code: 'custom', message, input: value });
        return z.NEVER;
      })
      .describe('Address that paths are added to, http://… or https://….'),
    errorIfNot2XX: flag().describe('An answer other than 2xx is a failure. Default true.'),
    responseTimeout: duration().describe('How long an answer may take. Default: as long as the call itself.'),
    maxResponseBodySize: read('a size such as 100Ki or 4MiB', parseSize).describe(
      'Longest answer; `limits.message` holds as well.',
    ),
    securityToken: text('a token').optional().describe('Sent in the header securityTokenHeader.'),
    securityTokenHeader: read('the name of a header', parseHeader).describe(
      'Header that carries securityToken.',
    ),
    MTLSRootCA: text('a certificate')
      .optional()
      .describe('CA to trust instead of the public ones: PEM or a file.'),
    MTLSClientCert: text('a certificate').optional().describe('Certificate to present: PEM or a file.'),
    MTLSClientKey: text('a private key').optional().describe('Key of MTLSClientCert: PEM or a file.'),
    MTLSRenegotiation: text('a text').optional().describe('Accepted; TLS here never renegotiates.'),
    direction: text('a text').optional().describe('Accepted; this binding only has output.'),
  })
  .superRefine((metadata, context) => {
    const needs = (
      key: 'securityToken' | 'MTLSClientCert' | 'MTLSClientKey',
      other: keyof typeof metadata,
    ) => {
      if (metadata[key] && !metadata[other])
        context.addIssue({
          code: 'custom',
          path: [other],
          message: `expected a value, because ${key} is set`,
        });
    };
    needs('securityToken', 'securityTokenHeader');
    needs('MTLSClientCert', 'MTLSClientKey');
    needs('MTLSClientKey', 'MTLSClientCert');
  });

export type HttpBindingMetadata = z.output<typeof metadataSchema>;
