import type { OpenedEvent } from './envelope.js';
import type { Subscription } from './subscription.js';

/** Longest value, and of all of them together, in characters: far below what Envoy takes of headers. */
const LONGEST_VALUE = 4 * 1024;
const LONGEST_SUM = 32 * 1024;

/** Names that the specification allows for attributes, as long as it recommends and then some. */
const NAME = /^[a-z0-9]{1,50}$/;

/**
 * The headers of an event whose data are the body: the binary content mode of CloudEvents' HTTP binding (1.0.2, 3.1).
 * Extensions that are too long, or too many, are left out.
 */
export function binaryHeaders(
  event: OpenedEvent,
  { topic, pubsubName }: Pick<Subscription, 'topic' | 'pubsubName'>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (/^[\x20-\x7e]{1,256}$/.test(event.dataContentType)) headers['content-type'] = event.dataContentType;
  let left = LONGEST_SUM;
  const add = (name: string, value: string): void => {
    const written = escaped(value);
    if (written.length > Math.min(LONGEST_VALUE, left)) return;
    left -= written.length + name.length;
    headers[`ce-${name}`] = written;
  };
  add('specversion', event.specVersion);
  add('id', event.id);
  add('source', event.source);
  add('type', event.type);
  add('topic', topic);
  add('pubsubname', pubsubName);
  for (const [name, value] of event.extensions) if (NAME.test(name)) add(name, String(value));
  return headers;
}

/** Spaces, quotes, percent signs and what is not ASCII are percent-encoded as UTF-8 (3.1.3.2). */
function escaped(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]+/gu, (text) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
