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

it.each(['envoyfilter', 'trafficextension', 'trafficextension-stable', 'wasmplugin'] as const)(
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

it('deliveries to the app are served wherever a listener can be added', () => {
  const pubsub = { ...plain.components[0]!, primitive: 'pubsub' };
  const config = { ...plain, components: [pubsub] };
  expect(deliveryGaps(config, 'envoyfilter')).toEqual([]);
  const named = (form: (typeof DELIVERIES)[number], of = config): string[] =>
    deliveryGaps(of, form).map(formatGap);
  const events = expect.stringMatching(
    /^events to the app, .*: differs: no stable API adds a listener/,
  ) as string;
  expect(named('trafficextension')).not.toContainEqual(events);
  expect(named('wasmplugin')).not.toContainEqual(events);
  expect(named('trafficextension-stable')).toContainEqual(events);
  const app = { ...plain.app, port: 0 };
  expect(named('trafficextension-stable', { ...config, app })).not.toContainEqual(events);
  const configuration = { ...pubsub, primitive: 'configuration' };
  const told = { ...config, components: [configuration] };
  expect(named('trafficextension-stable', told)).toContainEqual(events);
  const grpc = { ...told, app: { ...told.app, protocol: 'grpc' as const } };
  expect(named('trafficextension-stable', grpc)).not.toContainEqual(events);
});

it('says what is served otherwise', () => {
  const lines = deliveryGaps(SAMPLE_CONFIG, 'trafficextension-stable').map(formatGap);
  expect(lines).toContainEqual(expect.stringMatching(/^Dapr HTTP and JSON over HTTP\/1.1: differs: .*413/));
  expect(deliveryGaps(SAMPLE_CONFIG, 'trafficextension').map(formatGap).join()).not.toContain('413');
  expect(deliveryGaps(plain, 'trafficextension').map(({ door }) => door)).toEqual([
    'Dapr HTTP',
    'streams to localhost',
    'deadlines',
  ]);
  expect(DELIVERIES).toHaveLength(5);
});

it('listeners of the configuration are served where any can be added', () => {
  const there = { host: '127.0.0.1', port: 2045 };
  const outbound = [{ name: 'orders', listen: there, to: { host: 'orders.example', port: 80 } }];
  const config = { ...plain, outbound, functions: { listen: there, slots: 1 } };
  expect(deliveryGaps(config, 'envoyfilter')).toEqual([]);
  for (const form of ['trafficextension', 'wasmplugin'] as const) {
    const lines = deliveryGaps(config, form).map(formatGap);
    expect(lines).toContainEqual(expect.stringMatching(/^the outbound listener orders: not served: only/));
    expect(lines).toContainEqual(expect.stringMatching(/^functions on 127.0.0.1:2045: not served: only/));
  }
});
