import { LAYOTTO } from '../support/doors.js';
import { load } from '../support/load.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { redisComponent, Runtime } from '../support/runtime.js';
import { startStore } from '../support/store-servers.js';

const LARGE = 4 * 1024 * 1024 - 1024;

test.each([1, 2])('small reads stay quick beside saves of 4 MiB, with %i worker(s)', async (concurrency) => {
  const server = await startStore('redis');
  const runtime = await Runtime.start({ concurrency, components: [redisComponent(server.port)] });
  try {
    const client = await runtime.connect();
    const saved = await client.send({
      path: `${LAYOTTO}/SaveState`,
      body: [saveStateBody('small', Buffer.alloc(1024, 0x61))],
    });
    expect(saved.grpcStatus).toBe(0);
    const [large, small] = await Promise.all([
      load({
        target: runtime.target,
        path: `${LAYOTTO}/SaveState`,
        body: saveStateBody('large', Buffer.alloc(LARGE, 0x61)),
        inflight: 2,
        connections: 2,
        seconds: 5,
      }),
      load({
        target: runtime.target,
        path: `${LAYOTTO}/GetState`,
        body: getStateBody('small'),
        inflight: 1,
        warmup: 0.5,
        seconds: 4,
      }),
    ]);
    expect(large.failed).toBe(0);
    expect(large.calls).toBeGreaterThan(10);
    expect(small.failed).toBe(0);
    expect(small.calls).toBeGreaterThan(100);
    expect(small.p99).toBeLessThan(20);
  } finally {
    await runtime.stop();
    await server.stop();
  }
});
