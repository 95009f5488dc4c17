import { isUtf8 } from 'node:buffer';

import { bare, BYTES, isJsonForm, JSON_TYPE } from './content-types.js';
import { membersOf } from './json-members.js';

/** A message as it came from a broker, and what is known of it beside its bytes. */
export interface Delivered {
  readonly pubsub: string;
  readonly topic: string;
  /** The broker's name for it: the event's own if it has none. */
  readonly id: string;
  readonly data: Uint8Array;
  /** Of `data`, if the broker keeps it. */
  readonly contentType?: string | undefined;
  /** The subscriber wants whatever comes wrapped (metadata `rawPayload`), even if it is a CloudEvent. */
  readonly raw?: boolean;
}

/** An event that a subscriber is told. */
export interface OpenedEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly specVersion: string;
  readonly dataContentType: string;
  readonly data: Uint8Array;
  /** Every other attribute but topic and pub/sub, `time` and `subject` included. Arrays and objects are none. */
  readonly extensions: ReadonlyMap<string, string | number | boolean>;
  /** Milliseconds since the epoch after which nobody wants it any more. */
  readonly expiresAt?: number;
  /** Where the publisher stood in a trace; empty if that is not known. */
  readonly traceparent: string;
  readonly tracestate: string;
  /** The whole event as a CloudEvent in JSON: as it came, or put around what came. */
  readonly envelope: Uint8Array;
  /** What came was no CloudEvent, or is not wanted as one. */
  readonly wrapped: boolean;
}

const NO_BYTES = new Uint8Array(0);

/** Attributes that have a place of their own in what subscribers are told. */
const PLACED = new Set([
  'id',
  'source',
  'type',
  'specversion',
  'datacontenttype',
  'data',
  'data_base64',
  'topic',
  'pubsubname',
]);

/**
 * Reads what a broker delivers. Never throws: whatever is no CloudEvent in JSON is put into one, as Dapr does for
 * subscribers of raw payloads.
 */
export function opened(delivered: Delivered): OpenedEvent {
  const { data } = delivered;
  const text =
    delivered.raw !== true && data[0] !== undefined && isUtf8(data) ? Buffer.from(data).toString() : '';
  const event = text === '' ? undefined : eventIn(text);
  return event === undefined ? wrapped(delivered) : read(event, text, delivered);
}

type Attributes = Record<string, unknown>;

/** The CloudEvent in a text; undefined if it is none. */
function eventIn(text: string): Attributes | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return typeof (value as Attributes).specversion === 'string' ? (value as Attributes) : undefined;
  } catch {
    return undefined;
  }
}

function read(event: Attributes, text: string, { id, data }: Delivered): OpenedEvent {
  const attribute = (name: string): string => textOf(event, name);
  const expiresAt = Date.parse(attribute('expiration'));
  return {
    id: attribute('id') || id,
    source: attribute('source'),
    type: attribute('type'),
    specVersion: attribute('specversion'),
    ...dataOf(event, text),
    extensions: extensionsOf(event),
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
    traceparent: attribute('traceparent'),
    tracestate: attribute('tracestate'),
    envelope: data,
    wrapped: false,
  };
}

function dataOf(event: Attributes, text: string): Pick<OpenedEvent, 'dataContentType' | 'data'> {
  const base64 = textOf(event, 'data_base64');
  const given = textOf(event, 'datacontenttype');
  if (base64 !== '') return { dataContentType: given || BYTES, data: Buffer.from(base64, 'base64') };
  // What CloudEvents say an event in JSON has if it does not say.
  const dataContentType = given || JSON_TYPE;
  if (!Object.hasOwn(event, 'data')) return { dataContentType, data: NO_BYTES };
  const type = bare(dataContentType);
  const value = event.data;
  if (typeof value === 'string' && type !== JSON_TYPE) return { dataContentType, data: Buffer.from(value) };
  if (value === null && type !== JSON_TYPE && !isJsonForm(type)) return { dataContentType, data: NO_BYTES };
  const written = membersOf(text).findLast(({ name }) => name === 'data')?.value ?? '';
  return { dataContentType, data: Buffer.from(written) };
}

function extensionsOf(event: Attributes): ReadonlyMap<string, string | number | boolean> {
  const extensions = new Map<string, string | number | boolean>();
  for (const [name, value] of Object.entries(event)) {
    if (PLACED.has(name)) continue;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      extensions.set(name, value);
    }
  }
  return extensions;
}

function wrapped({ pubsub, topic, id, data, contentType, raw }: Delivered): OpenedEvent {
  const dataContentType = raw === true ? BYTES : (contentType ?? BYTES);
  const envelope = {
    id,
    specversion: '1.0',
    datacontenttype: dataContentType,
    source: 'Dapr',
    type: 'com.dapr.event.sent',
    topic,
    pubsubname: pubsub,
    data_base64: Buffer.from(data).toString('base64'),
  };
  return {
    id,
    source: envelope.source,
    type: envelope.type,
    specVersion: envelope.specversion,
    dataContentType,
    data,
    extensions: new Map(),
    traceparent: '',
    tracestate: '',
    envelope: Buffer.from(JSON.stringify(envelope)),
    wrapped: true,
  };
}

function textOf(event: Attributes, name: string): string {
  const value = Object.hasOwn(event, name) ? event[name] : undefined;
  return typeof value === 'string' ? value : '';
}
