// The body of a bulk publish over Dapr's HTTP API: a list of entries whose
// events are JSON, or texts of another type.

import { Exchange } from '../../dialects/exchange';
import { JsonBody } from '../../dialects/json-body';
import { decodeBase64 } from '../../wire/base64';
import { ByteWriter } from '../../wire/bytes';
import { JsonKind, JsonReader } from '../../wire/json';
import { BulkEntry } from '../../wire/gen/layotto/bridge/v1/pubsub';
import {
  asciiLower,
  literal,
  View,
  viewByte,
  viewEqualsIgnoreCase,
  viewIndexOf,
  viewLen,
  viewSlice,
  viewToString,
} from '../../wire/view';

const ENTRY_ID = literal('entryId');
const EVENT = literal('event');
const CONTENT_TYPE = literal('contentType');
const METADATA = literal('metadata');
const APPLICATION_JSON = literal('application/json');
const TEXT_PLAIN = literal('text/plain');
const OCTET_STREAM = literal('application/octet-stream');
const JSON_FORM = '+json';
const SEMICOLON: u8 = 0x3b;

/** Longest content type that is repeated in an error. */
const QUOTED: i32 = 100;

export class BulkBody extends JsonBody {
  private readonly bytes: ByteWriter = new ByteWriter();
  private readonly value: JsonReader = new JsonReader();

  constructor(private readonly call: Exchange) {
    super(call, 'BulkPublishMessageEntry');
  }

  readEntries(into: Array<BulkEntry>): void {
    if (this.array('', '[]http.BulkPublishMessageEntry')) {
      while (this.nextItem()) into.push(this.entry());
    } else if (this.reader.ok && this.wrongType.length == 0) {
      this.wrongType = 'the request body must be an array of entries';
    }
    this.bytes.free();
    this.value.reset(0);
  }

  private entry(): BulkEntry {
    const entry = new BulkEntry();
    let event: View = 0;
    if (this.object('', 'http.BulkPublishMessageEntry')) {
      while (this.reader.nextKey()) {
        if (this.at(ENTRY_ID)) entry.entryId = this.text('BulkPublishMessageEntry.entryId');
        else if (this.at(EVENT)) event = this.reader.raw();
        else if (this.at(CONTENT_TYPE)) entry.contentType = this.text('BulkPublishMessageEntry.contentType');
        else if (this.at(METADATA)) this.metadata(entry.metadata);
        else this.reader.skip();
      }
    }
    if (this.reader.ok) this.readEvent(entry, event);
    return entry;
  }

  /** JSON as it is written, octets out of their base64, everything else out of a text. */
  private readEvent(entry: BulkEntry, event: View): void {
    const value = this.value;
    value.reset(event);
    const isText = value.peek() == JsonKind.STRING;
    if (viewLen(entry.contentType) == 0) entry.contentType = isText ? TEXT_PLAIN : APPLICATION_JSON;
    if (isJson(entry.contentType)) {
      entry.event = event;
      return;
    }
    if (viewLen(event) == 0) return;
    const text = isText ? value.string() : 0;
    const octets = hasType(entry.contentType, OCTET_STREAM);
    this.bytes.reset();
    if (isText && (!octets || decodeBase64(text, this.bytes))) {
      entry.event = this.call.keep(octets ? this.bytes.view() : text);
      return;
    }
    if (this.wrongType.length > 0) return;
    const type = entry.contentType;
    const shown = viewToString(viewSlice(type, 0, min(viewLen(type), QUOTED)));
    this.wrongType = 'an event of the type ' + shown + ' must be a ' + (octets ? 'base64 ' : '') + 'string';
  }
}

/** The type without its parameters. */
function bare(type: View): View {
  const end = viewIndexOf(type, SEMICOLON);
  return end < 0 ? type : viewSlice(type, 0, end);
}

function hasType(type: View, wanted: View): bool {
  return viewEqualsIgnoreCase(bare(type), wanted);
}

/** `application/json`, and whatever else is JSON, such as `application/cloudevents+json`. */
function isJson(type: View): bool {
  if (hasType(type, APPLICATION_JSON)) return true;
  const name = bare(type);
  const start = viewLen(name) - JSON_FORM.length;
  if (start <= 0) return false;
  for (let i = 0; i < JSON_FORM.length; i++) {
    if (<i32>asciiLower(viewByte(name, start + i)) != JSON_FORM.charCodeAt(i)) return false;
  }
  return true;
}
