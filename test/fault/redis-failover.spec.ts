import { Code } from '../../components-bridge/src/primitives/errors.js';
import { StateClient } from '../conformance/state-client.js';
import { TcpProxy } from '../conformance/tcp-proxy.js';
import { ClusterServers } from '../support/cluster-servers.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually, sleep } from '../support/wait.js';
import { NumberedWrites } from './numbered-writes.js';

/** How long replicas get nothing before the primary is killed. */
const STARVED_MS = 300;
/** How much later than the primary a replica has what was not waited for, at most, on a busy machine. */
const LAG_MS = 1_000 + STARVED_MS;
/** Far more than any call takes that fails as it should. */
const LONGEST_CALL_MS = 10_000;

/** After this long without a failure there are none any more. */
const QUIET_MS = 2_000;

interface Servers {
  metadata: Record<string, string>;
  /** From now on the replicas of a primary get nothing from it. */
  starve(): void;
  /** Kills that primary. */
  kill(): void;
  stop(): Promise<void>;
}

/** Servers behind proxies, by the port of the server. */
function proxies(): { front: (port: number) => Promise<TcpProxy>; of: Map<number, TcpProxy> } {
  const of = new Map<number, TcpProxy>();
  const front = async (port: number): Promise<TcpProxy> => {
    const proxy = await TcpProxy.start(port);
    of.set(port, proxy);
    return proxy;
  };
  return { front, of };
}

async function sentinels(): Promise<Servers> {
  const { front, of } = proxies();
  const group = await SentinelServers.start({ front });
  const primary = await group.primary();
  return {
    metadata: group.metadata,
    starve: () => of.get(primary.port)?.starveReplicas(),
    kill: () => primary.process.signal('SIGKILL'),
    stop: () => group.stop(),
  };
}

async function cluster(): Promise<Servers> {
  const { front, of } = proxies();
  const servers = await ClusterServers.start({ replicas: 1, front });
  const primary = servers.nodes[0]?.server as StoreServer;
  return {
    metadata: servers.metadata,
    starve: () => of.get(primary.port)?.starveReplicas(),
    kill: () => primary.process.signal('SIGKILL'),
    stop: () => servers.stop(),
  };
}

/**
 * A primary is killed under load: Redis replaces it by a replica, and the store goes there by itself. Meanwhile calls
 * fail with UNAVAILABLE. What was acknowledged STRONG is still there; of the rest only what was written in the last
 * moments is lost, which is what Redis promises: its replicas did not have it yet.
 */
test.each([
  ['by Sentinel', sentinels],
  ['in a cluster', cluster],
])(
  'a primary that is killed under load is replaced %s',
  async (_, start) => {
    const servers = await start();
    const state = await StateClient.open({ type: 'state.redis', metadata: servers.metadata });
    const load = new NumberedWrites(state, (writer, count) => `${writer}-${count}`, [
      true,
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
    try {
      await eventually('some are written', () => load.acknowledged.length > 400);
      await sleep(LAG_MS);
      // What is written from now on is on the primary only.
      servers.starve();
      await sleep(STARVED_MS);
      const killedAt = performance.now();
      servers.kill();
      const failed = await eventually('calls fail', () => load.failed.length > 0 && load.failed.length);
      await eventually('no call fails any more', () => performance.now() - lastFailure(load) > QUIET_MS, {
        timeoutMs: 40_000,
      });
      expect(state.health.status).toBe('ready');
      await load.stop();

      expect(failed).toBeGreaterThan(0);
      for (const { code, message, tookMs } of load.failed) {
        expect(code).toBe(Code.UNAVAILABLE);
        expect(message).toMatch(/^state store store( is not ready)?: /);
        expect(tookMs).toBeLessThan(LONGEST_CALL_MS);
      }
      const lost = await load.lost();
      expect(lost.filter(({ strong }) => strong)).toEqual([]);
      expect(lost.length).toBeGreaterThan(0);
      const early = lost.filter(({ at }) => at < killedAt - LAG_MS);
      const late = lost.filter(({ at }) => at > killedAt + LAG_MS);
      expect([early, late]).toEqual([[], []]);
      const gone = new Set(lost.map(({ key }) => key));
      expect(load.misread.filter((key) => !gone.has(key))).toEqual([]);
      expect(load.reads).toBeGreaterThan(100);
      for (const strong of [true, false]) {
        const after = load.acknowledged.filter((one) => one.strong === strong && one.at > killedAt + LAG_MS);
        expect(after.length).toBeGreaterThan(100);
      }
    } finally {
      await load.stop();
      await state.close();
      await servers.stop();
    }
  },
  60_000,
);

function lastFailure({ failed }: NumberedWrites): number {
  const last = failed.at(-1);
  return last === undefined ? Infinity : last.at + last.tookMs;
}
