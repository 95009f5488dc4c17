import type { IHeaders, KafkaMessage, Message } from 'kafkajs';

import type { IncomingMessage, OutgoingMessage } from '../../primitives/pubsub/broker.js';

/** Header of the content's type, as the CloudEvents binding for Kafka has it. */
const CONTENT_TYPE = 'content-type';
/** Metadata of a publisher that becomes the key. */
const KEYS = ['partitionKey', '__key'] as const;
/** Metadata of a publisher that names the partition. */
const PARTITION_NUMBER = 'partitionNumber';

/** A message as a record, in Dapr's form: the event is the value, and the publisher's metadata are the headers. */
export function recordOf({ data, contentType, metadata }: OutgoingMessage): Message {
  const key = KEYS.map((name) => metadata[name]).find((value) => value !== undefined && value !== '');
  return {
    key: key === undefined ? null : Buffer.from(key),
    value: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    headers: { ...metadata, [CONTENT_TYPE]: contentType },
  };
}

/** The partition that the publisher named. */
export function partitionNumberOf({ headers = {} }: Message): number | undefined {
  const value = headers[PARTITION_NUMBER];
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}

/** What a record says of its place, as Dapr tells it to the app. */
export interface RecordPlace {
  topic: string;
  partition: number;
  escapeHeaders: boolean;
}

export function messageOf(
  { key, value, headers = {}, offset, timestamp }: KafkaMessage,
  { topic, partition, escapeHeaders }: RecordPlace,
  attempt: number,
): IncomingMessage {
  const metadata = headersOf(headers, escapeHeaders);
  const contentType = textOf(headers[CONTENT_TYPE]);
  return {
    id: `${partition}:${offset}`,
    data: value ?? new Uint8Array(),
    ...(contentType && { contentType }),
    metadata: {
      ...metadata,
      ...(key !== null && { __key: key.toString() }),
      __topic: topic,
      __partition: String(partition),
      __offset: offset,
      __timestamp: timestamp,
    },
    attempt,
  };
}

function headersOf(headers: IHeaders, escape: boolean): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const text = textOf(value);
    if (text !== undefined && name !== CONTENT_TYPE)
      metadata[name] = escape ? encodeURIComponent(text) : text;
  }
  return metadata;
}

/** Of several headers with one name the last one counts. */
function textOf(value: IHeaders[string]): string | undefined {
  return (Array.isArray(value) ? value.at(-1) : value)?.toString();
}
