import { binaryHeaders } from './binary-mode.js';
import { opened } from './envelope.js';

const place = { topic: 'orders', pubsubName: 'pubsub' };

function headers(event: Record<string, unknown>): Record<string, string> {
  const data = Buffer.from(JSON.stringify({ specversion: '1.0', ...event }));
  return binaryHeaders(opened({ pubsub: 'pubsub', topic: 'orders', id: '7', data }), place);
}

test('attributes are headers, escaped as the HTTP binding says', () => {
  const event = { id: 'a', source: '/s', type: 't', subject: 'Euro € "100 %"', data: 1, n: 5, yes: true };
  expect(headers({ ...event, datacontenttype: 'application/json' })).toEqual({
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': 'a',
    'ce-source': '/s',
    'ce-type': 't',
    'ce-topic': 'orders',
    'ce-pubsubname': 'pubsub',
    'ce-subject': 'Euro%20%E2%82%AC%20%22100%20%25%22',
    'ce-n': '5',
    'ce-yes': 'true',
  });
});

test('what can be no header is left out, and so is what is too long or too much', () => {
  const long = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x${i}`, 'x'.repeat(4000)]));
  const found = headers({ id: 'a', 'no-name': 'x', big: 'x'.repeat(5000), datacontenttype: 'a\nb', ...long });
  expect(found).not.toHaveProperty('ce-no-name');
  expect(found).not.toHaveProperty('ce-big');
  expect(found).not.toHaveProperty('content-type');
  expect(JSON.stringify(found).length).toBeLessThan(36 * 1024);
  expect(Object.keys(found).filter((name) => name.startsWith('ce-x'))).toHaveLength(8);
});
