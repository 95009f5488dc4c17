import { Code } from '../../components-bridge/src/primitives/errors.js';
import { StateClient } from '../conformance/state-client.js';
import { ClusterServers } from '../support/cluster-servers.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { eventually, sleep } from '../support/wait.js';
import { NumberedWrites } from './numbered-writes.js';

/** How much later than the primary a replica has what was not waited for, at most, on a busy machine. */
const LAG_MS = 1_000;
/** Far more than any call takes that fails as it should. */
const LONGEST_CALL_MS = 10_000;

/** After this long without a failure there are none any more. */
const QUIET_MS = 2_000;

interface Servers {
  metadata: Record<string, string>;
  /** Kills a primary that has some of the keys. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

async function sentinels(): Promise<Servers> {
  const group = await SentinelServers.start();
  return {
    metadata: group.metadata,
    kill: async () => (await group.primary()).process.signal('SIGKILL'),
    stop: () => group.stop(),
  };
}

async function cluster(): Promise<Servers> {
  const servers = await ClusterServers.start({ replicas: 1 });
  return {
    metadata: servers.metadata,
    kill: async () => servers.nodes[0]?.server.process.signal('SIGKILL'),
    stop: () => servers.stop(),
  };
}

/**
 * A primary is killed under load: Redis replaces it by a replica, and the store goes there by itself. Meanwhile calls
 * fail with UNAVAILABLE. What was acknowledged STRONG is still there; of the rest only what was written in the last
 * moments may be lost, which is what Redis promises.
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
      const killedAt = performance.now();
      await servers.kill();
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
