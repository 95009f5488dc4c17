import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';

import {
  GetLogLevelsResponseSchema,
  SetLogLevelRequestSchema,
  SetLogLevelResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/actuator_pb.js';
import {
  ComponentHealth_Status as Status,
  PushSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import { fromBinary } from '@bufbuild/protobuf';
import { createHash } from 'node:crypto';

import { Kind } from '../support/frames.js';
import { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const READINESS = '/actuator/health/readiness';
const LIVENESS = '/actuator/health/liveness';
const STARTED = { status: 'UP', details: { reason: '' } };
const AWAY = { reason: 'the components bridge is not connected' };

type Health = NonNullable<MessageInitShape<typeof PushSchema>['health']>;

function push(filter: Filter, components: Health['components'] & {}): void {
  const payload = toBinary(PushSchema, create(PushSchema, { health: { components } }));
  filter.bridge.send(filter.bridge.session(false), { kind: Kind.PUSH, payload });
}

const store = (status: Status, reason = '') => ({ primitive: 'state', name: 'statestore', status, reason });

function json(stream: HttpStream): unknown {
  expect(stream.answer?.headers.get('content-type')).toBe('application/json');
  return JSON.parse(stream.answer?.body.toString() ?? '');
}

/** What readiness answers. */
function readiness(filter: Filter): { code: number | undefined; body: unknown } {
  const stream = filter.http('GET', READINESS);
  return { code: stream.answer?.status, body: json(stream) };
}

describe('readiness', () => {
  test('follows the session and what the bridge says of components', async () => {
    const filter = await Filter.configured();
    const starting = { reason: 'starting' };
    expect(readiness(filter)).toEqual({
      code: 503,
      body: {
        components: {
          runtime_startup: { status: 'INIT', details: starting },
          bridge: { status: 'INIT', details: starting },
          'state-statestore': { status: 'UNKNOWN', details: AWAY },
        },
        status: 'INIT',
      },
    });
    filter.connect();
    expect(readiness(filter)).toMatchObject({ code: 503, body: { status: 'INIT' } });
    push(filter, [store(Status.CONNECTING)]);
    expect(readiness(filter)).toMatchObject({
      code: 503,
      body: { components: { 'state-statestore': { status: 'INIT', details: starting } }, status: 'INIT' },
    });
    push(filter, [store(Status.READY)]);
    const up = {
      components: {
        runtime_startup: STARTED,
        bridge: { status: 'UP' },
        'state-statestore': { status: 'UP' },
      },
      status: 'UP',
    };
    expect(readiness(filter)).toEqual({ code: 200, body: up });
    push(filter, [store(Status.DOWN, '127.0.0.1:6379: "refused"')]);
    expect(readiness(filter)).toEqual({
      code: 503,
      body: {
        components: {
          ...up.components,
          'state-statestore': { status: 'DOWN', details: { reason: '127.0.0.1:6379: "refused"' } },
        },
        status: 'DOWN',
      },
    });
    // A try that failed is not a beginning.
    push(filter, [store(Status.CONNECTING, 'no route')]);
    expect(readiness(filter)).toMatchObject({ code: 503, body: { status: 'DOWN' } });
    push(filter, [store(Status.READY), { primitive: 'lock', name: 'other', status: Status.DOWN }]);
    expect(readiness(filter)).toEqual({ code: 200, body: up });
    filter.bridge.close();
    expect(readiness(filter)).toEqual({
      code: 503,
      body: {
        components: {
          runtime_startup: STARTED,
          bridge: { status: 'DOWN', details: AWAY },
          'state-statestore': { status: 'UNKNOWN', details: AWAY },
        },
        status: 'DOWN',
      },
    });
  });

  test('is not there while the bridge does not have a component that the filter has', async () => {
    const filter = await Filter.connected();
    push(filter, [{ primitive: 'lock', name: 'statestore', status: Status.READY }]);
    const reason = 'the components bridge does not have this component: its configuration differs';
    expect(readiness(filter)).toMatchObject({
      code: 503,
      body: { components: { 'state-statestore': { status: 'DOWN', details: { reason } } } },
    });
  });

  test('keeps no more of a reason than it should, and survives a push that is none', async () => {
    const filter = await Filter.connected();
    push(filter, [store(Status.DOWN, 'r'.repeat(100_000))]);
    expect(filter.http('GET', READINESS).answer?.body.length).toBeLessThan(1_000);
    const payload = Buffer.from('22ff', 'hex');
    filter.bridge.send(filter.bridge.session(false), { kind: Kind.PUSH, payload });
    expect(readiness(filter)).toMatchObject({ code: 503, body: { status: 'DOWN' } });
  });
});

test('liveness is up whatever happens to the bridge', async () => {
  const filter = await Filter.configured();
  const alive = { components: { runtime_startup: STARTED }, status: 'UP' };
  for (const happens of [() => undefined, () => filter.connect(), () => filter.bridge.close()]) {
    happens();
    const stream = filter.http('GET', LIVENESS);
    expect(stream.answer?.status).toBe(200);
    expect(json(stream)).toEqual(alive);
  }
});

test('info tells of the runtime, the app and the components', async () => {
  const stream = (await Filter.configured()).http('GET', '/actuator/info');
  expect(stream.answer?.status).toBe(200);
  expect(json(stream)).toEqual({
    app: { name: 'Layotto', version: '1.2.3' },
    id: 'shop',
    components: [{ name: 'statestore', type: 'state.redis', primitive: 'state' }],
  });
});

test.each(['/actuator/health', '/actuator/health/nonsense'])('%s is answered as in Layotto', async (path) => {
  const stream = (await Filter.configured()).http('GET', path);
  expect(stream.answer?.status).toBe(500);
  expect(json(stream)).toEqual({});
});

test.each(['/actuator', '/actuator/env', '/actuator/health/liveness/more', '/actuator/logger/x'])(
  '%s is not there',
  async (path) => {
    const { answer } = (await Filter.configured()).http('GET', path);
    expect(answer).toMatchObject({ status: 404, body: Buffer.alloc(0) });
  },
);

describe('the token', () => {
  const tokens = [createHash('sha256').update('open sesame').digest('hex')];
  test.each([
    ['GET', LIVENESS, 200],
    ['GET', READINESS, 503],
    ['GET', '/actuator/info', 401],
    ['GET', '/actuator/logger', 401],
    ['POST', '/actuator/logger', 401],
    ['POST', LIVENESS, 401],
  ])('%s %s without it: %i', async (method, path, status) => {
    const filter = await Filter.configured({ tokens });
    expect(filter.http(method, path).answer?.status).toBe(status);
    const allowed = filter.http(method, path, undefined, { 'dapr-api-token': 'open sesame' });
    expect(allowed.answer?.status).not.toBe(401);
  });
});

describe('log levels', () => {
  test('are listed by the bridge', async () => {
    const filter = await Filter.connected();
    const stream = filter.http('GET', '/actuator/logger', 'whatever came along');
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Actuator/GetLogLevels');
    expect(request.frame.payload).toHaveLength(0);
    const loggers = [
      { logger: 'bridge', level: 'info' },
      { logger: 'state-statestore', level: 'debug' },
    ];
    filter.bridge.result(request, GetLogLevelsResponseSchema, { loggers });
    expect(stream.answer?.status).toBe(200);
    expect(json(stream)).toEqual({
      levels: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
      loggers: { bridge: 'info', 'state-statestore': 'debug' },
    });
  });

  test('are set', async () => {
    const filter = await Filter.connected();
    const body = '{"component":"lock/redis","x":[{}],"level":"d\\u0065bug"}';
    const stream = filter.http('POST', '/actuator/logger', body);
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Actuator/SetLogLevel');
    expect(fromBinary(SetLogLevelRequestSchema, request.frame.payload)).toMatchObject({
      component: 'lock/redis',
      level: 'debug',
    });
    filter.bridge.result(request, SetLogLevelResponseSchema, { loggers: ['lock-one'] });
    expect(stream.answer?.status).toBe(200);
    expect(json(stream)).toEqual({});
  });

  test('of a logger that is not there: 200, with a warning', async () => {
    const filter = await Filter.connected();
    const stream = filter.http('POST', '/actuator/logger', '{"component":"x","level":"debug"}');
    filter.bridge.result(filter.bridge.lastRequest(), SetLogLevelResponseSchema, {});
    expect(stream.answer?.status).toBe(200);
    expect(json(stream)).toEqual({
      warning: 'no logger is called so; GET /actuator/logger lists them',
    });
  });

  test('that the bridge refuses', async () => {
    const filter = await Filter.connected();
    const stream = filter.http('POST', '/actuator/logger', '{"level":"loud"}');
    filter.bridge.failure(filter.bridge.lastRequest(), 3, 'level: expected trace');
    expect(stream.answer?.status).toBe(400);
    expect(json(stream)).toEqual({ error: 'level: expected trace' });
  });

  test.each([
    [undefined, /^expected a body such as/],
    ['', /^expected a body such as/],
    ['[]', /^expected a JSON object/],
    ['{"level":"debug"', /^expected a JSON object/],
    ['{"component":"x"}', /^expected "level"/],
    ['{"component":"x","level":7}', /^expected "level"/],
  ])('are not set by %p', async (body, message) => {
    const filter = await Filter.connected();
    const asked = filter.bridge.requests().length;
    const stream = filter.http('POST', '/actuator/logger', body);
    expect(stream.answer?.status).toBe(500);
    expect((json(stream) as { error: string }).error).toMatch(message);
    expect(filter.bridge.requests()).toHaveLength(asked);
  });
});
