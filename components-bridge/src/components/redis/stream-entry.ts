import type { IncomingMessage, OutgoingMessage } from '../../primitives/pubsub/broker.js';

/** What every message is, unless it says something else. */
const USUAL_TYPE = 'application/cloudevents+json';

/** An entry of a stream, as a server sends it. */
export interface StreamEntry {
  readonly id: string;
  readonly fields: readonly Buffer[];
}

/** A message that is in hand, or waits for a hand. */
export interface Held {
  readonly entry: StreamEntry;
  readonly attempt: number;
}

/**
 * The fields of a message in a stream: `data` and, if there is any, `metadata` in JSON, as Dapr and Layotto write and
 * read them; and `contenttype` for what is no CloudEvent, which both leave alone.
 */
export function fieldsOf({ data, contentType, metadata }: OutgoingMessage): (string | Buffer)[] {
  const fields: (string | Buffer)[] = ['data', Buffer.from(data.buffer, data.byteOffset, data.byteLength)];
  if (Object.keys(metadata).length > 0) fields.push('metadata', JSON.stringify(metadata));
  if (contentType !== USUAL_TYPE) fields.push('contenttype', contentType);
  return fields;
}

/** The message in an entry. One without `data` is an empty message, whoever has written it. */
export function messageOf({ id, fields }: StreamEntry, attempt: number): IncomingMessage {
  let data: Buffer = EMPTY;
  let contentType: string | undefined;
  let metadata: Record<string, string> = {};
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const value = fields[at + 1] ?? EMPTY;
    const name = fields[at]?.toString();
    if (name === 'data') data = value;
    else if (name === 'metadata') metadata = metadataOf(value);
    else if (name === 'contenttype') contentType = value.toString();
  }
  return { id, data, metadata, attempt, ...(contentType === undefined ? {} : { contentType }) };
}

/** The entries of one stream in an answer to XREADGROUP; none if it is empty. */
export function entriesRead(answer: unknown): StreamEntry[] {
  const [stream] = Array.isArray(answer) ? (answer as unknown[]) : [];
  return Array.isArray(stream) ? entriesOf((stream as unknown[])[1]) : [];
}

/** The entries in an answer to XCLAIM, without those that are not there any more. */
export function entriesOf(answer: unknown): StreamEntry[] {
  if (!Array.isArray(answer)) return [];
  return (answer as unknown[]).flatMap((entry) => {
    const [id, fields] = Array.isArray(entry) ? (entry as [unknown, unknown]) : [];
    if (!Buffer.isBuffer(id)) return [];
    return { id: id.toString('latin1'), fields: Array.isArray(fields) ? (fields as Buffer[]) : [] };
  });
}

/** Of what is in JSON, the texts: others may have written anything. */
function metadataOf(json: Buffer): Record<string, string> {
  try {
    const value: unknown = JSON.parse(json.toString());
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}

const EMPTY = Buffer.alloc(0);
