import { H2Connection } from '../support/h2/connection.js';
import type { HeaderField } from '../support/h2/hpack.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { fieldOf, type H1Case } from './cases.js';
import { cutAt } from './delivery.js';
import { SERVICES } from './grpc-door.js';
import { pipeline } from './send-h1.js';

/** What an answer says, without what differs from one to the next. */
interface Said {
  status: string;
  grpcStatus: string | undefined;
  body: string;
}

const JSON_BODY = '{"keys":["k","absent","\\u006b"],"metadata":{"a":"é"}}';
const BULK = '/v1.0/state/statestore/bulk';

describe('a request that comes in pieces is answered as if it came whole, wherever it was cut', () => {
  let runtime: Runtime;
  let connection: H2Connection;

  beforeAll(async () => {
    runtime = await Runtime.start();
    connection = await H2Connection.open(runtime.target);
    const saved = await overHttp2(grpc('layotto-grpc', 'SaveState'), [saveStateBody('k', '{"a":1}')]);
    expect(saved.grpcStatus).toBe('0');
  });

  afterAll(async () => {
    connection?.close();
    await runtime?.stop();
  });

  async function overHttp2(
    fields: HeaderField[],
    parts: readonly Uint8Array[],
    trailers: HeaderField[] = [],
  ): Promise<Said> {
    const stream = connection.request(fields);
    parts.forEach((part, index) => {
      connection.data(stream, part, trailers.length === 0 && index === parts.length - 1);
    });
    if (trailers.length > 0) connection.trailers(stream, trailers);
    const answer = await stream.answer;
    return {
      status: fieldOf(answer.headers, ':status') ?? '',
      grpcStatus: fieldOf(answer.trailers ?? answer.headers, 'grpc-status'),
      body: answer.body.toString('latin1'),
    };
  }

  async function overHttp1(parts: readonly Uint8Array[]): Promise<Said> {
    const head = `POST ${BULK} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const chunks = parts
      .filter(({ length }) => length > 0)
      .map((part) =>
        Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
      );
    const input: H1Case = {
      wire: 'h1',
      what: 'chunks',
      parts: [Buffer.from(head), ...chunks, Buffer.from('0\r\n\r\n')],
      ending: 'end',
      head: false,
      grpc: false,
      notHttp: false,
    };
    const [answer] = await pipeline(runtime.target, [input]);
    return {
      status: String(answer?.status),
      grpcStatus: undefined,
      body: answer?.body.toString('latin1') ?? '',
    };
  }

  const http: HeaderField[] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'localhost'],
    [':path', BULK],
  ];

  /** Every way to cut a body in two, and the one into single bytes. */
  function cuts(body: Uint8Array): Uint8Array[][] {
    return [
      ...Array.from(body, (_, at) => cutAt(body, [at])),
      cutAt(
        body,
        Array.from(body, (_, at) => at),
      ),
    ];
  }

  test.each([
    ['Layotto gRPC, GetState', () => grpc('layotto-grpc', 'GetState'), getStateBody('k')],
    ['Layotto gRPC, SaveState', () => grpc('layotto-grpc', 'SaveState'), saveStateBody('other', 'v')],
    ['Dapr gRPC, GetState', () => grpc('dapr-grpc', 'GetState'), getStateBody('k')],
    [
      'Dapr gRPC, a frame that is cut off',
      () => grpc('dapr-grpc', 'GetState'),
      getStateBody('k').subarray(0, 17),
    ],
    ['Dapr HTTP over HTTP/2, bulk get', () => http, Buffer.from(JSON_BODY)],
    ['Dapr HTTP over HTTP/2, bad JSON', () => http, Buffer.from(JSON_BODY.slice(0, -3))],
  ])('%s', async (_, fields, body) => {
    const whole = await overHttp2(fields(), [body]);
    for (const parts of cuts(body)) {
      expect(await overHttp2(fields(), parts)).toEqual(whole);
      expect(await overHttp2(fields(), parts, [['x-trailer', 'x']])).toEqual(whole);
    }
  });

  test('Dapr HTTP over HTTP/1.1, bulk get in chunks', async () => {
    const body = Buffer.from(JSON_BODY);
    const whole = await overHttp1([body]);
    expect(whole).toMatchObject({ status: '200', body: expect.stringContaining('"data":{"a":1}') as string });
    for (const parts of cuts(body)) expect(await overHttp1(parts)).toEqual(whole);
  });
});

function grpc(door: keyof typeof SERVICES, method: string): HeaderField[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'localhost'],
    [':path', `/${SERVICES[door]}/${method}`],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ];
}
