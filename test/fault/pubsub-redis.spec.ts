import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { BrokerError } from '../../components-bridge/src/primitives/pubsub/broker.js';
import { BrokerClient } from '../conformance/pubsub-client.js';
import type { Taker } from '../conformance/pubsub-client.js';
import { TcpProxy } from '../conformance/tcp-proxy.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually, sleep } from '../support/wait.js';

/** Numbered events, published by several at a time, again and again until each is acknowledged. */
class Publisher {
  readonly acknowledged: string[] = [];
  failures = 0;
  #count = 0;
  #going = true;
  readonly #loops: Promise<void>[];

  constructor(client: BrokerClient, topic: string) {
    this.#loops = Array.from({ length: 4 }, () => this.#loop(client, topic));
  }

  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#loops);
  }

  async #loop(client: BrokerClient, topic: string): Promise<void> {
    while (this.#going) {
      const text = `${++this.#count}`;
      try {
        await client.publish(topic, text);
        this.acknowledged.push(text);
      } catch (error) {
        if (!(error instanceof BrokerError) || error.kind !== 'unavailable') throw error;
        this.failures++;
        await sleep(10);
      }
    }
  }
}

describe('pubsub.redis', () => {
  let store: StoreServer;
  let dir: string;
  let proxy: TcpProxy;
  const clients: BrokerClient[] = [];
  const args = (): string[] => ['--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always'];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'streams-'));
    store = await startStore('valkey', args());
    proxy = await TcpProxy.start(store.port);
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await proxy.stop();
    await store.stop();
    await rm(dir, { recursive: true, force: true });
  });

  async function open(metadata: Record<string, string> = {}): Promise<BrokerClient> {
    const client = await BrokerClient.open('pubsub.redis', {
      redisHost: `127.0.0.1:${proxy.port}`,
      ...{
        processingTimeout: '1s',
        redeliverInterval: '200ms',
        maxRetryBackoff: '200ms',
        readTimeout: '500ms',
      },
      ...metadata,
    });
    clients.push(client);
    return client;
  }

  async function allCome(publisher: Publisher, takers: readonly Taker[]): Promise<number> {
    await eventually(
      'every acknowledged event has come',
      () => {
        const has = new Set(takers.flatMap(({ texts }) => texts));
        return publisher.acknowledged.every((text) => has.has(text));
      },
      { timeoutMs: 30_000, everyMs: 100 },
    );
    const texts = takers.flatMap((taker) => taker.texts);
    return texts.length - new Set(texts).size;
  }

  it('loses nothing when connections are cut again and again', async () => {
    const [one, other] = [await open(), await open()];
    const takers = [
      await one.subscribe('orders', { concurrency: 5 }),
      await other.subscribe('orders', { concurrency: 5 }),
    ];
    const publisher = new Publisher(one, 'orders');
    for (let cut = 0; cut < 8; cut++) {
      const before = publisher.acknowledged.length;
      await eventually('publishing goes on', () => publisher.acknowledged.length > before + 30);
      proxy.cut();
    }
    await publisher.stop();
    const twice = await allCome(publisher, takers);
    console.log(
      `${publisher.acknowledged.length} events, ${publisher.failures} calls failed, ${twice} came twice`,
    );
    expect(publisher.failures).toBeGreaterThan(0);
    expect(one.reports).toContain('ready');
  }, 60_000);

  it('notices a server that hangs, and goes on when it answers again', async () => {
    const client = await open();
    const taker = await client.subscribe('orders', { concurrency: 5 });
    const publisher = new Publisher(client, 'orders');
    await eventually('events come', () => taker.messages.length > 20);
    proxy.hold();
    await eventually('calls fail', () => publisher.failures > 0);
    proxy.release();
    const before = taker.messages.length;
    await eventually('events come again', () => taker.messages.length > before + 20);
    await publisher.stop();
    await allCome(publisher, [taker]);
  }, 60_000);

  it('loses nothing when the server is killed twice, with its log on disk', async () => {
    const client = await open();
    const taker = await client.subscribe('orders', { concurrency: 5 });
    const publisher = new Publisher(client, 'orders');
    for (let kill = 0; kill < 2; kill++) {
      const before = publisher.acknowledged.length;
      await eventually('publishing goes on', () => publisher.acknowledged.length > before + 100);
      await store.stop();
      await eventually('the component is down', () => client.reports.at(-1)?.startsWith('down'));
      store = await startStore('valkey', args());
      proxy.pointAt(store.port);
      await eventually('it is back', () => client.reports.at(-1) === 'ready');
    }
    await publisher.stop();
    await allCome(publisher, [taker]);
  }, 60_000);

  it('acknowledges after the cut what was done with during it, and nothing comes twice that was in hand', async () => {
    const client = await open({ processingTimeout: '3s' });
    const handed: (() => void)[] = [];
    const taker = await client.subscribe('orders', {
      concurrency: 3,
      handle: () => new Promise((resolve) => handed.push(() => resolve('ack'))),
    });
    await client.publish('orders', 'a', 'b', 'c');
    await taker.has(3);
    proxy.pointAt(0);
    proxy.cut();
    for (const settle of handed) settle();
    await sleep(100);
    proxy.pointAt(store.port);
    await eventually('the server knows', async () => (await taker.subscription.lag?.()) === 0);
    expect(taker.texts.sort()).toEqual(['a', 'b', 'c']);
  });

  it('closes in time when the server is away', async () => {
    const client = await open();
    const taker = await client.subscribe('orders');
    proxy.pointAt(0);
    proxy.cut();
    const begun = Date.now();
    await taker.close();
    expect(Date.now() - begun).toBeLessThan(5_000);
  });
});
