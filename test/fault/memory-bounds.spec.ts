import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';

import { LAYOTTO } from '../support/doors.js';
import { load } from '../support/load.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { eventually, sleep } from '../support/wait.js';

const MIB = 1024 * 1024;
/** The default byte budget of a worker. */
const BUDGET = 64 * MIB;
/** The largest value whose message the default limit lets through, about. */
const VALUE = Buffer.alloc(4 * MIB - 1024, 0x61);

/** What a refused or ended call may say: too busy, unavailable, past its deadline. */
const REFUSALS = ['4', '8', '14'];

describe.each([1, 2])(
  'with the default limits and %i worker(s), the memory of Envoy is bounded',
  (concurrency) => {
    let runtime: Runtime;
    let idle: number;
    const bound = (concurrency * 4 * BUDGET) / 1024;

    beforeAll(async () => {
      runtime = await Runtime.start({ concurrency });
      const client = await runtime.connect();
      const saved = await client.send({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody('big', VALUE)] });
      expect(saved.grpcStatus).toBe(0);
      idle = await runtime.envoyRssKiB();
    });
    afterAll(() => runtime?.stop());

    /** The most that Envoy held beyond its idle memory while `action` ran, in KiB. */
    async function mostDuring(action: () => Promise<void>): Promise<number> {
      let most = 0;
      let sampling = true;
      const sampler = (async () => {
        while (sampling) {
          most = Math.max(most, (await runtime.envoyRssKiB()) - idle);
          await sleep(20);
        }
      })();
      await action();
      sampling = false;
      await sampler;
      return most;
    }

    test('while 64 saves of 4 MiB are under way at a time', async () => {
      const most = await mostDuring(async () => {
        const { calls, statuses } = await load({
          target: runtime.target,
          path: `${LAYOTTO}/SaveState`,
          body: saveStateBody('saved', VALUE),
          connections: 16,
          inflight: 64,
          calls: 128,
        });
        expect(calls).toBe(128);
        // A refusal comes before the body has gone, and Node's client then loses the answer of some.
        for (const status of Object.keys(statuses))
          expect(['0', ...REFUSALS, 'none', 'reset']).toContain(status);
        expect(statuses['0']).toBeGreaterThan(0);
      });
      expect(most).toBeLessThan(bound);
    });

    test('while 64 clients ask for 4 MiB and read nothing', async () => {
      const readers: SlowReader[] = [];
      const most = await mostDuring(async () => {
        for (let i = 0; i < 64; i++) readers.push(new SlowReader(runtime.port, getStateBody('big')));
        await eventually('every call is answered or refused', () =>
          Promise.resolve(readers.every((reader) => reader.answered)),
        );
        await sleep(1_000);
      });
      expect(most).toBeLessThan(bound);
      const statuses = await Promise.all(readers.map((reader) => reader.finish()));
      for (const status of statuses) expect(['0', ...REFUSALS]).toContain(status);
      expect(statuses).toContain('0');
      // As many as fit are served, the others are refused.
      expect(statuses.some((status) => status !== '0')).toBe(true);
    });

    test('through 10 rounds of saves to a bridge that stands still', async () => {
      const most = await mostDuring(async () => {
        await runtime.stopBridge();
        try {
          for (let round = 0; round < 10; round++) {
            const { statuses } = await load({
              target: runtime.target,
              path: `${LAYOTTO}/SaveState`,
              body: saveStateBody(`round-${round}`, VALUE),
              connections: 8,
              inflight: 32,
              calls: 32,
              headers: { 'grpc-timeout': '300m' },
            });
            for (const status of Object.keys(statuses))
              expect([...REFUSALS, 'none', 'reset']).toContain(status);
          }
        } finally {
          runtime.contBridge();
        }
      });
      expect(most).toBeLessThan(bound);
      const client = await runtime.connect();
      await eventually('calls are served again', async () => {
        const { grpcStatus } = await client.send({
          path: `${LAYOTTO}/GetState`,
          body: [getStateBody('big')],
        });
        return grpcStatus === 0;
      });
      await eventually('nothing is held any more', async () => {
        const held = await runtime.stats(/layotto_bytes_held/);
        return Object.values(held).every((value) => value === 0);
      });
    });
  },
);

/** A client with the smallest usual window that reads nothing until it is told to finish. */
class SlowReader {
  answered = false;
  #status = 'none';
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #closed: Promise<void>;

  constructor(port: number, body: Uint8Array) {
    this.#session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 65_535 } });
    this.#session.on('error', () => undefined);
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': `${LAYOTTO}/GetState`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    this.#stream.pause();
    this.#stream.on('error', () => (this.#status = 'reset'));
    const take = (headers: Record<string, unknown>): void => {
      this.answered = true;
      if (headers['grpc-status'] !== undefined) this.#status = String(headers['grpc-status']);
    };
    this.#stream.on('response', take);
    this.#stream.on('trailers', take);
    this.#closed = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#stream.end(body);
  }

  /** Reads what is there. @returns the gRPC status */
  async finish(): Promise<string> {
    this.#stream.resume();
    this.#stream.on('end', () => this.#stream.close());
    await this.#closed;
    this.#session.destroy();
    return this.#status;
  }
}
