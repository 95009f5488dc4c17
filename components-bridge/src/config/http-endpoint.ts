import { isIP } from 'node:net';

import { MOST_CALLEES, RESERVED } from './callees.js';
import type { DaprReader } from './dapr-yaml.js';
import { isRecord } from './document.js';
import type { Draft } from './draft.js';
import { asHostName } from './limits.js';
import { describe } from './problems.js';
import type { Findings } from './problems.js';
import type { CalleeConfig } from './types.js';

/** A place of the web that a resource names, as one of those whom the app invokes. */
export interface DraftEndpoint {
  name: string;
  callee: CalleeConfig;
  file: string;
  line: number;
}

/** Headers that are of the connection, or that the runtime sets by itself. */
const NOT_SET =
  /^(?::.*|host|connection|content-length|transfer-encoding|te|upgrade|x-envoy-.*|x-layotto-.*)$/i;
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** Visible ASCII and spaces. */
const HEADER_VALUE = /^[\x20-\x7e]*$/;
const MOST_HEADERS = 50;

/**
 * Reads Dapr's resource of `kind: HTTPEndpoint`. What it asks for and is not served, is a problem: left out, calls would
 * go out in another way than it says.
 *
 * @returns undefined if it is wrong, which is reported, or not for this app
 * @see https://docs.dapr.io/reference/resource-specs/httpendpoints-schema/
 */
export function readHttpEndpoint(reader: DaprReader): DraftEndpoint | undefined {
  const { document } = reader;
  const root = document.value as Record<string, unknown>;
  const written = document.textOf(['metadata', 'name']);
  if (!reader.inScope(root['scopes'], written ?? '')) return undefined;
  const wrong = (path: readonly PropertyKey[], expected: string, found: unknown): undefined => {
    reader.problem(path, `expected ${expected}, found ${describe(found)}`);
    return undefined;
  };
  const version = root['apiVersion'];
  if (version !== 'dapr.io/v1alpha1') return wrong(['apiVersion'], 'dapr.io/v1alpha1', version);
  const name = asHostName(written);
  const named = name !== undefined && !RESERVED.includes(name);
  if (!named) wrong(['metadata', 'name'], `a host name that is none of ${RESERVED.join(', ')}`, written);
  const spec = root['spec'];
  if (!isRecord(spec)) return wrong(['spec'], 'a map with baseUrl', spec);
  const others = Object.keys(spec).filter((key) => !['baseUrl', 'headers', 'clientTLS'].includes(key));
  for (const key of others) wrong(['spec', key], 'baseUrl, headers and clientTLS only', key);
  const url = asBaseUrl(document.textOf(['spec', 'baseUrl']));
  if (url === undefined)
    wrong(
      ['spec', 'baseUrl'],
      'http:// or https://, a host, and perhaps a port and a path, without user, query and fragment',
      spec['baseUrl'],
    );
  const headers = readHeaders(reader, spec['headers']);
  const rootCA = readRootCA(reader, spec['clientTLS'], url?.secure ?? true);
  if (!named || others.length > 0 || url === undefined) return undefined;
  if (headers === undefined || rootCA === undefined) return undefined;
  const { host, port, authority, path, secure } = url;
  const tls = secure ? { tls: { name: host, ...(rootCA === '' ? {} : { rootCA }) } } : {};
  const callee = { to: [{ host, port }], endpoint: { authority, path, headers, ...tls } };
  return { name, callee, file: document.file, line: document.startLine };
}

/** Makes places of the web callees beside those of the file, whose names they must not have. */
export function addEndpoints(
  draft: Draft | undefined,
  endpoints: readonly DraftEndpoint[],
  findings: Findings,
): void {
  for (const { name, callee, file, line } of endpoints) {
    const callees = draft?.callees ?? {};
    const problem = (message: string): void => findings.problem(file, line, 'metadata.name', message);
    if (Object.hasOwn(callees, name)) problem(`expected a name that no other callee has, found "${name}"`);
    else if (Object.keys(callees).length >= MOST_CALLEES)
      problem(`expected at most ${MOST_CALLEES} callees, those of callees among them`);
    else if (draft !== undefined) draft.callees = { ...callees, [name]: callee };
  }
}

function asBaseUrl(
  text: string | undefined,
): { host: string; port: number; authority: string; path: string; secure: boolean } | undefined {
  const url = text === undefined ? null : URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return undefined;
  if (url.username + url.password + url.search + url.hash !== '') return undefined;
  const bare = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const host = isIP(bare) === 0 ? asHostName(bare) : bare;
  if (host === undefined) return undefined;
  const secure = url.protocol === 'https:';
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { host, port, authority: url.host, path: url.pathname.replace(/\/+$/, ''), secure };
}

/** @returns undefined if something of them is wrong, which is reported */
function readHeaders(reader: DaprReader, value: unknown): Record<string, string> | undefined {
  const path = ['spec', 'headers'];
  const settings = reader.settings(value, path);
  const [secret] = reader.secretRefs;
  if (secret !== undefined) {
    reader.problem(
      path,
      `expected value or envRef for ${secret.injectAs}: headers stand in Envoy's configuration, and secrets of stores do not; found secretKeyRef`,
    );
    return undefined;
  }
  if (settings === undefined || settings.some((setting) => setting.value === undefined)) return undefined;
  if (settings.length > MOST_HEADERS) {
    reader.problem(path, `expected at most ${MOST_HEADERS} headers, found ${settings.length}`);
    return undefined;
  }
  const headers: Record<string, string> = {};
  for (const { key, value = '', hidden } of settings) {
    const name = key.toLowerCase();
    if (!HEADER.test(key) || NOT_SET.test(key) || name in headers) {
      const expected = 'the name of a header, each once, and none of the connection or of the runtime';
      reader.problem(path, `expected ${expected}, found ${describe(key)}`);
      return undefined;
    }
    if (!HEADER_VALUE.test(value)) {
      const found = hidden ? 'something else' : describe(value);
      reader.problem(path, `expected visible ASCII for the header ${key}, found ${found}`);
      return undefined;
    }
    headers[name] = value;
  }
  return headers;
}

/** @returns the authority that signs the server's certificate, empty: those of the system; undefined if that is wrong */
function readRootCA(reader: DaprReader, value: unknown, secure: boolean): string | undefined {
  if (value === undefined || value === null) return '';
  const path = ['spec', 'clientTLS'];
  const wrong = (at: readonly PropertyKey[], message: string): undefined => {
    reader.problem(at, message);
    return undefined;
  };
  if (!isRecord(value)) return wrong(path, `expected a map with rootCA, found ${describe(value)}`);
  if (!secure) return wrong(path, 'expected none, because baseUrl is no https://; remove it');
  const other = Object.keys(value).find((key) => key !== 'rootCA');
  if (other !== undefined) {
    const message = `clientTLS.${other} is not served by this version, only rootCA is; a gateway of yours can add a client's certificate`;
    return wrong([...path, other], message);
  }
  const at = [...path, 'rootCA', 'value'];
  const pem = reader.document.textOf(at);
  if (pem?.includes('-----BEGIN CERTIFICATE-----') === true) return pem;
  return wrong(at, 'expected rootCA with a value: a certificate in PEM');
}
