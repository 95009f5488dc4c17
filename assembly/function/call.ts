// A call, as the function that answers it sees it.

import { Code } from '../dialects/codes';
import { requestWriter } from '../dialects/exchange';
import { LogLevel } from '../host/enums';
import { HeaderList } from '../host/headers';
import { log } from '../host/log';
import { Status } from '../host/status';
import { ByteWriter } from '../wire/bytes';
import { GetConfigurationRequest } from '../wire/gen/layotto/bridge/v1/configuration';
import { PublishEventRequest } from '../wire/gen/layotto/bridge/v1/pubsub';
import {
  DeleteStateRequest,
  Etag,
  GetStateRequest,
  SaveStateRequest,
  StateItem,
} from '../wire/gen/layotto/bridge/v1/state';
import { unescapeQuery } from '../wire/percent';
import {
  literal,
  View,
  viewEquals,
  viewIndexOf,
  viewLen,
  viewOf,
  viewSlice,
  viewToString,
} from '../wire/view';
import {
  ConfigurationAsk,
  DELETE_STATE,
  DeleteAsk,
  GET_CONFIGURATION,
  GET_STATE,
  PUBLISH_EVENT,
  PublishAsk,
  SAVE_STATE,
  SaveAsk,
  StateAsk,
} from './bridge-asks';
import { CalloutAsk } from './callout';
import { CallStream } from './call-stream';
import { copied } from './results';
import { FunctionRoot } from './root';

const FUNCTIONS_CLUSTER = literal('layotto_functions');
const RUNTIME_CLUSTER = literal('layotto_self');
const ID = literal('id');
const METHOD = literal(':method');
const PATH = literal(':path');
const AUTHORITY = literal(':authority');
const LOCALHOST = literal('localhost');
const CONTENT_TYPE = literal('content-type');
const TEXT = literal('text/plain; charset=utf-8');
const PASSED_ON: StaticArray<View> = [
  literal('traceparent'),
  literal('tracestate'),
  literal('dapr-api-token'),
];
/** By which the event's source is the app; see the pub/sub primitive. */
const DAPR_ENVELOPE: i32 = 1;
const AMPERSAND: u8 = 0x26;
const EQUALS: u8 = 0x3d;

/** Longest line that a function logs, in characters. */
const LONGEST_LINE: i32 = 2048;

/**
 * One call of a function. Everything that it asks for goes by the runtime's policy, limits and metrics, and waits no
 * longer than the call's deadline. All texts are UTF-8 on the wire.
 */
export class Call extends CallStream {
  constructor(id: u32, site: FunctionRoot) {
    super(id, site);
  }

  // The request

  /** `GET`, `POST` and so on. */
  get method(): string {
    return viewToString(this.exchange.method);
  }

  /** The path without its query. */
  get path(): string {
    return viewToString(this.exchange.path);
  }

  /** A parameter of the query, unescaped; empty if there is none of this name. */
  query(name: string): string {
    const wanted = String.UTF8.encode(name);
    const query = this.exchange.query;
    const length = viewLen(query);
    for (let at = 0; at < length;) {
      let end = viewIndexOf(query, AMPERSAND, at);
      if (end < 0) end = length;
      const pair = viewSlice(query, at, end);
      at = end + 1;
      const equals = viewIndexOf(pair, EQUALS, 0);
      const key = equals < 0 ? pair : viewSlice(pair, 0, equals);
      if (!viewEquals(key, viewOf(wanted))) continue;
      const value = new ByteWriter();
      const fine = equals < 0 || unescapeQuery(viewSlice(pair, equals + 1, viewLen(pair)), value);
      const text = fine ? viewToString(value.view()) : '';
      value.free();
      return text;
    }
    return '';
  }

  /** A header's first value; empty if it has none. @param name in lower case */
  header(name: string): string {
    const wanted = String.UTF8.encode(name);
    return viewToString(this.exchange.headers.get(viewOf(wanted)));
  }

  /** The body as text; what is not UTF-8 becomes U+FFFD. */
  get body(): string {
    return viewToString(this.exchange.body);
  }

  /** A copy of the body. */
  get bytes(): ArrayBuffer {
    return copied(this.exchange.body);
  }

  // The answer

  /** Adds a header to the answer. @param name in lower case */
  setHeader(name: string, value: string): void {
    const n = this.exchange.writer();
    n.text(name);
    const v = this.exchange.writer();
    v.text(value);
    this.exchange.reply.headers.add(n.view(), v.view());
  }

  /** Answers with a text. Only the first answer of a call counts. */
  answer(status: i32, text: string, contentType: string = 'text/plain; charset=utf-8'): void {
    this.answerBytes(status, String.UTF8.encode(text), contentType);
  }

  /** Answers with bytes. */
  answerWith(status: i32, body: ArrayBuffer, contentType: string): void {
    this.answerBytes(status, body, contentType);
  }

  /** Writes a line to Envoy's log. */
  log(text: string): void {
    log(LogLevel.Warn, 'function ' + this.site.name + ': ' + text.substring(0, LONGEST_LINE));
  }

  // What it may ask for

  /** Reads a key; the answer comes to `onState`. @param store name of a state component */
  getState(store: string, key: string): void {
    const site = this.site;
    const s = String.UTF8.encode(store);
    const k = String.UTF8.encode(key);
    const request = new GetStateRequest();
    request.storeName = viewOf(s);
    request.key = viewOf(k);
    const w = requestWriter(site.configuration.messageBytes);
    request.encode(w);
    this.askBridge(new StateAsk(this, site.getState, key), viewOf(s), 0, GET_STATE, w, true);
  }

  /**
   * Saves a text under a key; `onSaved` is told.
   *
   * @param etag the version that must be there still; empty: whatever is there
   */
  saveState(store: string, key: string, value: string, etag: string = ''): void {
    this.saveStateBytes(store, key, String.UTF8.encode(value), etag);
  }

  /** As `saveState`, for bytes. */
  saveStateBytes(store: string, key: string, value: ArrayBuffer, etag: string = ''): void {
    const site = this.site;
    const s = String.UTF8.encode(store);
    const k = String.UTF8.encode(key);
    const e = String.UTF8.encode(etag);
    const item = new StateItem();
    item.key = viewOf(k);
    item.value = viewOf(value);
    if (etag.length > 0) item.etag = etagOf(e);
    const request = new SaveStateRequest();
    request.storeName = viewOf(s);
    request.states.push(item);
    const w = requestWriter(site.configuration.messageBytes);
    request.encode(w);
    this.askBridge(new SaveAsk(this, site.saveState, key), viewOf(s), 0, SAVE_STATE, w, false);
  }

  /** Deletes a key; `onDeleted` is told, whether or not it was there. @param etag as for `saveState` */
  deleteState(store: string, key: string, etag: string = ''): void {
    const site = this.site;
    const s = String.UTF8.encode(store);
    const k = String.UTF8.encode(key);
    const e = String.UTF8.encode(etag);
    const request = new DeleteStateRequest();
    request.storeName = viewOf(s);
    request.key = viewOf(k);
    if (etag.length > 0) request.etag = etagOf(e);
    const w = requestWriter(site.configuration.messageBytes);
    request.encode(w);
    this.askBridge(new DeleteAsk(this, site.deleteState, key), viewOf(s), 0, DELETE_STATE, w, false);
  }

  /** Reads keys of the app's configuration; the answer comes to `onConfiguration`. @param store a configuration component */
  getConfiguration(store: string, keys: Array<string>, group: string = '', label: string = ''): void {
    const site = this.site;
    const s = String.UTF8.encode(store);
    const g = String.UTF8.encode(group);
    const l = String.UTF8.encode(label);
    const kept: Array<ArrayBuffer> = [];
    const request = new GetConfigurationRequest();
    request.storeName = viewOf(s);
    request.appId = site.configuration.appId;
    request.group = viewOf(g);
    request.label = viewOf(l);
    for (let i = 0; i < keys.length; i++) {
      kept.push(String.UTF8.encode(keys[i]));
      request.keys.push(viewOf(kept[i]));
    }
    const w = requestWriter(site.configuration.messageBytes);
    request.encode(w);
    const ask = new ConfigurationAsk(this, site.getConfiguration, store);
    this.askBridge(ask, viewOf(s), 0, GET_CONFIGURATION, w, true);
  }

  /** Publishes an event whose source is the app; `onPublished` is told. @param pubsub name of a pub/sub component */
  publish(pubsub: string, topic: string, data: string, contentType: string = 'text/plain'): void {
    const site = this.site;
    const p = String.UTF8.encode(pubsub);
    const t = String.UTF8.encode(topic);
    const d = String.UTF8.encode(data);
    const c = String.UTF8.encode(contentType);
    const request = new PublishEventRequest();
    request.pubsubName = viewOf(p);
    request.topic = viewOf(t);
    request.data = viewOf(d);
    request.dataContentType = viewOf(c);
    request.envelope = DAPR_ENVELOPE;
    const w = requestWriter(site.configuration.messageBytes);
    request.encode(w);
    const ask = new PublishAsk(this, site.publishEvent, topic);
    this.askBridge(ask, viewOf(p), viewOf(t), PUBLISH_EVENT, w, false);
  }

  /**
   * Calls another function; its answer comes to `onAnswer`.
   *
   * @param id by which it was pushed
   * @param target path and query, for example `/?name=book1`; `encodeURIComponent` makes a value fit for it
   * @param body without one it is a GET, with one a POST
   */
  callFunction(id: string, target: string = '/', body: string = ''): void {
    const i = String.UTF8.encode(id);
    const headers = new HeaderList();
    headers.add(ID, viewOf(i));
    const ask = new CalloutAsk(this, this.site.callFunction, id);
    this.callOut(
      ask,
      FUNCTIONS_CLUSTER,
      viewOf(i),
      body.length > 0 ? 'POST' : 'GET',
      target,
      body,
      TEXT,
      headers,
    );
  }

  /** Calls a method of an app, by the runtime's service invocation; the answer comes to `onAnswer`. @param app its id */
  invoke(
    app: string,
    verb: string,
    target: string,
    body: string = '',
    contentType: string = 'text/plain',
  ): void {
    const slash = target.startsWith('/') ? '' : '/';
    this.runtime(
      app,
      verb,
      '/v1.0/invoke/' + encodeURIComponent(app) + '/method' + slash + target,
      body,
      contentType,
    );
  }

  /**
   * Calls any other of the runtime's HTTP APIs; the answer comes to `onAnswer`.
   *
   * @param name what the answer is to say that it is `from`
   * @param target for example `/v1.0/secrets/store/key`
   */
  runtime(
    name: string,
    verb: string,
    target: string,
    body: string = '',
    contentType: string = 'application/json',
  ): void {
    const c = String.UTF8.encode(contentType);
    const n = String.UTF8.encode(name);
    const ask = new CalloutAsk(this, this.site.askRuntime, name);
    this.callOut(ask, RUNTIME_CLUSTER, viewOf(n), verb, target, body, viewOf(c), new HeaderList());
  }

  private callOut(
    ask: CalloutAsk,
    cluster: View,
    name: View,
    verb: string,
    target: string,
    body: string,
    contentType: View,
    headers: HeaderList,
  ): void {
    ask.component = this.noComponent;
    if (!this.mayAsk(ask, name, 0)) return;
    const path = target.startsWith('/') ? target : '/' + target;
    if (!isVisible(path) || !isVisible(verb) || !isVisible(ask.subject) || verb.length == 0)
      return ask.refuse(Code.INVALID_ARGUMENT, 'escape what it is called with by encodeURIComponent');
    const p = String.UTF8.encode(path);
    const v = String.UTF8.encode(verb);
    const b = String.UTF8.encode(body);
    headers.add(METHOD, viewOf(v));
    headers.add(PATH, viewOf(p));
    headers.add(AUTHORITY, LOCALHOST);
    if (b.byteLength > 0) headers.add(CONTENT_TYPE, contentType);
    for (let i = 0; i < PASSED_ON.length; i++) {
      const value = this.exchange.headers.get(PASSED_ON[i]);
      if (value != 0) headers.add(PASSED_ON[i], value);
    }
    const callout = this.site.callout();
    if (callout.send(cluster, headers, viewOf(b), this.left) != Status.Ok) {
      this.site.spare(callout);
      return ask.refuse(Code.UNAVAILABLE, 'Envoy did not take the call: there is no such listener');
    }
    callout.for(ask);
    this.waitFor(ask);
  }
}

function etagOf(value: ArrayBuffer): Etag {
  const etag = new Etag();
  etag.value = viewOf(value);
  return etag;
}

/** Whether a text is visible ASCII, as a request's line must be. */
function isVisible(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return true;
}
