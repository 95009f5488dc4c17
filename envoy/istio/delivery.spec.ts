import { SAMPLE_CONFIG } from '../samples.js';
import { DELIVERIES, deliveryGaps, formatGap } from './delivery.js';

const plain = {
  ...SAMPLE_CONFIG,
  listen: { host: '127.0.0.1', port: 34904, hosts: [] },
  limits: { ...SAMPLE_CONFIG.limits, messageBytes: 1024 * 1024 },
};

it('a standalone Envoy serves everything, and an EnvoyFilter whatever is on loopback', () => {
  expect(deliveryGaps(SAMPLE_CONFIG, 'static')).toEqual([]);
  expect(deliveryGaps(plain, 'envoyfilter')).toEqual([]);
});

it.each(['envoyfilter', 'trafficextension', 'wasmplugin'] as const)(
  '%s names what it cannot serve',
  (form) => {
    const listen = { ...SAMPLE_CONFIG.listen, host: '10.0.0.1' };
    const tracing = { otlp: 'http://127.0.0.1:4318', sampling: 1 };
    const gaps = deliveryGaps({ ...SAMPLE_CONFIG, listen, tracing }, form);
    const missing = gaps.filter((gap) => gap.missing).map(({ door }) => door);
    expect(missing).toEqual([
      'every door on /var/lib/layotto/app.sock',
      'every door on 10.0.0.1',
      ...(form === 'envoyfilter' ? [] : ['actuator on 0.0.0.0:34999', 'spans of tracing.otlp']),
    ]);
  },
);

it('names what is for a standalone Envoy only', () => {
  const listen = { ...plain.listen, proxy: { host: '127.0.0.1', port: 3128 } };
  const callees = { inventory: { to: [{ host: '127.0.0.1', port: 8081 }] } };
  const gaps = deliveryGaps({ ...plain, listen, callees }, 'envoyfilter');
  expect(gaps.map(({ door }) => door)).toEqual([
    'the proxy for plain calls on 127.0.0.1:3128',
    'plain calls to the callee inventory',
  ]);
});

it('names deliveries to the app, where there are any', () => {
  const subscription = {
    name: 's',
    pubsubName: 'p',
    topic: 't',
    form: 'native',
    rules: [],
    metadata: {},
  } as const;
  const subscriptions = [{ ...subscription, rules: [], origin: { file: '', line: 0 } }];
  const gaps = deliveryGaps({ ...plain, subscriptions }, 'envoyfilter');
  expect(gaps.map(formatGap)).toEqual([
    expect.stringMatching(/^events to the app, .*: differs: a bridge in the app's pod calls the app itself/),
  ]);
  const app = { ...plain.app, port: 0 };
  expect(deliveryGaps({ ...plain, app, subscriptions }, 'envoyfilter')).toEqual([]);
});

it('says what is served otherwise', () => {
  const lines = deliveryGaps(SAMPLE_CONFIG, 'trafficextension').map(formatGap);
  expect(lines).toContainEqual(expect.stringMatching(/^Dapr HTTP and JSON over HTTP\/1.1: differs: .*413/));
  expect(deliveryGaps(plain, 'trafficextension').map(({ door }) => door)).toEqual([
    'Dapr HTTP',
    'streams to localhost',
    'deadlines',
  ]);
  expect(DELIVERIES).toHaveLength(4);
});
