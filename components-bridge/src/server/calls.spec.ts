import { pino } from 'pino';

import { Code, OperationError } from '../primitives/errors.js';
import type { Span, SpanExporter } from '../telemetry/otlp.js';
import { Secrets } from '../telemetry/secrets.js';
import { CallWatch } from './calls.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SAMPLED = `00-${TRACE_ID}-b7ad6b7169203331-01`;
const GET = 'layotto.bridge.v1.State/GetState';

describe('CallWatch', () => {
  let logged: Record<string, unknown>[];
  let spans: Span[];
  let watch: CallWatch;

  beforeEach(() => {
    logged = [];
    spans = [];
    const secrets = new Secrets();
    secrets.add('hunter2');
    watch = new CallWatch({
      log: pino({ level: 'debug' }, { write: (line) => void logged.push(JSON.parse(line) as never) }),
      secrets,
      spans: { add: (span: Span) => void spans.push(span) } as SpanExporter,
    });
  });

  it('logs a failure with the trace it belongs to', () => {
    const call = watch.begin(GET, `00-${TRACE_ID}-b7ad6b7169203331-00`, 100);
    const failure = watch.failed(call, new OperationError(Code.ABORTED, 'no match'), 102.5);
    expect(failure).toEqual({ code: Code.ABORTED, message: 'no match' });
    expect(logged).toMatchObject([
      { level: 20, trace_id: TRACE_ID, method: GET, code: 'ABORTED', reason: 'no match', ms: 2.5 },
    ]);
  });

  it('logs without a trace what came without one', () => {
    watch.failed(watch.begin(GET, 'nonsense', 0), new OperationError(Code.NOT_FOUND, 'no'), 1);
    expect(logged[0]).not.toHaveProperty('trace_id');
  });

  it('warns of what is not the caller’s doing, at a bounded rate', () => {
    const fail = (now: number): unknown =>
      watch.failed(watch.begin(GET, '', now), new OperationError(Code.INTERNAL, 'broken'), now);
    for (let i = 0; i < 100; i++) fail(5_000 + i);
    expect(logged.filter(({ level }) => level === 40)).toHaveLength(20);
    expect(logged.filter(({ level }) => level === 20)).toHaveLength(80);
    fail(6_000);
    expect(logged.at(-1)).toMatchObject({ level: 40 });
  });

  it('logs a bug as an error, and tells no secret of it', () => {
    const failure = watch.failed(watch.begin(GET, SAMPLED, 0), new TypeError('x of hunter2'), 1);
    expect(failure).toEqual({ code: Code.INTERNAL, message: 'x of [redacted]' });
    expect(logged).toMatchObject([{ level: 50, trace_id: TRACE_ID, code: 'INTERNAL' }]);
  });

  it('cuts a message that is too long for a header', () => {
    const error = new OperationError(Code.INTERNAL, 'x'.repeat(10_000));
    expect(watch.failed(watch.begin(GET, '', 0), error, 1).message).toHaveLength(2_048);
  });

  it('makes a span of what a call asked, if its trace is recorded', () => {
    const call = watch.begin(GET, SAMPLED, 0);
    call.asked = {
      component: 'orders',
      type: 'state.redis',
      operation: 'get',
      place: { system: 'redis', address: 'r.example', port: 6380 },
      times: 3,
      from: 10,
      to: 20,
      failure: Code.UNAVAILABLE,
    };
    watch.ended(call);
    expect(spans).toEqual([
      {
        trace: { traceId: TRACE_ID, parentId: 'b7ad6b7169203331', sampled: true },
        name: 'state.get orders',
        from: 10,
        to: 20,
        attributes: {
          'layotto.component': 'orders',
          'layotto.component.type': 'state.redis',
          'rpc.method': GET,
          'db.operation.name': 'get',
          'db.operation.batch.size': 3,
          'db.system.name': 'redis',
          'server.address': 'r.example',
          'server.port': 6380,
          'error.type': 'UNAVAILABLE',
        },
        error: 'UNAVAILABLE',
      },
    ]);
  });

  it.each([
    ['no trace', ''],
    ['a trace that is not recorded', `00-${TRACE_ID}-b7ad6b7169203331-00`],
    ['something that is no trace', 'nonsense'],
  ])('has none to record for %s', (_, traceparent) => {
    expect(watch.begin(GET, traceparent, 0).trace).toBeUndefined();
  });

  it('makes no span for a call that asked nothing', () => {
    watch.ended(watch.begin(GET, SAMPLED, 0));
    expect(spans).toEqual([]);
  });

  it('records nothing where spans go nowhere', () => {
    const quiet = new CallWatch({ log: pino({ enabled: false }) });
    expect(quiet.begin(GET, SAMPLED, 0).trace).toBeUndefined();
  });
});
