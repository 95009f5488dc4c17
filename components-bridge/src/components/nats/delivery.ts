import type { Msg, MsgHdrs } from '@nats-io/transport-node';

import type { IncomingMessage } from '../../primitives/pubsub/broker.js';

/** Header with the type of a message's content. */
export const CONTENT_TYPE = 'Content-Type';

/** A message that JetStream delivered, and where it is acknowledged; undefined if it is none. */
export function deliveryOf({
  subject,
  reply,
  data,
  headers,
}: Msg): { message: IncomingMessage; reply: string } | undefined {
  const place = reply === undefined ? undefined : placeOf(reply);
  if (reply === undefined || place === undefined) return undefined;
  const { stream, attempt, sequence } = place;
  const contentType = headers?.get(CONTENT_TYPE);
  const message: IncomingMessage = {
    id: `${stream}:${sequence}`,
    data,
    ...(contentType && { contentType }),
    metadata: { ...ownHeaders(headers), Topic: subject, stream, sequence },
    attempt,
  };
  return { message, reply };
}

/**
 * What the subject of acknowledgements says: `$JS.ACK.stream.consumer.deliveries.sequence.…` with nine parts, or, from
 * servers since 2.14 or by a domain, `$JS.ACK.domain.account.stream.consumer.deliveries.sequence.…` with more.
 */
function placeOf(reply: string): { stream: string; attempt: number; sequence: string } | undefined {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const [stream = '', , deliveries, sequence = ''] = tokens.slice(tokens.length < 11 ? 2 : 4);
  return { stream, attempt: Number(deliveries), sequence };
}

/** Headers that a publisher set. */
function ownHeaders(headers: MsgHdrs | undefined): Record<string, string> {
  const own: Record<string, string> = {};
  for (const name of headers?.keys() ?? []) {
    if (!/^nats-/i.test(name) && name !== CONTENT_TYPE) own[name] = headers?.get(name) ?? '';
  }
  return own;
}
