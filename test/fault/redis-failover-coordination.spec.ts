import { Code } from '../../components-bridge/src/primitives/errors.js';
import { LockClient } from '../conformance/lock.js';
import { SequencerClient } from '../conformance/sequencer.js';
import { refused } from '../conformance/state-client.js';
import { TcpProxy } from '../conformance/tcp-proxy.js';
import { Rooms } from '../support/rooms.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { eventually, sleep } from '../support/wait.js';

/** How long replicas get nothing before the primary is killed. */
const STARVED_MS = 300;
const KEYS = ['a', 'b', 'c'];

/** An id that was given, and to whom. */
interface Given {
  key: string;
  from: bigint;
  to: bigint;
}

/** A lock that was taken. */
interface Taken {
  resource: string;
  owner: string;
  token: bigint;
}

/** Takes locks and ids on two bridges at once, until it is stopped; what fails is tried again. */
class Load {
  readonly given: Given[] = [];
  readonly taken: Taken[] = [];
  readonly failures: { code: number; message: string; at: number }[] = [];
  #round = 0;
  #stopped = false;
  readonly #work: Promise<unknown>;

  constructor(bridges: readonly Rooms[]) {
    const ids = bridges.flatMap((rooms) => KEYS.map((key) => this.#askIds(new SequencerClient(rooms), key)));
    // Both bridges, two owners each, race for the same lock, one after the other.
    const locks = bridges.flatMap((rooms, index) =>
      ['x', 'y'].map((name) => this.#race(new LockClient(rooms), `${name}${index}`)),
    );
    this.#work = Promise.all([...ids, ...locks]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  /** Ids that were given more than once. */
  get repeated(): string[] {
    const seen = new Set<string>();
    const twice: string[] = [];
    for (const { key, from, to } of this.given) {
      for (let id = from; id <= to; id++) {
        const name = `${key} ${id}`;
        if (seen.has(name)) twice.push(name);
        seen.add(name);
      }
    }
    return twice;
  }

  /** Locks that two owners were told to hold; none is ever released, and none expires meanwhile. */
  get shared(): string[] {
    const owners = new Map<string, Set<string>>();
    for (const { resource, owner } of this.taken)
      owners.set(resource, (owners.get(resource) ?? new Set()).add(owner));
    return [...owners].filter(([, all]) => all.size > 1).map(([resource]) => resource);
  }

  async #askIds(client: SequencerClient, key: string): Promise<void> {
    for (let count = 0; !this.#stopped; count++) {
      await this.#try(async () => {
        if (count % 3 === 0) {
          const { from, to } = await client.segment(key);
          this.given.push({ key, from, to });
        } else {
          const id = await client.next(key, 1);
          this.given.push({ key, from: id, to: id });
        }
      });
    }
  }

  async #race(client: LockClient, owner: string): Promise<void> {
    while (!this.#stopped) {
      const round = this.#round;
      const resource = `resource ${round}`;
      await this.#try(async () => {
        const token = await client.tryLock(resource, owner, 300);
        if (token > 0n) this.taken.push({ resource, owner, token });
        if (this.#round === round) this.#round++;
      });
    }
  }

  async #try(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      const { code, message } = error as { code: number; message: string };
      this.failures.push({ code, message, at: performance.now() });
      await sleep(5);
    }
  }
}

/** A primary with replicas by Sentinel, two bridges under load, and a primary that is killed after it was cut off. */
async function failover(
  settings: Record<string, string>,
  check: (load: Load, bridges: readonly Rooms[]) => Promise<void>,
): Promise<void> {
  const proxies = new Map<number, TcpProxy>();
  const front = async (port: number): Promise<TcpProxy> => {
    const proxy = await TcpProxy.start(port);
    proxies.set(port, proxy);
    return proxy;
  };
  const group = await SentinelServers.start({ front });
  const open: { close(): Promise<unknown> }[] = [{ close: () => group.stop() }];
  try {
    const metadata = { ...group.metadata, ...settings };
    const runs = { segmentCacheEnable: 'true', segmentStep: '10' };
    const bridges = await Promise.all(
      [1, 2].map(() =>
        Rooms.open([
          { name: 'locks', type: 'lock.redis', metadata },
          { name: 'ids', type: 'sequencer.redis', metadata: { ...metadata, ...runs } },
        ]),
      ),
    );
    open.push(...bridges);
    const load = new Load(bridges);
    open.push({ close: () => load.stop() });
    await eventually('much was given', () => load.given.length > 200 && load.taken.length > 50);
    const primary = await group.primary();
    proxies.get(primary.port)?.starveReplicas();
    await sleep(STARVED_MS);
    primary.process.signal('SIGKILL');
    await eventually('calls fail', () => load.failures.length > 0);
    const [ids, locks] = [load.given.length, load.taken.length];
    await eventually(
      'much was given by the new primary',
      () => load.given.length > ids + 200 && load.taken.length > locks + 50,
      { timeoutMs: 40_000 },
    );
    await load.stop();
    await check(load, bridges);
  } finally {
    for (const one of open.reverse()) await one.close();
  }
}

it('no lock is held by two and no id is given twice when a primary is replaced', async () => {
  await failover({}, async (load, [, bridge]) => {
    expect(load.repeated).toEqual([]);
    expect(load.shared).toEqual([]);
    for (const { code } of load.failures) expect(code).toBe(Code.UNAVAILABLE);
    // What was taken before is still kept from others, and a token that comes later is greater.
    const [first] = load.taken;
    if (first === undefined || bridge === undefined) throw new Error('no lock was taken');
    const locks = new LockClient(bridge);
    for (const { resource } of load.taken) expect(await locks.tryLock(resource, 'late')).toBe(0n);
    expect(await locks.unlock(first.resource, first.owner)).toBe(0);
    expect(await locks.tryLock(first.resource, 'late')).toBeGreaterThan(first.token);
    const misuse = await refused(new SequencerClient(bridge).next(''));
    expect(misuse.code).toBe(Code.INVALID_ARGUMENT);
  });
}, 120_000);

it('without replicas that confirm, ids come again: nothing else is promised then', async () => {
  await failover({ strongReplicas: '0' }, async (load) => {
    expect(load.repeated.length).toBeGreaterThan(0);
  });
}, 120_000);
