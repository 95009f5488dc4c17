import { EMBEDDED, Runtime } from '../support/runtime.js';
import { http1 } from '../support/http1.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { eventually } from '../support/wait.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';

describe('metrics at Envoy', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await Runtime.start({ components: [EMBEDDED], concurrency: 2 });
  });
  afterAll(() => runtime?.stop());

  /** The sample of this name and these labels in Envoy's Prometheus text, or undefined. */
  async function sample(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
    const { body } = await runtime.admin('/stats/prometheus');
    const inner = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const line = body.split('\n').find((text) => text.startsWith(`${name}{${inner.join(',')}} `));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
  }

  const get = { primitive: 'state', operation: 'GetState', component: 'statestore', door: 'layotto_grpc' };

  test('count calls with labels, whichever worker served them', async () => {
    for (let i = 0; i < 10; i++) {
      const client = await runtime.connect();
      await client.send({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody('k', 'v')] });
      const { grpcStatus } = await client.send({
        path: `${LAYOTTO}/GetState`,
        body: [getStateBody('k')],
      });
      expect(grpcStatus).toBe(0);
    }
    await eventually('ten reads counted', async () => {
      return (await sample('layotto_operations_total', { ...get, code: 'OK' })) === 10;
    });
    expect(await sample('layotto_operations_total', { ...get, operation: 'SaveState', code: 'OK' })).toBe(10);
  });

  test('show durations as a histogram', async () => {
    await eventually('the histogram is merged', async () => {
      return (await sample('layotto_operation_duration_us_count', get)) === 10;
    });
    expect(await sample('layotto_operation_duration_us_bucket', { ...get, le: '15000000' })).toBe(10);
    expect(await sample('layotto_operation_duration_us_sum', get)).toBeGreaterThan(100);
    const { body } = await runtime.admin('/stats/prometheus');
    expect(body).toContain('# TYPE layotto_operation_duration_us histogram');
  });

  test('show links, and nothing in flight when nothing is', async () => {
    await eventually('all links are counted', async () => {
      return (await sample('layotto_session_links', { link: 'small' })) === 3;
    });
    expect(await sample('layotto_session_links', { link: 'large' })).toBe(3);
    expect(await sample('layotto_operations_in_flight')).toBe(0);
    expect(await sample('layotto_bytes_held')).toBe(0);
    expect(await sample('layotto_limit_refusals_total', { limit: 'bytes' })).toBe(0);
  });

  test('count what nobody serves under fixed names', async () => {
    await http1(runtime.target, 'GET', '/v1.0/state/made-up-name/k');
    await http1(runtime.target, 'GET', '/made-up-path');
    const unknown = { primitive: 'unknown', operation: 'unknown', component: 'none', door: 'dapr_http' };
    await eventually('both are counted', async () => {
      return (await sample('layotto_operations_total', { ...unknown, code: '404' })) === 1;
    });
    const store = { ...get, component: 'unknown', door: 'dapr_http', code: '400' };
    expect(await sample('layotto_operations_total', store)).toBe(1);
    expect((await runtime.admin('/stats/prometheus')).body).not.toContain('made-up');
  });

  test('come with a server-timing of each HTTP answer', async () => {
    const answer = await http1(runtime.target, 'GET', '/v1.0/state/statestore/k');
    expect(answer.headers['server-timing']).toMatch(/^filter;dur=\d+\.\d{3}/);
  });
});
