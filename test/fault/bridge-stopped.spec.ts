import { LAYOTTO } from '../support/doors.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { load } from '../support/load.js';
import { Runtime } from '../support/runtime.js';
import { eventually, sleep } from '../support/wait.js';

const MIB = 1024 * 1024;
const BUDGET = 16 * MIB;

describe.each([1, 2])('a bridge that stands still, with %i worker(s)', (concurrency) => {
  test("Envoy's memory stays within the byte budget, and service resumes", async () => {
    const runtime = await Runtime.start({ concurrency, limits: { bytes: BUDGET, messageBytes: MIB } });
    try {
      const body = saveStateBody('big', Buffer.alloc(MIB - 1024, 0x61));
      const save = { target: runtime.target, path: `${LAYOTTO}/SaveState`, body, connections: 4 };
      const client = await runtime.connect();
      const idle = await runtime.envoyRssKiB();

      await runtime.stopBridge();
      let most = 0;
      let sampling = true;
      const sampler = (async () => {
        while (sampling) {
          most = Math.max(most, await runtime.envoyRssKiB());
          await sleep(50);
        }
      })();
      // Callers that give up soon and come again: far more bytes than Envoy may keep.
      const result = await load({ ...save, inflight: 64, seconds: 6, headers: { 'grpc-timeout': '100m' } });
      sampling = false;
      await sampler;

      const offered = (result.calls * body.length) / MIB;
      const bound = (4 * concurrency * BUDGET) / 1024;
      expect(offered).toBeGreaterThan((2 * bound) / 1024);
      expect(most - idle).toBeLessThan(bound);
      // Refused as too busy or unavailable, or ended by the caller's deadline; none performed. Refusals come
      // before the body has gone, and Node's client then loses the answer of some (none, reset).
      for (const status of Object.keys(result.statuses))
        expect(['4', '8', '14', 'none', 'reset']).toContain(status);
      expect(result.statuses['8']).toBeGreaterThan(0);

      runtime.contBridge();
      await eventually('calls are served again', async () => {
        const answer = await client.send({ path: `${LAYOTTO}/GetState`, body: [getStateBody('k')] });
        return answer.grpcStatus === 0;
      });
    } finally {
      runtime.contBridge();
      await runtime.stop();
    }
  });
});
