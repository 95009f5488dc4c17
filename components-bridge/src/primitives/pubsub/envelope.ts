import { isUtf8 } from 'node:buffer';
import { randomBytes, randomUUID } from 'node:crypto';

import { reasonOf } from '../errors.js';
import type { OutgoingMessage } from './broker.js';
import { bare, BYTES, CLOUD_EVENT, isJsonForm, JSON_TYPE, TEXT } from './content-types.js';
import { EnvelopeError } from './envelope-error.js';
import { membersOf } from './json-members.js';
import { expiryOf, isRaw, property } from './metadata.js';

export { EnvelopeError } from './envelope-error.js';
export { opened } from './opened.js';
export type { Delivered, OpenedEvent } from './opened.js';

/** What an app publishes. */
export interface Publication {
  readonly pubsub: string;
  readonly topic: string;
  readonly data: Uint8Array;
  /** As the app gave it; empty if it gave none. */
  readonly dataContentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Through whose API it came: they differ in the envelope. */
  readonly dialect: 'layotto' | 'dapr';
  readonly appId: string;
  /** The caller's W3C trace context; empty if there is none. */
  readonly traceparent: string;
}

/** What Layotto and Dapr say where an app that sends a CloudEvent leaves it to them. */
const DEFAULT_SOURCE = 'Dapr';
const DEFAULT_TYPE = 'com.dapr.event.sent';

/**
 * What goes to the broker: a CloudEvent in JSON around the app's data, with the attributes that Layotto and Dapr give
 * it; the data as they are if the metadata says `rawPayload`. JSON stays as the app wrote it, and data that are no
 * UTF-8 go as `data_base64`, whatever their type.
 *
 * @param now milliseconds since the epoch
 * @throws EnvelopeError
 */
export function envelop(publication: Publication, now = Date.now()): OutgoingMessage {
  const { data, metadata, dataContentType } = publication;
  const expiresAt = expiryOf(metadata, now);
  const expires = expiresAt === undefined ? {} : { expiresAt };
  if (isRaw(metadata)) return { data, contentType: dataContentType || BYTES, metadata, ...expires };
  const members =
    bare(dataContentType) === CLOUD_EVENT ? ownEvent(publication, now) : attributes(publication, now);
  const expiry = expiresAt ?? timeOf(members.get('expiration'));
  // As Dapr: what the caller says wins over what the event does.
  if (expiresAt !== undefined) members.set('expiration', JSON.stringify(new Date(expiresAt).toISOString()));
  return {
    data: written(members),
    contentType: CLOUD_EVENT,
    metadata,
    ...(expiry === undefined ? {} : { expiresAt: expiry }),
  };
}

/** Attributes by name, each in JSON. */
type Members = Map<string, string | Uint8Array>;

function attributes(publication: Publication, now: number): Members {
  const { topic, pubsub, dialect } = publication;
  const dapr = dialect === 'dapr';
  const type = publication.dataContentType || TEXT;
  const members: Members = new Map();
  const add = (name: string, value: string): unknown => members.set(name, JSON.stringify(value));
  const given = (name: string): string =>
    dapr ? (property(publication.metadata, `cloudevent.${name}`) ?? '') : '';

  add('id', given('id') || randomUUID());
  add('specversion', '1.0');
  add('datacontenttype', type);
  add('source', given('source') || (dapr ? publication.appId || DEFAULT_SOURCE : 'runtime'));
  add('type', given('type') || (dapr ? DEFAULT_TYPE : 'com.runtime.event.sent'));
  const subject = given('subject');
  if (subject !== '') add('subject', subject);
  add('topic', topic);
  add('pubsubname', pubsub);
  const traceparent = given('traceparent') || traceOf(publication);
  add('traceid', given('traceid') || traceparent);
  if (dapr) {
    add('traceparent', traceparent);
    add('tracestate', given('tracestate'));
    add('time', new Date(now).toISOString());
  } else if (traceparent !== '') add('traceparent', traceparent);
  addData(members, publication.data, type);
  return members;
}

/** Dapr begins a trace for an event that is in none; it is not recorded. */
function traceOf({ traceparent, dialect }: Publication): string {
  if (traceparent !== '' || dialect === 'layotto') return traceparent;
  const ids = randomBytes(24).toString('hex');
  return `00-${ids.slice(0, 32)}-${ids.slice(32)}-00`;
}

function addData(members: Members, data: Uint8Array, contentType: string): void {
  const type = bare(contentType);
  if (type === BYTES || !isUtf8(data)) {
    members.set('data_base64', JSON.stringify(Buffer.from(data).toString('base64')));
    return;
  }
  const text = Buffer.from(data).toString();
  const value = type === JSON_TYPE || isJsonForm(type) ? parsed(text) : undefined;
  // Other forms of JSON are texts in Dapr; a text can be told from an object, but not from a JSON text.
  const asItIs = type === JSON_TYPE ? value !== undefined : typeof value === 'object' && value !== null;
  members.set('data', asItIs ? data : JSON.stringify(text));
}

/** An event that the app has put into its envelope itself: what it left out is filled in. */
function ownEvent(publication: Publication, now: number): Members {
  const text = isUtf8(publication.data) ? Buffer.from(publication.data).toString() : '';
  const value = parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new EnvelopeError('event', `${CLOUD_EVENT} is a JSON object, and this is none${whyNot(text)}`);
  }
  const members: Members = new Map();
  for (const { name, value: written } of membersOf(text)) {
    if (written !== 'null') members.set(name, written);
    else members.delete(name);
  }
  const { topic, pubsub, dialect } = publication;
  const fill = (name: string, text: string): void => {
    const own = members.get(name);
    if (own === undefined || own === '""') members.set(name, JSON.stringify(text));
    else if (own[0] !== '"') throw new EnvelopeError('event', `the CloudEvent's ${name} is no text`);
  };
  fill('id', randomUUID());
  fill('specversion', '1.0');
  fill('source', DEFAULT_SOURCE);
  fill('type', DEFAULT_TYPE);
  members.set('topic', JSON.stringify(topic));
  members.set('pubsubname', JSON.stringify(pubsub));
  const traceparent = traceOf(publication);
  if (dialect === 'dapr') {
    fill('time', new Date(now).toISOString());
    fill('traceid', traceparent);
    fill('traceparent', traceparent);
    fill('tracestate', '');
  } else {
    members.set('traceid', JSON.stringify(traceparent));
    if (traceparent !== '') members.set('traceparent', JSON.stringify(traceparent));
  }
  return members;
}

function written(members: Members): Uint8Array {
  const parts: Uint8Array[] = [];
  let text = '{';
  for (const [name, value] of members) {
    text += `${text === '{' && parts.length === 0 ? '' : ','}${JSON.stringify(name)}:`;
    if (typeof value === 'string') text += value;
    else {
      parts.push(Buffer.from(text), value);
      text = '';
    }
  }
  parts.push(Buffer.from(`${text}}`));
  return Buffer.concat(parts);
}

function timeOf(json: string | Uint8Array | undefined): number | undefined {
  const value = typeof json === 'string' ? parsed(json) : undefined;
  const time = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** undefined if it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function whyNot(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return `: ${reasonOf(error)}`;
  }
}
