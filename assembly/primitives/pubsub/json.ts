// Publishing behind the JSON door. The bridge writes the answer; what the other
// doors say in headers is read out of it, for headers here too.

import { AnswerReader } from '../../dialects/json-operation';
import { Exchange } from '../../dialects/exchange';
import { Router } from '../../dialects/router';
import { JsonKind, JsonReader } from '../../wire/json';
import { PublishedEntry } from '../../wire/gen/layotto/bridge/v1/pubsub';
import { literal, View, viewEquals } from '../../wire/view';
import { addAllPublished, addPublished } from './operations';

const MESSAGE_ID = literal('messageId');
const PERSISTED = literal('persisted');
const PUBLISHED_ENTRIES = literal('publishedEntries');
const BULK: string = 'BulkPublishEvent';

class PublishedReader extends AnswerReader {
  read(exchange: Exchange, answer: View): void {
    const reader = new JsonReader();
    reader.reset(answer);
    if (exchange.route!.operation == BULK) addAllPublished(exchange, readEntries(reader));
    else {
      const one = readEntry(reader);
      if (reader.ok) addPublished(exchange, one.messageId, one.persisted);
    }
    reader.reset(0);
  }
}

/** A message with an id, and whether it is persisted, which is left out of JSON if it is not. */
function readEntry(reader: JsonReader): PublishedEntry {
  const entry = new PublishedEntry();
  if (!reader.enterObject()) return entry;
  while (reader.nextKey()) {
    if (viewEquals(reader.key, MESSAGE_ID)) entry.messageId = reader.string();
    else if (viewEquals(reader.key, PERSISTED)) entry.persisted = reader.boolean();
    else reader.skip();
  }
  return entry;
}

function readEntries(reader: JsonReader): Array<PublishedEntry> {
  const entries: Array<PublishedEntry> = [];
  if (!reader.enterObject()) return entries;
  while (reader.nextKey()) {
    if (!viewEquals(reader.key, PUBLISHED_ENTRIES) || reader.peek() != JsonKind.ARRAY) reader.skip();
    else {
      reader.enterArray();
      while (reader.nextItem()) entries.push(readEntry(reader));
    }
  }
  return reader.ok ? entries : [];
}

/** Answers of the JSON door say in headers what the broker made of an event. */
export function installJsonPubSub(router: Router): void {
  router.readJsonAnswers('pubsub', new PublishedReader());
}
