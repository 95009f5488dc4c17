import { fromBinary } from '@bufbuild/protobuf';

import { GetStateResponseSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { LAYOTTO } from '../support/doors.js';
import type { RawClient } from '../support/grpc-raw.js';
import { load } from '../support/load.js';
import type { LoadResult } from '../support/load.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { EMBEDDED, Runtime } from '../support/runtime.js';
import { sleep } from '../support/wait.js';

/** Calls of each kind, together 50,000. Saves wait for the disk, so there are fewer. */
const READS = 43_000;
const LARGE_READS = 1_000;
const SAVES = 6_000;
/** Over 64 KiB: such an answer travels on the other session. */
const LARGE = 'x'.repeat(100_000);

let runtime: Runtime;

beforeEach(async () => {
  runtime = await Runtime.start({ concurrency: 2, components: [EMBEDDED] });
});

afterEach(() => runtime.stop());

async function save(client: RawClient, key: string, value: string): Promise<void> {
  const answer = await client.send({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody(key, value)] });
  expect([key, answer.grpcStatus, answer.grpcMessage]).toEqual([key, 0, '']);
}

async function read(client: RawClient, key: string) {
  const answer = await client.send({ path: `${LAYOTTO}/GetState`, body: [getStateBody(key)] });
  return { value: valueOf(answer.messages[0]), etag: etagOf(answer.messages[0]) };
}

function etagOf(message: Uint8Array | undefined): string {
  return fromBinary(GetStateResponseSchema, message ?? new Uint8Array(0)).etag;
}

test('bridges take over from each other under load, and of 50,000 calls none fails', async () => {
  const client = await runtime.connect();
  await save(client, 'small', 'kept');
  await save(client, 'large', LARGE);
  const get = `${LAYOTTO}/GetState`;
  const [target, value] = [runtime.target, 'x'.repeat(512)];
  const loads = [
    { path: get, body: getStateBody('small'), calls: READS, inflight: 8, connections: 2 },
    { path: get, body: getStateBody('large'), calls: LARGE_READS, inflight: 1 },
    { path: `${LAYOTTO}/SaveState`, body: saveStateBody('saved', value), calls: SAVES, inflight: 7 },
  ];
  let results: LoadResult[] | undefined;
  const done = Promise.all(loads.map((options) => load({ target, ...options }))).then(
    (all) => (results = all),
  );

  const gone: { code: number; log: string }[] = [];
  while (results === undefined) {
    await Promise.race([done, sleep(1_000)]);
    if (results === undefined) gone.push(await runtime.takeOver());
  }
  expect(results.map(({ calls, failed, statuses }) => ({ calls, failed, statuses }))).toEqual(
    loads.map(({ calls }) => ({ calls, failed: 0, statuses: { 0: calls } })),
  );
  // Every save is counted by the key's version: none was lost, none done twice.
  expect((await read(client, 'saved')).etag).toBe(String(SAVES));
  expect(gone.length).toBeGreaterThanOrEqual(3);
  for (const { code, log } of gone) {
    expect(code).toBe(0);
    expect(log).toContain('another bridge has taken over');
    expect(log).not.toMatch(/"level":[456]0/);
  }
}, 90_000);

test('what one bridge acknowledged is seen by the next, also while both are there', async () => {
  const clients = [await runtime.connect(), await runtime.connect(), await runtime.connect()];
  let running = true;
  const seen = clients.map(async (client, at) => {
    const other = clients[(at + 1) % clients.length] ?? client;
    let turn = 0;
    for (; running; turn++) {
      await save(client, `k${at}`, String(turn));
      expect(await read(other, `k${at}`)).toEqual({ value: String(turn), etag: String(turn + 1) });
    }
    return turn;
  });
  for (let round = 0; round < 4; round++) {
    await sleep(200);
    await runtime.takeOver();
  }
  running = false;
  for (const turns of await Promise.all(seen)) expect(turns).toBeGreaterThan(10);
});
