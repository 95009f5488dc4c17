import { CloudEvent, HTTP } from 'cloudevents';

import { envelop, EnvelopeError } from './envelope.js';
import type { Publication } from './envelope.js';

const NOW = Date.parse('2026-03-04T05:06:07.008Z');
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const NO_UTF8 = Buffer.from([0x00, 0xff, 0xfe, 0x80]);

interface Given {
  dialect?: Publication['dialect'];
  type?: string;
  metadata?: Record<string, string>;
  traceparent?: string;
  appId?: string;
}

function publication(data: string | Uint8Array, given: Given = {}): Publication {
  return {
    pubsub: 'events',
    topic: 'orders/new',
    data: Buffer.from(data),
    dataContentType: given.type ?? '',
    metadata: given.metadata ?? {},
    dialect: given.dialect ?? 'dapr',
    appId: given.appId ?? 'shop',
    traceparent: given.traceparent ?? '',
  };
}

function sent(
  data: string | Uint8Array,
  given: Given = {},
): { text: string; event: Record<string, unknown> } {
  const message = envelop(publication(data, given), NOW);
  expect(message.contentType).toBe('application/cloudevents+json');
  const text = Buffer.from(message.data).toString();
  const event = JSON.parse(text) as Record<string, unknown>;
  // The oracle: it throws for what is no CloudEvent 1.0.
  expect(new CloudEvent(event as never).validate()).toBe(true);
  const read = HTTP.toEvent({ headers: { 'content-type': message.contentType }, body: text });
  expect(read).toMatchObject({ id: event.id, type: event.type, source: event.source, specversion: '1.0' });
  return { text, event };
}

const matching = (form: RegExp): unknown => expect.stringMatching(form);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('envelope', () => {
  it("is Layotto's for Layotto", () => {
    const { event } = sent('hello', { dialect: 'layotto' });
    expect(event).toEqual({
      id: matching(UUID),
      specversion: '1.0',
      datacontenttype: 'text/plain',
      source: 'runtime',
      type: 'com.runtime.event.sent',
      topic: 'orders/new',
      pubsubname: 'events',
      traceid: '',
      data: 'hello',
    });
  });

  it("carries the caller's place in a trace", () => {
    expect(sent('x', { dialect: 'layotto', traceparent: TRACE }).event).toMatchObject({
      traceid: TRACE,
      traceparent: TRACE,
    });
    expect(sent('x', { traceparent: TRACE }).event).toMatchObject({ traceid: TRACE, traceparent: TRACE });
  });

  it("is Dapr's for Dapr, in a trace that it begins", () => {
    const { event } = sent('hello');
    expect(event).toEqual({
      id: matching(UUID),
      specversion: '1.0',
      datacontenttype: 'text/plain',
      source: 'shop',
      type: 'com.dapr.event.sent',
      topic: 'orders/new',
      pubsubname: 'events',
      traceid: matching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/),
      traceparent: event.traceid,
      tracestate: '',
      time: '2026-03-04T05:06:07.008Z',
      data: 'hello',
    });
    expect(sent('hello', { appId: '' }).event.source).toBe('Dapr');
    expect(sent('hello').event.id).not.toBe(event.id);
  });

  it.each(['layotto', 'dapr'] as const)('keeps JSON as it was written (%s)', (dialect) => {
    const json = '\n{ "big": 9007199254740993.10, "<": "\\u003c", "b": [1e400, {}] }\t';
    for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'application/vnd.a+json']) {
      const { text, event } = sent(json, { dialect, type });
      expect(text.endsWith(`,"data":${json}}`)).toBe(true);
      expect(event.datacontenttype).toBe(type);
    }
  });

  it('keeps what is no JSON as text, and forms of JSON that are one value', () => {
    expect(sent('{"a":', { type: 'application/json' }).event.data).toBe('{"a":');
    expect(sent('', { type: 'application/json' }).event.data).toBe('');
    expect(sent('12', { type: 'application/json' }).event.data).toBe(12);
    expect(sent('"12"', { type: 'application/vnd.a+json' }).event.data).toBe('"12"');
    expect(sent('null', { type: 'application/json' }).event.data).toBeNull();
  });

  it('has bytes in base64: those of octet-stream, and what is no UTF-8 whatever its type', () => {
    const octets = sent('hello', { type: 'application/octet-stream' }).event;
    expect(octets).toMatchObject({ data_base64: 'aGVsbG8=', datacontenttype: 'application/octet-stream' });
    expect(octets).not.toHaveProperty('data');
    for (const type of ['text/plain', 'application/json', 'application/x-protobuf']) {
      const { event } = sent(NO_UTF8, { type });
      expect(event).toMatchObject({ data_base64: NO_UTF8.toString('base64'), datacontenttype: type });
      expect(event).not.toHaveProperty('data');
    }
    expect(sent('<a/>', { type: 'application/xml' }).event.data).toBe('<a/>');
    expect(sent('a\0"\\\u2028é', { type: 'text/plain' }).event.data).toBe('a\0"\\\u2028é');
  });

  it("takes Dapr's own attributes from the metadata", () => {
    const metadata = {
      'cloudevent.id': 'id-1',
      'CloudEvent.Source': '/shop/1',
      'cloudevent.type': 'order.placed',
      'cloudevent.subject': 'order 7',
      'cloudevent.traceid': 'trace-1',
      'cloudevent.traceparent': TRACE,
      'cloudevent.tracestate': 'a=b',
    };
    expect(sent('x', { metadata }).event).toMatchObject({
      id: 'id-1',
      source: '/shop/1',
      type: 'order.placed',
      subject: 'order 7',
      traceid: 'trace-1',
      traceparent: TRACE,
      tracestate: 'a=b',
    });
    expect(sent('x', { metadata, dialect: 'layotto' }).event).toMatchObject({
      source: 'runtime',
      traceid: '',
    });
  });

  it('expires', () => {
    const metadata = { ttlInSeconds: '90' };
    for (const dialect of ['layotto', 'dapr'] as const) {
      expect(sent('x', { metadata, dialect }).event.expiration).toBe('2026-03-04T05:07:37.008Z');
    }
    expect(envelop(publication('x', { metadata }), NOW).expiresAt).toBe(NOW + 90_000);
    const far = envelop(publication('x', { metadata: { TTLINSECONDS: '9'.repeat(400) } }), NOW);
    expect(Buffer.from(far.data).toString()).toContain('"expiration":"9999-12-31T23:59:59.999Z"');
  });

  it('refuses metadata that says nothing', () => {
    for (const text of ['0', '-1', '1.5', 'soon', ' 1']) {
      expect(() => envelop(publication('x', { metadata: { ttlInSeconds: text } }))).toThrow(
        `ttlInSeconds value must be a whole number of seconds higher than zero: actual is '${text}'`,
      );
    }
    expect(() => envelop(publication('x', { metadata: { rawPayload: 'yes' } }))).toThrow(
      "rawPayload value must be a valid boolean: actual is 'yes'",
    );
  });

  it('is left out for raw payloads', () => {
    const raw = envelop(publication(NO_UTF8, { metadata: { rawPayload: 'true', ttlInSeconds: '1' } }), NOW);
    expect(raw).toEqual({
      data: NO_UTF8,
      contentType: 'application/octet-stream',
      metadata: { rawPayload: 'true', ttlInSeconds: '1' },
      expiresAt: NOW + 1000,
    });
    const typed = publication('{}', { type: 'application/json', metadata: { rawpayload: 'T' } });
    expect(envelop(typed).contentType).toBe('application/json');
    expect(sent('x', { metadata: { rawPayload: 'false' } }).event.data).toBe('x');
  });
});

describe("envelope of the app's own", () => {
  const own = (event: string, given: Given = {}): ReturnType<typeof sent> =>
    sent(event, { type: 'application/cloudevents+json; charset=utf-8', ...given });

  it('passes as it is, but for topic and pub/sub', () => {
    const { text } = own(
      `{ "specversion" : "1.0", "id":"1","source":"/s","type":"t", "topic":"other", "time":"2026-01-01T00:00:00Z",
         "traceid":"a","traceparent":"${TRACE}","tracestate":"b=c","data": {"n": 12345678901234567890} , "ext":7 }`,
    );
    expect(text).toBe(
      '{"specversion":"1.0","id":"1","source":"/s","type":"t","topic":"orders/new","time":"2026-01-01T00:00:00Z",' +
        `"traceid":"a","traceparent":"${TRACE}","tracestate":"b=c","data":{"n": 12345678901234567890},"ext":7,` +
        '"pubsubname":"events"}',
    );
  });

  it('is filled up', () => {
    expect(own('{"data":1,"id":null,"type":""}').event).toEqual({
      data: 1,
      id: matching(UUID),
      specversion: '1.0',
      source: 'Dapr',
      type: 'com.dapr.event.sent',
      topic: 'orders/new',
      pubsubname: 'events',
      time: '2026-03-04T05:06:07.008Z',
      traceid: matching(/^00-/),
      traceparent: matching(/^00-/),
      tracestate: '',
    });
    const layotto = own('{"data":1,"traceid":"mine"}', { dialect: 'layotto' }).event;
    expect(layotto).toEqual({
      data: 1,
      id: matching(UUID),
      specversion: '1.0',
      source: 'Dapr',
      type: 'com.dapr.event.sent',
      topic: 'orders/new',
      pubsubname: 'events',
      traceid: '',
    });
  });

  it('expires when it says, or when the metadata do', () => {
    const event = '{"expiration":"2026-03-04T06:00:00Z"}';
    const type = 'application/cloudevents+json';
    expect(envelop(publication(event, { type }), NOW).expiresAt).toBe(Date.parse('2026-03-04T06:00:00Z'));
    const metadata = { ttlInSeconds: '1' };
    expect(own(event, { metadata }).event.expiration).toBe('2026-03-04T05:06:08.008Z');
    expect(envelop(publication('{"expiration":"soon"}', { type }), NOW).expiresAt).toBeUndefined();
  });

  it.each([
    ['{', /is a JSON object, and this is none: .*JSON/],
    ['[]', 'is a JSON object, and this is none'],
    ['null', 'is a JSON object, and this is none'],
    ['', 'is a JSON object, and this is none'],
    [NO_UTF8, 'is a JSON object, and this is none'],
    ['{"id":7}', "the CloudEvent's id is no text"],
    ['{"source":{}}', "the CloudEvent's source is no text"],
  ])('is refused if it is none: %s', (event, message) => {
    const given = publication(event, { type: 'application/cloudevents+json' });
    expect(() => envelop(given)).toThrow(message);
    expect(() => envelop(given)).toThrow(EnvelopeError);
  });
});
