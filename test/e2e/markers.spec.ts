import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';

import type { EnvoyObject } from '../../envoy/names.js';
import { DAPR, LAYOTTO } from '../support/doors.js';
import { H2Connection } from '../support/h2/connection.js';
import type { HeaderField } from '../support/h2/hpack.js';
import { http1 } from '../support/http1.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

/** Headers by which the filters talk to each other, or once did, and those that they look at. */
const MARKERS: HeaderField[][] = [
  [['x-layotto-hold', '1']],
  [['x-layotto-hold', '']],
  [
    ['x-layotto-hold', '1'],
    ['x-layotto-hold', '2'],
  ],
  [['x-layotto-reply', '1']],
  [
    ['x-layotto-reply', '1'],
    ['x-layotto-hold', '1'],
    ['grpc-status', '0'],
  ],
];

const DEADLINE = 800;

describe.each([
  ['with requests stopped by the filter', false],
  ['in hold mode', true],
])('%s, markers from a client', (_, hold) => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({ hold, limits: { deadlineMs: DEADLINE } });
    const client = await runtime.connect();
    const saved = await client.send({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody('k', '"v"')] });
    expect(saved.grpcStatus).toBe(0);
  });

  afterAll(() => runtime?.stop());

  test.each(MARKERS.map((headers) => [headers]))('%j change no answer, on any door', async (headers) => {
    const client = await runtime.connect();
    for (const service of [LAYOTTO, DAPR]) {
      const path = `${service}/GetState`;
      const sent = { path, headers: Object.fromEntries(headers), body: [getStateBody('k')] };
      const answer = await client.send(sent);
      expect(answer).toMatchObject({ grpcStatus: 0, trailersOnly: false });
      expect(valueOf(answer.messages[0])).toBe('"v"');
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-layotto'))).toEqual([]);
      const refused = await client.send({ ...sent, path: `${service}/Nothing` });
      expect(refused).toMatchObject({ grpcStatus: 12, trailersOnly: true, body: Buffer.alloc(0) });
    }
    const http = await http1(runtime.target, 'GET', '/v1.0/state/statestore/k', {
      headers: Object.fromEntries(headers),
    });
    expect(http).toMatchObject({ status: 200, body: '"v"' });
  });

  test('none of them holds up a request that does not end', async () => {
    const connection = await H2Connection.open(runtime.target);
    try {
      const streams = MARKERS.map((headers) => {
        const stream = connection.request([
          [':method', 'POST'],
          [':scheme', 'http'],
          [':authority', 'localhost'],
          [':path', `${LAYOTTO}/GetState`],
          ['content-type', 'application/grpc'],
          ...headers,
        ]);
        connection.data(stream, getStateBody('k').subarray(0, 3));
        return stream;
      });
      for (const { answer } of streams) expect((await answer).headers).toContainEqual(['grpc-status', '4']);
    } finally {
      connection.close();
    }
  });
});

describe.each([
  ['with requests stopped by the filter', false],
  ['in hold mode', true],
])('%s, markers from an upstream', (_, hold) => {
  let runtime: Runtime;
  let upstream: Http2Server;
  let connection: H2Connection;

  beforeAll(async () => {
    upstream = createServer();
    upstream.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      stream.respond({
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': '0',
        'x-layotto-reply': '1',
        'x-layotto-hold': '1',
      });
      stream.write('from upstream');
      if (headers[':path'] === '/up/whole') stream.end();
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const { port } = upstream.address() as AddressInfo;
    runtime = await Runtime.start({
      hold,
      routes: withUpstream,
      bootstrap: (rendered) => {
        const resources = rendered['static_resources'] as { clusters: EnvoyObject[] };
        resources.clusters.push(upstreamCluster(port));
        return rendered;
      },
    });
    connection = await H2Connection.open(runtime.target);
  });

  afterAll(async () => {
    connection?.close();
    await runtime?.stop();
    await new Promise((resolve) => upstream.close(resolve));
  });

  const ask = (path: string) =>
    connection.request(
      [
        [':method', 'POST'],
        [':scheme', 'http'],
        [':authority', 'localhost'],
        [':path', path],
        ['content-type', 'application/grpc'],
      ],
      true,
    );

  test('its answer comes through as it is', async () => {
    const { headers, body, ended } = await ask('/up/whole').answer;
    expect(ended).toBe(true);
    expect(body.toString()).toBe('from upstream');
    expect(headers).toContainEqual(['x-layotto-reply', '1']);
  });

  test('an answer that does not end is not waited for', async () => {
    const stream = ask('/up/endless');
    const came: string[] = [];
    stream.onData = (bytes) => came.push(bytes.toString());
    await eventually('its first bytes come through', () => came.join('') === 'from upstream');
    connection.reset(stream);
  });
});

/** The bootstrap with one more route, past the runtime's filter but not past the one after it. */
function withUpstream(routes: EnvoyObject): EnvoyObject {
  const up = {
    match: { prefix: '/up/' },
    route: { cluster: 'upstream' },
    typed_per_filter_config: {
      'layotto.runtime': {
        '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig',
        disabled: true,
      },
    },
  };
  const text = JSON.stringify(routes, (key, value: unknown) =>
    key === 'routes' ? [up, ...(value as unknown[])] : value,
  );
  return JSON.parse(text) as EnvoyObject;
}

function upstreamCluster(port: number): EnvoyObject {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return {
    name: 'upstream',
    type: 'STATIC',
    load_assignment: {
      cluster_name: 'upstream',
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}
