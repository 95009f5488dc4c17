import { envelop } from './envelope.js';
import { opened } from './opened.js';
import type { Delivered, OpenedEvent } from './opened.js';

const NO_UTF8 = Buffer.from([0x00, 0xff, 0xfe, 0x80]);
const from = { pubsub: 'events', topic: 'orders', id: 'broker-1' };

function open(data: string | Uint8Array, more: Partial<Delivered> = {}): OpenedEvent {
  return opened({ ...from, data: Buffer.from(data), ...more });
}

/** The data as a subscriber gets them after they went through an envelope. */
function roundTrip(
  data: string | Uint8Array,
  dataContentType: string,
  dialect: 'layotto' | 'dapr',
): OpenedEvent {
  const publication = { ...from, data: Buffer.from(data), dataContentType, metadata: {}, dialect };
  return opened({ ...from, data: envelop({ ...publication, appId: 'shop', traceparent: '' }).data });
}

describe('opened', () => {
  it.each(['layotto', 'dapr'] as const)(
    'gives back what was published, whatever its type (%s)',
    (dialect) => {
      for (const [data, type] of [
        ['héllo "\0', 'text/plain'],
        ['<a/>', 'application/xml'],
        ['{ "n": 12345678901234567890 }', 'application/json'],
        ['null', 'application/json'],
        ['"text"', 'application/json; charset=utf-8'],
        ['[1, 2.0]', 'application/vnd.order+json'],
        ['"1"', 'application/vnd.order+json'],
        ['a=b', 'application/x-www-form-urlencoded'],
        ['', 'text/plain'],
        ['', 'application/octet-stream'],
        [NO_UTF8, 'application/octet-stream'],
        [NO_UTF8, 'application/x-protobuf'],
        [NO_UTF8, 'text/plain'],
        [NO_UTF8, 'application/json'],
      ] as const) {
        const event = roundTrip(data, type, dialect);
        expect(Buffer.from(event.data)).toEqual(Buffer.from(data));
        expect(event).toMatchObject({ dataContentType: type, specVersion: '1.0', wrapped: false });
      }
    },
  );

  it('reads attributes, and the rest as extensions', () => {
    const text = JSON.stringify({
      id: '1',
      source: '/s',
      type: 't',
      specversion: '1.0',
      topic: 'x',
      pubsubname: 'y',
      datacontenttype: 'text/plain',
      data: 'hello',
      time: '2026-01-01T00:00:00Z',
      subject: 'me',
      expiration: '2026-01-01T00:01:00Z',
      traceparent: 'tp',
      tracestate: 'ts',
      n: 7,
      yes: true,
      nothing: null,
      object: { a: 1 },
      __proto: 1,
    }).replace('__proto', '__proto__');
    const event = open(text);
    expect(event).toEqual({
      id: '1',
      source: '/s',
      type: 't',
      specVersion: '1.0',
      dataContentType: 'text/plain',
      data: Buffer.from('hello'),
      expiresAt: Date.parse('2026-01-01T00:01:00Z'),
      traceparent: 'tp',
      tracestate: 'ts',
      envelope: Buffer.from(text),
      wrapped: false,
      extensions: new Map<string, unknown>([
        ['time', '2026-01-01T00:00:00Z'],
        ['subject', 'me'],
        ['expiration', '2026-01-01T00:01:00Z'],
        ['traceparent', 'tp'],
        ['tracestate', 'ts'],
        ['n', 7],
        ['yes', true],
        ['__proto__', 1],
      ]),
    });
  });

  it('has the last of data given twice, as it is written', () => {
    const event = open('{"data":{"data":0},"specversion":"1.0","x":"}\\\\\\"{","data" : [ 1.0 , "]" ] \n}');
    expect(Buffer.from(event.data).toString()).toBe('[ 1.0 , "]" ]');
    expect(event).toMatchObject({ id: 'broker-1', dataContentType: 'application/json' });
  });

  it('has no data where there are none', () => {
    expect(open('{"specversion":"1.0"}').data).toHaveLength(0);
    expect(open('{"specversion":"1.0","datacontenttype":"text/plain","data":null}').data).toHaveLength(0);
  });

  it.each([
    ['text', 'hello'],
    ['JSON without the version', '{"id":"1","data":2}'],
    ['a version that is no text', '{"specversion":1}'],
    ['an array', '[{"specversion":"1.0"}]'],
    ['half an event', '{"specversion":"1.0","data":'],
    ['nothing', ''],
    ['bytes', NO_UTF8],
  ])('wraps what is no event: %s', (_, data) => {
    const event = open(data);
    expect(event).toMatchObject({
      id: 'broker-1',
      source: 'Dapr',
      type: 'com.dapr.event.sent',
      specVersion: '1.0',
      dataContentType: 'application/octet-stream',
      wrapped: true,
    });
    expect(Buffer.from(event.data)).toEqual(Buffer.from(data));
    expect(JSON.parse(Buffer.from(event.envelope).toString())).toEqual({
      id: 'broker-1',
      specversion: '1.0',
      datacontenttype: 'application/octet-stream',
      source: 'Dapr',
      type: 'com.dapr.event.sent',
      topic: 'orders',
      pubsubname: 'events',
      data_base64: Buffer.from(data).toString('base64'),
    });
  });

  it('keeps the type that the broker knows, unless raw payloads are asked for', () => {
    expect(open('a', { contentType: 'text/csv' }).dataContentType).toBe('text/csv');
    const raw = open('{"specversion":"1.0","id":"1"}', { contentType: 'text/csv', raw: true });
    expect(raw).toMatchObject({ id: 'broker-1', dataContentType: 'application/octet-stream', wrapped: true });
  });

  it('takes any bytes', () => {
    const valid = Buffer.from('{"specversion":"1.0","id":"1","data":{"a":["\\"}",1e5]},"data_base64":"!!"}');
    for (let at = 0; at < valid.length; at++) {
      for (const byte of [0x00, 0x22, 0x2c, 0x5c, 0x7b, 0x7d, 0xff]) {
        const bytes = Buffer.from(valid);
        bytes[at] = byte;
        expect(typeof opened({ ...from, data: bytes }).id).toBe('string');
      }
      expect(typeof opened({ ...from, data: valid.subarray(0, at) }).id).toBe('string');
    }
    const deep = `{"specversion":"1.0","data":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    expect(open(deep).data).toHaveLength(400_000);
    const long = `{"specversion":"1.0","a":"${'\\\\'.repeat(1_000_000)}","data":{}}`;
    expect(Buffer.from(open(long).data).toString()).toBe('{}');
  });
});
