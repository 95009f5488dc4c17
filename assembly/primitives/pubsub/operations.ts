// Publishing: the operations at the bridge, what the doors check before one is
// sent, and what an answer says beside its message.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Code } from '../../dialects/codes';
import { clip, Exchange } from '../../dialects/exchange';
import { ByteWriter } from '../../wire/bytes';
import { PublishedEntry } from '../../wire/gen/layotto/bridge/v1/pubsub';
import { literal, View, viewByte, viewLen, viewStartsWith } from '../../wire/view';

export const PUBLISH_EVENT = bridgeMethod('layotto.bridge.v1.PubSub/PublishEvent');
export const BULK_PUBLISH_EVENT = bridgeMethod('layotto.bridge.v1.PubSub/BulkPublishEvent');
export const PUBLISH_DELAY_MESSAGE = bridgeMethod('layotto.bridge.v1.PubSub/PublishDelayMessage');

/** The proto's Envelope: whose CloudEvents envelope goes around an event. */
export const ENVELOPE_DAPR: i32 = 1;

/** In the metadata of a request: the caller's `tracestate`, which becomes the event's. */
export const EVENT_TRACESTATE = literal('cloudevent.tracestate');
export const TRACESTATE = literal('tracestate');

const PUBSUB = literal('pubsub');
const MESSAGE_ID = literal('layotto-message-id');
const MESSAGE_PERSISTED = literal('layotto-message-persisted');
const TRUE = literal('true');
const FALSE = literal('false');

/** The ids of a bulk call are told if they are no longer than this together: callers take headers of 8 KiB, and more. */
const LONGEST_IDS: i32 = 4096;

/** What the bridge's words begin with for requests that would be refused however often they came. */
export const NO_EVENT = literal('cannot create cloudevent');
export const BAD_METADATA = literal('failed deserializing metadata');
export const BAD_ENTRIES = literal('error when unmarshaling the request');

/** Why a call is refused before it reaches the bridge. */
export enum Refusal {
  None,
  NoName,
  NoTopic,
  NotFound,
  /** The message cannot be decoded. */
  Malformed,
}

/** The first thing that is wrong with a call, in the order of both APIs. */
export function check(exchange: Exchange, name: View, topic: View): Refusal {
  if (viewLen(name) == 0) return Refusal.NoName;
  if (viewLen(topic) == 0) return Refusal.NoTopic;
  exchange.asksFor(topic);
  return exchange.findComponent(PUBSUB, name) === null ? Refusal.NotFound : Refusal.None;
}

/** Where a call publishes to, in copies that outlive its request, for error texts. */
export class Target {
  name: View = 0;
  topic: View = 0;

  note(exchange: Exchange, name: View, topic: View): void {
    this.name = exchange.keep(clip(name));
    this.topic = exchange.keep(clip(topic));
  }

  /** What a failure is told as. What the bridge refuses of the request itself, it tells by itself. */
  failure(exchange: Exchange, code: i32, message: View): View {
    const w = exchange.writer();
    if (code != Code.INVALID_ARGUMENT && code != Code.PERMISSION_DENIED) {
      w.text('error when publish to topic ');
      w.raw(this.topic);
      w.text(' in pubsub ');
      w.raw(this.name);
      w.text(': ');
    }
    w.raw(clip(message));
    return w.view();
  }
}

/** Tells the broker's name for a message, and whether a crash can lose it: a header, and a trailer over gRPC. */
export function addPublished(exchange: Exchange, id: View, persisted: bool): void {
  const ids = exchange.writer();
  if (addId(ids, id)) add(exchange, MESSAGE_ID, ids.view());
  add(exchange, MESSAGE_PERSISTED, persisted ? TRUE : FALSE);
}

/** The same of a bulk call: the ids of what was published, in order; persisted, if all of them are. */
export function addAllPublished(exchange: Exchange, entries: Array<PublishedEntry>): void {
  if (entries.length == 0) return;
  const ids = exchange.writer();
  let persisted = true;
  let known = true;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i];
    if (!entry.persisted) persisted = false;
    if (known) known = addId(ids, entry.messageId);
  }
  if (known) add(exchange, MESSAGE_ID, ids.view());
  add(exchange, MESSAGE_PERSISTED, persisted ? TRUE : FALSE);
}

function addId(ids: ByteWriter, id: View): bool {
  const comma = ids.length > 0 ? 1 : 0;
  if (!fitsInList(id) || ids.length + comma + viewLen(id) > LONGEST_IDS) return false;
  if (comma > 0) ids.text(',');
  ids.raw(id);
  return true;
}

function add(exchange: Exchange, name: View, value: View): void {
  exchange.reply.headers.add(name, value);
  exchange.reply.trailers.add(name, value);
}

/** Visible ASCII without the comma, which stands between ids. */
function fitsInList(text: View): bool {
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const c = viewByte(text, i);
    if (c <= 0x20 || c >= 0x7f || c == 0x2c) return false;
  }
  return viewLen(text) > 0;
}

/** Whether the bridge has refused a request with these words. */
export function refusedWith(code: i32, message: View, words: View): bool {
  return code == Code.INVALID_ARGUMENT && viewStartsWith(message, words);
}
