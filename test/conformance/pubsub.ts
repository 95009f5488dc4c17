import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import { BrokerClient, outgoing } from './pubsub-client.js';
import type { Taker } from './pubsub-client.js';
import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import type { Outcome } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { eventually, sleep } from '../support/wait.js';

/** A broker that the suite runs on. */
export interface PubSubBackend {
  readonly type: string;
  /** Components of these settings share what they keep. It delivers again within a second or two. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What it says of what it has taken. */
  readonly persisted: boolean;
  /** Whether one subscriber at a time gets the messages of a topic in their order. By default it does. */
  readonly ordered?: boolean;
  /** Whether its lag is only about right, unless it is 0. */
  readonly estimates?: boolean;
  /** The server is killed and started again, with what it had acknowledged. Left out where there is no server. */
  restart?(): Promise<void>;
  stop(): Promise<void>;
}

/** limits.message as it comes. */
const LARGEST = 4 * 1024 * 1024;

/** What a message is if nobody says what it is. */
const USUAL_TYPE = 'application/cloudevents+json';

/** What every broker must do, whatever it is made of. A new broker is one call of this. */
export function pubsubConformance(subject: Subject, start: () => Promise<PubSubBackend>): void {
  conformance('pubsub', subject, () => {
    let backend: PubSubBackend;
    let clients: BrokerClient[] = [];
    const folders: string[] = [];
    let topics = 0;
    /** One that no test has used. */
    const fresh = (): string => `topic-${++topics}`;

    async function open(appId = 'app', folder?: string): Promise<BrokerClient> {
      const client = await BrokerClient.open(backend.type, backend.metadata, appId, folder);
      clients.push(client);
      return client;
    }

    async function close(client: BrokerClient): Promise<void> {
      clients = clients.filter((one) => one !== client);
      await client.close();
    }

    beforeAll(async () => {
      backend = await start();
    }, 120_000);

    afterEach(async () => {
      for (const client of clients) await client.close();
      clients = [];
      for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
    });

    afterAll(() => backend?.stop());

    it('delivers what is published, as it was, in its order, each with the id that the publisher was told', async () => {
      const client = await open();
      const topic = fresh();
      const taker = await client.subscribe(topic);
      const sent = Array.from({ length: 60 }, (_, index) => `${index} ✓`);
      const published = await client.publish(topic, ...sent.slice(0, 20));
      for (const text of sent.slice(20)) published.push(...(await client.publish(topic, text)));
      const texts = await taker.has(60);
      expect(backend.ordered === false ? texts.sort(byNumber) : texts).toEqual(sent);
      expect(new Set(published.map(({ id }) => id)).size).toBe(60);
      const told = new Map(published.map(({ id }, index) => [id, sent[index]]));
      for (const [index, { id }] of taker.messages.entries()) expect(told.get(id)).toBe(taker.texts[index]);
      expect(taker.messages.every(({ attempt }) => attempt === 1)).toBe(true);
      expect(published.every(({ persisted }) => persisted === backend.persisted)).toBe(true);
    });

    it('keeps what is published before anybody subscribes', async () => {
      const client = await open();
      const topic = fresh();
      await client.publish(topic, 'early');
      const taker = await client.subscribe(topic);
      await client.publish(topic, 'late');
      expect((await taker.has(2)).sort()).toEqual(['early', 'late']);
    });

    it('keeps every byte, and the type of the content', async () => {
      const client = await open();
      const topic = fresh();
      const taker = await client.subscribe(topic);
      const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
      const kinds = [
        outgoing('', { data: bytes, contentType: 'application/octet-stream' }),
        outgoing('', { contentType: 'text/plain;charset=utf-8' }),
        outgoing('{"a":1}', { contentType: 'application/json', metadata: { rawPayload: 'true' } }),
        outgoing('{"specversion":"1.0"}'),
      ];
      await client.publishAll(topic, kinds);
      await taker.has(4);
      const got = taker.messages.map(({ data, contentType }) => [
        Buffer.from(data).toString('hex'),
        contentType ?? USUAL_TYPE,
      ]);
      const wanted = kinds.map(({ data, contentType }) => [Buffer.from(data).toString('hex'), contentType]);
      if (backend.ordered === false) for (const all of [got, wanted]) all.sort();
      expect(got).toEqual(wanted);
    });

    it('shares messages among the subscribers of a group, and gives each group all of them', async () => {
      const [one, other, third] = [await open('shop'), await open('shop'), await open('bank')];
      const topic = fresh();
      const handle = async (): Promise<Outcome> => sleep(1).then(() => 'ack');
      const sharers = [
        await one.subscribe(topic, { concurrency: 2, handle }),
        await one.subscribe(topic, { concurrency: 2, handle }),
        await other.subscribe(topic, { concurrency: 2, handle }),
      ];
      const alone = await third.subscribe(topic, { concurrency: 5 });
      const named = await third.subscribe(topic, { metadata: { consumerID: 'auditors' }, concurrency: 5 });
      const sent = Array.from({ length: 200 }, (_, index) => `${index}`);
      await one.publish(topic, ...sent.slice(0, 100));
      await third.publish(topic, ...sent.slice(100));
      for (const all of [alone, named]) expect((await all.has(200)).sort(byNumber)).toEqual(sent);
      const shared = (): string[] => sharers.flatMap(({ texts }) => texts);
      await eventually('all are shared', () => shared().length >= 200);
      expect(shared().sort(byNumber)).toEqual(sent);
    });

    it('gives a group that comes later what is still kept, and from then on everything', async () => {
      const client = await open('first');
      const topic = fresh();
      const first = await client.subscribe(topic);
      await client.publish(topic, '1');
      await first.has(1);
      const second = await client.subscribe(topic, { metadata: { consumerID: 'second' } });
      await client.publish(topic, '2', '3');
      await eventually('the second has both', () => ['2', '3'].every((text) => second.texts.includes(text)));
      expect(await first.has(3)).toEqual(expect.arrayContaining(['1', '2', '3']));
    });

    it('keeps messages for a group that is away', async () => {
      const client = await open();
      const topic = fresh();
      const taker = await client.subscribe(topic);
      await client.publish(topic, 'before');
      await taker.has(1);
      await taker.close();
      await client.publish(topic, 'away');
      await close(client);
      const again = await (await open()).subscribe(topic);
      expect(await again.has(1)).toEqual(['away']);
      expect(again.messages[0]?.attempt).toBe(1);
    });

    it('delivers a message again that is to be retried, or whose handling fails, after a pause; others go on', async () => {
      const client = await open();
      const topic = fresh();
      const left = new Map([
        ['bad', 2],
        ['worse', 1],
      ]);
      const taker = await client.subscribe(topic, {
        concurrency: 4,
        handle: (_, text) => {
          const more = left.get(text) ?? 0;
          left.set(text, more - 1);
          if (more > 0 && text === 'worse') throw new Error('no');
          return more > 0 ? 'retry' : 'ack';
        },
      });
      await client.publish(topic, 'bad', 'worse', 'good');
      await taker.has(6, 30_000);
      const attempts = (text: string): number[] =>
        taker.messages.filter((_, index) => taker.texts[index] === text).map(({ attempt }) => attempt);
      expect([attempts('bad'), attempts('worse'), attempts('good')]).toEqual([[1, 2, 3], [1, 2], [1]]);
      const times = taker.times.filter((_, index) => taker.texts[index] === 'bad');
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(150);
      expect(
        new Set(taker.messages.filter((_, index) => taker.texts[index] === 'bad').map(({ id }) => id)).size,
      ).toBe(1);
      await eventually('nothing is left', async () => (await taker.subscription.lag?.()) === 0);
    });

    it('delivers again what was in hand when the bridge ended, and counts on', async () => {
      const topic = fresh();
      const crashing = await open();
      const stuck = await crashing.subscribe(topic, {
        concurrency: 3,
        handle: (_, text) => (text === 'fine' ? 'ack' : new Promise<Outcome>(() => undefined)),
      });
      await crashing.publish(topic, 'fine', 'a', 'b');
      await stuck.has(3);
      await eventually('one is acknowledged', async () => ((await stuck.subscription.lag?.()) ?? 2) === 2);
      // A handler that is at work is on record, wherever that is, before long.
      await sleep(100);
      await close(crashing);
      const taker = await (await open()).subscribe(topic, { concurrency: 3 });
      expect((await taker.has(2, 30_000)).sort()).toEqual(['a', 'b']);
      expect(taker.messages.map(({ attempt }) => attempt)).toEqual([2, 2]);
    });

    it('never has more in hand than it is told to, and as many as that', async () => {
      const client = await open();
      const topic = fresh();
      const taker = await client.subscribe(topic, {
        concurrency: 3,
        handle: () => sleep(5).then(() => 'ack'),
      });
      await client.publish(topic, ...Array.from({ length: 60 }, (_, index) => `${index}`));
      await taker.has(60);
      expect(taker.mostInHand).toBe(3);
    });

    it('settles what is in hand before it is closed, and takes nothing more', async () => {
      const client = await open();
      const topic = fresh();
      let letGo: (outcome: Outcome) => void = () => undefined;
      const taker = await client.subscribe(topic, {
        handle: () => new Promise<Outcome>((resolve) => (letGo = resolve)),
      });
      await client.publish(topic, '1', '2', '3');
      await taker.has(1);
      let closed = false;
      const closing = taker.close().then(() => (closed = true));
      await sleep(50);
      expect(closed).toBe(false);
      letGo('ack');
      await closing;
      await taker.close();
      expect(taker.messages).toHaveLength(1);
      const next = await client.subscribe(topic);
      const others = ['1', '2', '3'].filter((text) => text !== taker.texts[0]);
      expect((await next.has(2, 30_000)).sort()).toEqual(others);
    });

    it('says how many messages a group has not acknowledged', async () => {
      const client = await open();
      const topic = fresh();
      const held: ((outcome: Outcome) => void)[] = [];
      const taker = await client.subscribe(topic, {
        concurrency: 2,
        handle: () => new Promise<Outcome>((resolve) => held.push(resolve)),
      });
      const { subscription } = taker;
      if (subscription.lag === undefined) return;
      const lag = async (): Promise<number | undefined> => subscription.lag?.();
      expect(await lag()).toBe(0);
      await client.publish(topic, '1', '2', '3', '4', '5');
      await taker.has(2);
      const waits = (count: number) => async (): Promise<boolean> => {
        const waiting = (await lag()) ?? 0;
        return backend.estimates === true ? waiting > 0 && waiting <= 5 : waiting === count;
      };
      await eventually('all wait', waits(5));
      held.shift()?.('ack');
      await eventually('one is done', waits(4));
      await eventually('all are done', async () => {
        for (const letGo of held.splice(0)) letGo('ack');
        return (await lag()) === 0;
      });
    });

    it('carries messages as large as the runtime takes', async () => {
      const client = await open();
      const topic = fresh();
      const taker = await client.subscribe(topic, { concurrency: 2 });
      const large = Buffer.alloc(LARGEST, 'large ');
      await client.publishAll(topic, [outgoing('', { data: large }), outgoing('small')]);
      await taker.has(2, 30_000);
      const bytes = taker.messages.map(({ data }) => Buffer.from(data));
      expect(bytes.some((data) => data.equals(large))).toBe(true);
    });

    it('has a place for each topic, whatever its name', async () => {
      const client = await open();
      const names = [fresh(), `${fresh()}.a-b_c`, `${fresh()}-${'x'.repeat(100)}`];
      const takers: Taker[] = [];
      for (const name of names) takers.push(await client.subscribe(name));
      for (const name of names) await client.publish(name, name);
      for (const [index, taker] of takers.entries()) expect(await taker.has(1)).toEqual([names[index]]);
    });

    it('keeps a message until it is time, if it can', async () => {
      const client = await open();
      if (!client.broker.delays) return;
      const topic = fresh();
      const taker = await client.subscribe(topic);
      const [later, sooner] = [Date.now() + 900, Date.now() + 500];
      const published = await client.publishAll(topic, [
        outgoing('later', { notBefore: later }),
        outgoing('sooner', { notBefore: sooner }),
        outgoing('now'),
        outgoing('at once', { notBefore: Date.now() - 1_000 }),
      ]);
      const order = await taker.has(4);
      // What is due now may lie in two partitions, which keep no order between them.
      expect(order.slice(0, 2).sort()).toEqual(['at once', 'now']);
      expect(order.slice(2)).toEqual(['sooner', 'later']);
      expect(taker.times[2]).toBeGreaterThanOrEqual(sooner);
      expect(taker.times[3]).toBeGreaterThanOrEqual(later);
      const ids = new Map(
        published.map(({ id }, index) => [id, ['later', 'sooner', 'now', 'at once'][index]]),
      );
      // What waits elsewhere gets the broker's own id only when it is due.
      const known = taker.messages.slice(0, 2).map(({ id }) => ids.get(id));
      expect(known).toEqual(order.slice(0, 2));
      expect(new Set(ids.keys()).size).toBe(4);
    });

    it('keeps a delay over a restart of the bridge', async () => {
      // Brokers that cannot delay leave it to the bridge.
      const folder = await mkdtemp(join(tmpdir(), 'delays-'));
      folders.push(folder);
      const client = await open('app', folder);
      if (!client.broker.delays) return;
      const topic = fresh();
      await client.publishAll(topic, [outgoing('later', { notBefore: Date.now() + 600 })]);
      await close(client);
      const taker = await (await open('app', folder)).subscribe(topic);
      expect(await taker.has(1)).toEqual(['later']);
    });

    it('loses nothing when the server is killed and comes back', async () => {
      if (backend.restart === undefined) return;
      const client = await open();
      const topic = fresh();
      const taker = await client.subscribe(topic, { concurrency: 5 });
      const acknowledged: string[] = [];
      let count = 0;
      let publishing = true;
      const publisher = (async () => {
        while (publishing) {
          const text = `${++count}`;
          try {
            await client.publish(topic, text);
            acknowledged.push(text);
          } catch (error) {
            expect(error).toBeInstanceOf(BrokerError);
            expect((error as BrokerError).kind).toBe('unavailable');
            await sleep(20);
          }
        }
      })();
      await eventually('some are acknowledged', () => acknowledged.length > 50);
      await backend.restart();
      const before = acknowledged.length;
      await eventually('publishing goes on', () => acknowledged.length > before + 50, { timeoutMs: 30_000 });
      publishing = false;
      await publisher;
      await eventually(
        'everything acknowledged has come',
        () => {
          const got = new Set(taker.texts);
          return acknowledged.every((text) => got.has(text));
        },
        { timeoutMs: 40_000 },
      );
    }, 120_000);
  });
}

const byNumber = (a: string, b: string): number => parseInt(a) - parseInt(b);
