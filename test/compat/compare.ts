import { isDeepStrictEqual } from 'node:util';

/** A field that is not what the peer answered, and what it is instead. */
export interface Difference {
  peer: unknown;
  ours: unknown;
}

/** Differences by field name. */
export type Differences = Record<string, Difference>;

/** A `google.rpc.Status` detail: type name and base64 of the message. */
export interface Detail {
  type: string;
  value: string;
}

/** What a gRPC call ended with. */
export type GrpcOutcome =
  { response: unknown } | { error: { code: number; message: string; details: Detail[] } };

/** What an HTTP call ended with; of the headers only `content-type` and `etag` are compared. */
export interface HttpOutcome {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Where a peer's message starts to quote Redis or a Go library. From there on the text is the peer's own. */
const QUOTED = /ERR user_script|strconv\.|json: cannot|unexpected EOF|\bEOF\b|invalid character /;

/** Compares two gRPC outcomes field by field. */
export function compareGrpc(peer: GrpcOutcome, ours: GrpcOutcome): Differences {
  const found: Differences = {};
  const peerError = 'error' in peer ? peer.error : undefined;
  const ourError = 'error' in ours ? ours.error : undefined;
  note(found, 'code', peerError?.code ?? 0, ourError?.code ?? 0);
  if (peerError !== undefined && ourError !== undefined) {
    noteMessage(found, peerError.message, ourError.message);
    note(found, 'details', peerError.details, ourError.details);
  } else if (ourError !== undefined) {
    note(found, 'message', undefined, ourError.message);
  }
  if ('response' in peer && 'response' in ours) {
    note(found, 'response', withoutDefaults(peer.response), withoutDefaults(ours.response));
  }
  return found;
}

/** Compares two HTTP outcomes: status, content type, etag; an error body by its members, others as JSON. */
export function compareHttp(peer: HttpOutcome, ours: HttpOutcome): Differences {
  const found: Differences = {};
  note(found, 'status', peer.status, ours.status);
  for (const name of ['content-type', 'etag']) note(found, name, peer.headers[name], ours.headers[name]);
  if (peer.body === ours.body) return found;
  const peerJson = json(peer.body);
  const ourJson = json(ours.body);
  if (!isError(peerJson) || !isError(ourJson)) {
    note(found, 'body', peerJson ?? peer.body, ourJson ?? ours.body);
    return found;
  }
  note(found, 'errorCode', peerJson.errorCode, ourJson.errorCode);
  noteMessage(found, peerJson.message, ourJson.message);
  note(found, 'details', peerJson.details, ourJson.details);
  return found;
}

/** A message as JSON without the members at their default: on the wire they are not there. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value)
    .map(([name, member]) => [name, withoutDefaults(member)] as const)
    .filter(([, member]) => !isDefault(member));
  return Object.fromEntries(members);
}

function isDefault(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === null || value === '' || value === 0 || value === false;
}

function note(found: Differences, field: string, peer: unknown, ours: unknown): void {
  if (!isDeepStrictEqual(peer, ours)) found[field] = { peer, ours };
}

function noteMessage(found: Differences, peer: string, ours: string): void {
  const quote = QUOTED.exec(peer);
  const same = quote === null ? peer === ours : ours.startsWith(peer.slice(0, quote.index));
  if (!same) found['message'] = { peer, ours };
}

function json(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function isError(value: unknown): value is { errorCode: string; message: string; details?: unknown } {
  return typeof value === 'object' && value !== null && 'errorCode' in value && 'message' in value;
}
