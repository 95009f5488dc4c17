import { create, toBinary } from '@bufbuild/protobuf';
import { createHash } from 'node:crypto';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  GetFileRequestSchema,
  PutFileRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/file_pb.js';
import type { GetFileResponse } from '../../components-bridge/src/gen/layotto/bridge/v1/file_pb.js';
import { failureOf, FileClient, GET_FILE, PUT_FILE } from '../support/file-client.js';
import { grpcFrame, RawClient } from '../support/grpc-raw.js';
import { Runtime } from '../support/runtime.js';
import { eventually, sleep } from '../support/wait.js';

const MIB = 1024 * 1024;
/** How much Envoy and the bridge may grow while a large file passes. */
const GROWTH_KIB = 64 * 1024;
/** Streams that are given up at a time. */
const BATCH = 60;
const COMPONENTS = [{ name: 'file', type: 'file.local' }];

/** The first message of an upload, framed. */
function frame(name: string, text: string): Buffer {
  const message = create(PutFileRequestSchema, { storeName: 'file', name, data: Buffer.from(text) });
  return grpcFrame(toBinary(PutFileRequestSchema, message));
}

describe('streams', () => {
  let runtime: Runtime;
  let client: FileClient;
  let root: string;

  beforeAll(async () => {
    runtime = await Runtime.start({ components: COMPONENTS, metrics: true });
    client = new FileClient(`127.0.0.1:${runtime.port}`);
    root = join(runtime.config.dataDir, 'file/file');
  });

  afterAll(async () => {
    client?.close();
    await runtime?.stop();
  });

  const content = async (name: string): Promise<string> => readFile(join(root, name), 'utf8');
  const uploads = (): Promise<string[]> => readdir(join(root, '.layotto-uploads')).catch(() => []);
  const rss = async (): Promise<number[]> => [
    await runtime.envoy.anonKiB(),
    await runtime.bridgeProcess.anonKiB(),
  ];

  /** Runs something while the memory of both is watched. @returns how much more each had at most, in KiB */
  async function growth(perform: () => Promise<void>): Promise<number[]> {
    const before = await rss();
    const most = [...before];
    let over = false;
    const watching = (async () => {
      while (!over) {
        (await rss()).forEach((now, index) => (most[index] = Math.max(most[index] ?? 0, now)));
        await sleep(20);
      }
    })();
    await perform().finally(() => (over = true));
    await watching;
    return most.map((now, index) => now - (before[index] ?? 0));
  }

  /** How far the bridge has read a file, or undefined if it is not reading it. */
  async function position(name: string): Promise<number | undefined> {
    const folder = `/proc/${runtime.bridgeProcess.pid}`;
    for (const fd of await readdir(`${folder}/fd`)) {
      const path = await readlink(`${folder}/fd/${fd}`).catch(() => '');
      if (!path.endsWith(`/${name}`)) continue;
      const info = await readFile(`${folder}/fdinfo/${fd}`, 'utf8').catch(() => '');
      return Number(/^pos:\s+(\d+)/m.exec(info)?.[1]);
    }
    return undefined;
  }

  /** Begins an upload, and waits until the bridge writes it. */
  async function begin(name: string) {
    const upload = client.put(name);
    for (let i = 0; i < 16; i++) await upload.write(Buffer.alloc(64 * 1024, 'new'));
    await eventually('the upload is under way', async () => (await uploads()).length === 1);
    return upload;
  }

  /** Begins a download, and stops reading. */
  async function beginRead(name: string) {
    const stream = client.get(name);
    const failed = new Promise<{ code: number }>((resolve) => stream.once('error', resolve));
    await new Promise((resolve) => stream.once('data', resolve));
    stream.pause();
    return { stream, failed };
  }

  test('a gibibyte passes both ways, in constant memory', async () => {
    const parts = 1024;
    const sent = createHash('sha1');
    await client.write('warm', [Buffer.alloc(4 * MIB - 64)]);
    await client.read('warm');
    const up = await growth(() =>
      client.write(
        'large',
        (function* () {
          for (let n = 0; n < parts; n++) {
            const part = Buffer.alloc(MIB, `layotto ${n} `);
            sent.update(part);
            yield part;
          }
        })(),
      ),
    );
    const got = createHash('sha1');
    const down = await growth(async () => {
      for await (const { data } of client.get('large') as AsyncIterable<GetFileResponse>) got.update(data);
    });
    expect(got.digest('hex')).toBe(sent.digest('hex'));
    for (const grown of [...up, ...down]) expect(grown).toBeLessThan(GROWTH_KIB);
  }, 120_000);

  test('a reader that stops holds the store up, and a cancelled one lets it go', async () => {
    const { stream } = await beginRead('large');
    let last = -1;
    const at = await eventually('the bridge stops reading', async () => {
      const now = (await position('large')) ?? 0;
      const stands = now === last;
      last = now;
      await sleep(200);
      return stands ? now : undefined;
    });
    // Windows and buffers of the client, the kernel, Envoy and the bridge.
    expect(at).toBeLessThan(32 * MIB);
    stream.cancel();
    await eventually('the file is closed', async () => (await position('large')) === undefined);
  });

  test('an upload that is broken off leaves the old file and nothing else', async () => {
    await writeFile(join(root, 'precious'), 'old');
    const { call, done } = await begin('precious');
    call.cancel();
    expect((await failureOf(done)).code).toBe('CANCELLED');
    await eventually('nothing is left', async () => (await uploads()).length === 0);
    const lost = await RawClient.connect(runtime.target);
    lost
      .start({ path: PUT_FILE, body: [frame('precious', 'new')], end: false })
      .answer.catch(() => undefined);
    await eventually('it is under way', async () => (await uploads()).length === 1);
    lost.close();
    await eventually('nothing is left', async () => (await uploads()).length === 0);
    const late = client.put('precious', { deadlineMs: 300 });
    await late.write(Buffer.from('new'));
    expect((await failureOf(late.done)).code).toBe('DEADLINE_EXCEEDED');
    await eventually('nothing is left', async () => (await uploads()).length === 0);
    expect(await content('precious')).toBe('old');
  });

  test('a message that is none, or too long, ends an upload with its reason', async () => {
    const raw = await runtime.connect();
    const start = (...body: Buffer[]) => raw.send({ path: PUT_FILE, body, timeoutMs: 5_000 });
    const head = frame('b', 'new');
    const malformed = await start(head, Buffer.from([0, 0, 0, 0, 2, 0xff, 0xff]));
    expect(malformed).toMatchObject({
      grpcStatus: 3,
      grpcMessage: expect.stringContaining('malformed PutFileRequest') as string,
    });
    const long = await start(head, Buffer.from([0, 0x7f, 0, 0, 0]), Buffer.alloc(64 * 1024));
    expect(long.grpcStatus).toBe(8);
    const compressed = await start(head, Buffer.from([1, 0, 0, 0, 2, 0, 0]));
    expect(compressed.grpcStatus).not.toBe(0);
    await eventually('nothing is left', async () => (await uploads()).length === 0);
    await expect(content('b')).rejects.toThrow('ENOENT');
  });

  test('heads are checked as those of all calls are', async () => {
    const raw = await runtime.connect();
    const refused = (path: string, headers: Record<string, string>) =>
      raw.send({ path, headers, body: [Buffer.from([0, 0, 0, 0, 0])] });
    expect(await refused(GET_FILE, { origin: 'http://evil.example' })).toMatchObject({ grpcStatus: 7 });
    expect(await refused(PUT_FILE, { ':authority': 'evil.example' })).toMatchObject({ grpcStatus: 7 });
    expect(await refused(GET_FILE, { 'grpc-timeout': 'soon' })).toMatchObject({ grpcStatus: 3 });
    const other = '/spec.proto.runtime.v1.Runtime/SubscribeConfiguration';
    expect((await refused(other, {})).grpcStatus).not.toBe(0);
  });

  test('they are counted by what they ended with', async () => {
    const counted = async (code: string): Promise<number> => {
      const { body } = await runtime.admin('/stats/prometheus?filter=layotto_operations_total');
      const line = body
        .split('\n')
        .find((one) => one.includes('operation="GetFile"') && one.includes(`code="${code}"`));
      return Number(/ (\d+)$/.exec(line ?? ' 0')?.[1]);
    };
    const [good, missing] = [await counted('OK'), await counted('NOT_FOUND')];
    await client.read('warm');
    await failureOf(client.read('absent'));
    await eventually('both are counted', async () => {
      return (await counted('OK')) === good + 1 && (await counted('NOT_FOUND')) === missing + 1;
    });
    expect(await counted('CANCELLED')).toBeGreaterThan(0);
    const stats = await runtime.stats(/layotto_streams_open/);
    expect(Object.values(stats)).toEqual([0]);
  });

  test('callers that give many streams up take no other away', async () => {
    const { write, call, done } = await begin('kept');
    await client.write('tiny', [Buffer.from('tiny')]);
    const tiny = grpcFrame(
      toBinary(GetFileRequestSchema, create(GetFileRequestSchema, { storeName: 'file', name: 'tiny' })),
    );
    // Node's HTTP/2 takes no new stream of a connection of which 1000 were reset so fast; each worker has one.
    for (let n = 0; n < 3000; n += BATCH) {
      // A connection for each batch: Envoy ends one on which most streams are given up.
      const raw = await runtime.connect();
      const calls = Array.from({ length: BATCH }, () =>
        raw.start({ path: PUT_FILE, body: [frame('given-up', 'new')], end: false }),
      );
      await eventually('the bridge has them', async () => (await uploads()).length === 1 + BATCH);
      for (const one of calls) one.cancel();
      // Right behind the resets, so that it is under way when Node makes up its mind.
      expect((await raw.send({ path: GET_FILE, body: [tiny] })).grpcStatus).toBe(0);
      await eventually('they are gone', async () => (await uploads()).length === 1);
      raw.close();
    }
    await write(Buffer.from('the end'));
    call.end();
    await done;
    expect((await content('kept')).endsWith('the end')).toBe(true);
  });

  test('the death of the bridge is told, and loses no old file', async () => {
    const { done } = await begin('precious');
    const { stream, failed } = await beginRead('large');
    await runtime.killBridge();
    expect(await failureOf(done)).toEqual({
      code: 'UNAVAILABLE',
      details: expect.stringContaining('the components bridge cannot be reached, or has gone') as string,
    });
    stream.resume();
    // Envoy resets what has begun; there is no status in that.
    expect((await failed).code).toBe(13);
    expect((await failureOf(client.read('precious'))).code).toBe('UNAVAILABLE');
    expect(await content('precious')).toBe('old');
    await runtime.restartBridge();
    await eventually('files are there again', async () => {
      return (await client.read('precious')).toString() === 'old';
    });
    await eventually('what the dead one had begun is removed', async () => (await uploads()).length === 0);
  });

  test('a bridge that takes over leaves the streams in hand to the one before it', async () => {
    const { write, call, done } = await begin('handed-over');
    const going = runtime.takeOver();
    await eventually('the new one serves', async () => {
      await client.write('by-the-new-one', [Buffer.from('x')]);
      return runtime.bridgeProcess.log.includes('serving sessions');
    });
    await write(Buffer.from('the end'));
    call.end();
    await done;
    expect((await going).code).toBe(0);
    expect((await content('handed-over')).endsWith('the end')).toBe(true);
  });

  test('a bridge that ends finishes uploads, and tells those that take too long', async () => {
    const quick = await begin('quick');
    runtime.bridgeProcess.signal('SIGTERM');
    await eventually('it drains', () => runtime.bridgeProcess.log.includes('finishing the calls in hand'));
    quick.call.end();
    await quick.done;
    expect(await runtime.bridgeProcess.exited).toBe(0);
    await runtime.restartBridge();
    await eventually('files are there again', () => client.read('quick'));
    const slow = await begin('precious');
    runtime.bridgeProcess.signal('SIGTERM');
    expect(await failureOf(slow.done)).toEqual({
      code: 'UNAVAILABLE',
      details: 'the bridge is shutting down; call again',
    });
    expect(await runtime.bridgeProcess.exited).toBe(0);
    expect([await content('precious'), await uploads()]).toEqual(['old', []]);
  }, 20_000);
});

test('too many streams and a wrong token are refused in Envoy, in hold mode too', async () => {
  const limits = { streams: 2 };
  const runtime = await Runtime.start({ components: COMPONENTS, limits, apiToken: 'secret', hold: true });
  const raw: RawClient = await runtime.connect();
  try {
    const start = (token: string) =>
      raw.start({ path: PUT_FILE, headers: { 'dapr-api-token': token }, end: false });
    expect((await start('wrong').answer).grpcStatus).toBe(16);
    const open = [start('secret'), start('secret')];
    const refused = await start('secret').answer;
    expect(refused.grpcStatus).toBe(8);
    expect(refused.grpcMessage).toContain('limits.streams is reached');
    for (const { stream, answer } of open) {
      stream.end();
      expect(await answer).toMatchObject({ grpcStatus: 3, grpcMessage: "request can't be nil" });
    }
  } finally {
    await runtime.stop();
  }
});

test('an upload that stands still is ended, and does not count as open any more', async () => {
  let routes = 0;
  const soon = (key: string, value: unknown): unknown => {
    if (key !== 'idle_timeout' || value !== '300s') return value;
    routes++;
    return '1s';
  };
  const runtime = await Runtime.start({
    components: COMPONENTS,
    limits: { streams: 1 },
    routes: (rendered) => JSON.parse(JSON.stringify(rendered, soon)) as typeof rendered,
  });
  const raw = await runtime.connect();
  const uploads = join(runtime.config.dataDir, 'file/file/.layotto-uploads');
  try {
    const given = raw.start({ path: PUT_FILE, end: false });
    given.stream.write(frame('given-up', 'the first part'));
    await eventually('it is under way', async () => (await readdir(uploads)).length === 1);
    expect(await given.answer).toMatchObject({ grpcMessage: 'stream timeout' });
    await eventually('nothing is left of it', async () => (await readdir(uploads)).length === 0);
    const next = await raw.send({ path: PUT_FILE, body: [frame('next', 'whole')] });
    expect(next.grpcStatus).toBe(0);
    expect(routes).toBe(1);
  } finally {
    await runtime.stop();
  }
});
