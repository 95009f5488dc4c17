import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { readFile } from 'node:fs/promises';
import { SetMetadataRequestSchema } from '../../components-bridge/src/gen/dapr/proto/runtime/v1/metadata_pb.js';
import { DAPR as DAPR_SERVICE } from '../support/doors.js';
import { GRPC_SERVERS, redisComponent, Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { compareGrpc, compareHttp, type Differences, type GrpcOutcome } from './compare.js';
import { differences } from './differences.js';
import { replayGrpc, replayHttp, type GrpcRow, type HttpRow } from './replay.js';

type Row = GrpcRow | HttpRow;

// Dapr puts the app id before a key, Layotto stores it as it is.
const DAPR = { form: 'dapr', keyPrefix: 'appid' } as const;
const LAYOTTO = { form: 'layotto', keyPrefix: 'none' } as const;

const RECORDINGS = [
  { name: 'dapr-http', by: 'the filter', ...DAPR, portOf: ({ port }: Runtime) => port },
  ...GRPC_SERVERS.flatMap(([by, portOf]) => [
    { name: 'dapr-grpc', by, ...DAPR, portOf },
    { name: 'layotto-grpc', by, ...LAYOTTO, portOf },
  ]),
];

describe.each(RECORDINGS)('$name, by $by', ({ name, form, keyPrefix, portOf }) => {
  let server: StoreServer;
  let runtime: Runtime;
  let rows: Row[];
  const found = new Map<string, Differences>();

  // The rows build on each other, so they are replayed once, in order, on a store of their own.
  beforeAll(async () => {
    const file = new URL(`recordings/${name}.json`, import.meta.url);
    rows = (JSON.parse(await readFile(file, 'utf8')) as { rows: Row[] }).rows;
    server = await startStore('redis');
    const metadata = { redisHost: `127.0.0.1:${server.port}`, keyPrefix };
    runtime = await Runtime.start({
      listen: true,
      appId: 'bench',
      components: [
        { name: 'pubsub', type: 'pubsub.redis', form, metadata: { redisHost: metadata.redisHost } },
        { name: 'lockstore', type: 'lock.redis', form, metadata: { redisHost: metadata.redisHost } },
        redisComponent(server.port, { form, metadata }),
      ],
    });
    // The peer had this entry when its metadata was recorded.
    const client = await runtime.connect({ port: portOf(runtime) });
    const entry = { key: 'k1', value: 'v1' };
    await client.unary(`${DAPR_SERVICE}/SetMetadata`, SetMetadataRequestSchema, entry, EmptySchema);
    for (const row of rows) {
      const differing =
        'path' in row
          ? compareHttp(row.response, await replayHttp(runtime.target, row))
          : compareGrpc(recorded(row), await replayGrpc(client, row));
      if (Object.keys(differing).length > 0) found.set(row.label, differing);
    }
  }, 120_000);

  afterAll(async () => {
    await runtime?.stop();
    await server?.stop();
  });

  test('labels are unique, so that each difference has one name', () => {
    expect(new Set(rows.map(({ label }) => label)).size).toBe(rows.length);
  });

  test('every difference is listed with its reason, and every listed one is there', () => {
    const listed = Object.fromEntries(
      Object.entries(differences[name] ?? {}).map(([label, { fields }]) => [label, fields]),
    );
    expect(Object.fromEntries(found)).toEqual(listed);
  });

  test('every reason says something', () => {
    for (const [label, { reason }] of Object.entries(differences[name] ?? {})) {
      expect([label, reason.length > 20]).toEqual([label, true]);
    }
  });
});

function recorded(row: GrpcRow): GrpcOutcome {
  return row.error === undefined ? { response: row.response } : { error: row.error };
}
