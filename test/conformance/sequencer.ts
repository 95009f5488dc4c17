import { parseBiggerThan } from '../../components-bridge/src/config/sequences.js';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/sequencer_pb.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { Rooms } from '../support/rooms.js';
import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import type { CoordinationBackend } from './coordination.js';
import { refused } from './state-client.js';

const NEXT = [pb.GetNextIdRequestSchema, pb.GetNextIdResponseSchema] as const;
const SEGMENT = [pb.GetSegmentRequestSchema, pb.GetSegmentResponseSchema] as const;

const { WEAK, STRONG } = pb.SequencerOptions_AutoIncrement;
const LAST = 2n ** 63n - 1n;

/** One app's view of a sequencer. */
export class SequencerClient {
  constructor(
    readonly rooms: Rooms,
    readonly storeName = 'ids',
  ) {}

  async next(key: string, increment = WEAK): Promise<bigint> {
    const request = { storeName: this.storeName, key, options: { increment } };
    return BigInt((await this.rooms.call('Sequencer/GetNextId', NEXT, request)).nextId);
  }

  segment(key: string): Promise<{ from: bigint; to: bigint }> {
    return this.rooms.call('Sequencer/GetSegment', SEGMENT, { storeName: this.storeName, key });
  }
}

/** What every sequencer must do, whatever it is made of. A new one is one call of this. */
export function sequencerConformance(subject: Subject, start: () => Promise<CoordinationBackend>): void {
  conformance('sequencer', subject, () => {
    let backend: CoordinationBackend;
    /** Two bridges on one backend. */
    let one: SequencerClient;
    let other: SequencerClient;
    let keys = 0;
    /** One that no test has used. */
    const fresh = (): string => `key ${++keys}/鍵 🔑`;

    function bridge(more: Record<string, string> = {}): Promise<Rooms> {
      const { component, other } = backend;
      const runs = { segmentCacheEnable: 'true', segmentStep: '100' };
      const metadata = { ...component.metadata, ...runs, ...more };
      return Rooms.open([
        { ...component, name: 'ids', metadata },
        { ...other, name: 'others' },
      ]);
    }

    beforeAll(async () => {
      backend = await start();
      one = new SequencerClient(await bridge());
      other = new SequencerClient(await bridge());
    }, 40_000);

    afterAll(async () => {
      await one?.rooms.close();
      await other?.rooms.close();
      await backend?.stop();
    });

    it.each([
      ['WEAK', WEAK],
      ['STRONG', STRONG],
    ])('counts from 1, whichever bridge asks: %s', async (_, increment) => {
      const key = fresh();
      const ids: bigint[] = [];
      for (let round = 0; round < 10; round++) ids.push(await (round % 2 ? one : other).next(key, increment));
      expect(ids).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n]);
    });

    it('counts each key for itself, and each store', async () => {
      const key = fresh();
      expect(await one.next(key)).toBe(1n);
      expect(await one.next(fresh())).toBe(1n);
      expect(await new SequencerClient(one.rooms, 'others').next(key)).toBe(1n);
      expect(await one.next(key)).toBe(2n);
    });

    it('gives no id twice, to whoever asks at the same time', async () => {
      const key = fresh();
      const asked = Array.from({ length: 400 }, (_, index) => (index % 2 ? one : other).next(key, STRONG));
      const ids = await Promise.all(asked);
      expect(new Set(ids).size).toBe(ids.length);
      expect([...ids].sort((a, b) => Number(a - b))).toEqual(ids.map((_, index) => BigInt(index + 1)));
      // What is asked for after an answer is greater.
      expect(await one.next(key, STRONG)).toBe(401n);
    });

    it('goes on where it was when the bridge is restarted', async () => {
      const key = fresh();
      await one.next(key);
      const before = await other.next(key);
      await one.rooms.close();
      await other.rooms.close();
      one = new SequencerClient(await bridge());
      other = new SequencerClient(await bridge());
      expect(await other.next(key)).toBe(before + 1n);
    });

    it('gives a run of one id where runs are not configured', async () => {
      const key = fresh();
      const [first, second] = [one, other].map(({ rooms }) => new SequencerClient(rooms, 'others'));
      expect(await first?.segment(key)).toMatchObject({ from: 1n, to: 1n });
      expect(await second?.next(key)).toBe(2n);
    });

    it('takes keys of any length and with any characters', async () => {
      for (const key of ['x'.repeat(5_000), '{tag}x', '}{', '\0', '\r\n', '%']) {
        expect(await one.next(key)).toBe(1n);
        expect(await other.next(key)).toBe(2n);
      }
    });

    it('gives runs that share no id, among each other and with single ids', async () => {
      const key = fresh();
      const seen = new Set<bigint>();
      let count = 0;
      const note = (from: bigint, to: bigint): void => {
        for (let id = from; id <= to; id++) seen.add(id);
        count += Number(to - from) + 1;
      };
      const work = Array.from({ length: 30 }, async (_, index) => {
        const { from, to } = await (index % 2 ? one : other).segment(key);
        expect(to - from).toBe(99n);
        note(from, to);
        const id = await one.next(key);
        note(id, id);
      });
      await Promise.all(work);
      expect(seen.size).toBe(count);
    });

    it('begins above biggerThan, and goes on where it is already', async () => {
      const [low, high] = [fresh(), fresh()];
      for (let round = 0; round < 3; round++) await one.next(high);
      const rooms = await bridge({ biggerThan: JSON.stringify({ [low]: 1000, [high]: 2, [fresh()]: 0 }) });
      const raised = new SequencerClient(rooms);
      expect(await raised.next(low)).toBe(1001n);
      expect(await one.next(low)).toBe(1002n);
      expect(await raised.next(high)).toBe(4n);
      await rooms.close();
    });

    it('gives the last id there is, and then says that they are used up', async () => {
      const key = fresh();
      const least = String(LAST - 3n);
      expect(parseBiggerThan(JSON.stringify({ [key]: least }))?.get(key)).toBe(LAST - 3n);
      const rooms = await bridge({ biggerThan: JSON.stringify({ [key]: least }) });
      const client = new SequencerClient(rooms);
      expect(await client.next(key)).toBe(LAST - 2n);
      expect(await client.next(key, STRONG)).toBe(LAST - 1n);
      // Too few for a run: one is better than none.
      expect(await client.segment(key)).toMatchObject({ from: LAST, to: LAST });
      for (const last of [client.next(key), client.segment(key)]) {
        expect(await refused(last)).toEqual({
          code: Code.OUT_OF_RANGE,
          message: expect.stringContaining('its ids are used up') as string,
        });
      }
      await rooms.close();
    });

    it.each<[string, (client: SequencerClient) => Promise<unknown>, string]>([
      ['no key', (c) => c.next(''), 'Key is empty in sequencer store ids'],
      ['no key of a run', (c) => c.segment(''), 'Key is empty in sequencer store ids'],
      ['a separator', (c) => c.next('a||b'), "input key/keyPrefix 'a||b' can't contain '||'"],
      ['an increment that is none', (c) => c.next('k', 2 as 0), 'options.Increment is illegal'],
      [
        'an unknown store',
        (c) => new SequencerClient(c.rooms, 'nope').next('k'),
        'Sequencer store nope not found',
      ],
    ])('refuses %s', async (_, call, message) => {
      expect(await refused(call(one))).toEqual({ code: Code.INVALID_ARGUMENT, message });
    });
  });
}
