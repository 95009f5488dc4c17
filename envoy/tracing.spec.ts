import { sampleCatalog } from '../test/support/sample-catalog.js';
import { renderBootstrap } from './bootstrap.js';
import { SAMPLE_CONFIG } from './samples.js';
import { tracingParts } from './tracing.js';

const config = { ...SAMPLE_CONFIG, tracing: { otlp: 'http://collector.example:4318', sampling: 0.25 } };

/** What is written into `traceparent`, and the headers that are looked at for that. */
function written(version?: string): { value: string; conditions: string } {
  const text = JSON.stringify(tracingParts(config, version)?.filter);
  const value = /"key":"traceparent","value":"([^"]+)"/.exec(text)?.[1] ?? '';
  const conditions = [...text.matchAll(/"header_name":"([^"]+)"/g)].map(([, name]) => name).join();
  return { value, conditions };
}

describe('tracing', () => {
  it('adds nothing where it is off', () => {
    expect(tracingParts(SAMPLE_CONFIG, '1.40.0')).toBeUndefined();
    const options = { version: '1', hold: false, apiTokens: [], catalog: sampleCatalog, moduleFile: '/m' };
    // With the routes in it.
    const { bootstrap } = renderBootstrap(SAMPLE_CONFIG, { ...options, delivery: 'inline' });
    expect(JSON.stringify(bootstrap)).not.toMatch(/trac|traceparent|decorator|early_header/i);
  });

  it.each(['1.38.0', '1.40.1', '2.0.0'])("puts the bridge's span below Envoy's own on %s", (version) => {
    expect(written(version)).toEqual({
      value: '00-%TRACE_ID%-%SPAN_ID%-01',
      conditions: 'traceparent,x-request-id,traceparent',
    });
  });

  it.each([undefined, '1.36.4', '1.37.0', 'what?'])('keeps a caller’s parent on %s', (version) => {
    expect(written(version)).toEqual({
      value: '00-%TRACE_ID%-ffffffffffffffff-01',
      conditions: 'x-request-id,traceparent',
    });
  });

  it('samples as configured, and sends to the collector', () => {
    expect(tracingParts(config)?.manager).toMatchObject({
      generate_request_id: true,
      tracing: {
        random_sampling: { value: 25 },
        provider: {
          typed_config: {
            service_name: 'shop',
            http_service: { http_uri: { uri: 'http://collector.example:4318/v1/traces' } },
          },
        },
      },
    });
  });

  it.each([
    ['http://collector.example:4318', 'STRICT_DNS', 'collector.example', 4318],
    ['http://10.0.0.1:80/base', 'STATIC', '10.0.0.1', 80],
    ['http://[::1]:4318', 'STATIC', '::1', 4318],
  ])('reaches %s', (otlp, type, address, port) => {
    const cluster = tracingParts({ ...config, tracing: { otlp, sampling: 1 } })?.cluster;
    expect(cluster).toMatchObject({ type });
    expect(cluster).toHaveProperty(
      'load_assignment.endpoints.0.lb_endpoints.0.endpoint.address.socket_address',
      { address, port_value: port },
    );
  });
});
