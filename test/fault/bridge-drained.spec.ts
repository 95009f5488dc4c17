import { LAYOTTO } from '../support/doors.js';
import type { RawAnswer } from '../support/grpc-raw.js';
import { saveStateBody } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { sleep } from '../support/wait.js';

test.each([1, 2])('a bridge that is asked to end loses no call, with %i worker(s)', async (concurrency) => {
  const runtime = await Runtime.start({ concurrency });
  try {
    const client = await runtime.connect();
    const answers: RawAnswer[] = [];
    let running = true;
    const writers = Array.from({ length: 16 }, async (_, caller) => {
      for (let turn = 0; running; turn++) {
        const body = [saveStateBody(`d-${caller}-${turn}`, 'v')];
        const answer = await client.send({ path: `${LAYOTTO}/SaveState`, body });
        answers.push(answer);
        if (answer.grpcStatus !== 0) await sleep(5);
      }
    });
    for (let round = 0; round < 3; round++) {
      await sleep(300);
      // SIGTERM, and a new one when it has gone.
      await runtime.restartBridge();
    }
    await sleep(300);
    running = false;
    await Promise.all(writers);

    expect(answers.filter(({ grpcStatus }) => grpcStatus === 0).length).toBeGreaterThan(50);
    // Writes are never sent twice, so one that the bridge dropped would show as a broken connection.
    const refused = answers.filter(({ grpcStatus }) => grpcStatus !== 0);
    const reasons = new Set(refused.map(({ grpcStatus, grpcMessage }) => `${grpcStatus} ${grpcMessage}`));
    for (const reason of reasons) expect(reason).toMatch(/^14 .*(is not connected|is not ready)/);
  } finally {
    await runtime.stop();
  }
});
