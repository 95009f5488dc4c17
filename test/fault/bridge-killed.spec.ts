import { LAYOTTO } from '../support/doors.js';
import type { RawAnswer, RawClient } from '../support/grpc-raw.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { eventually, sleep } from '../support/wait.js';

// Longer than a bridge takes to start on a loaded machine, so that repeated reads can be answered.
const DEADLINE = 6000;

interface Done {
  read: boolean;
  key: string;
  started: number;
  ended: number;
  answer: RawAnswer;
}

/** Calls one after the other until told to stop, reads and writes in turn. */
async function calls(client: RawClient, caller: number, done: Done[], running: () => boolean): Promise<void> {
  for (let turn = 0; running(); turn++) {
    const read = turn % 2 === 0;
    const key = read ? 'k' : `written-${caller}-${turn}`;
    const started = performance.now();
    const answer = await client.send({
      path: `${LAYOTTO}/${read ? 'GetState' : 'SaveState'}`,
      body: [read ? getStateBody(key) : saveStateBody(key, key)],
    });
    done.push({ read, key, started, ended: performance.now(), answer });
    // A refusal comes at once; a real client would wait too before it tries again.
    if (answer.grpcStatus !== 0) await sleep(5);
  }
}

describe.each([1, 2])('a bridge killed under load, with %i worker(s)', (concurrency) => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({ concurrency, limits: { deadlineMs: DEADLINE } });
    const client = await runtime.connect();
    await client.send({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody('k', 'kept')] });
  });

  afterAll(() => runtime?.stop());

  test('every call ends by its deadline, reads are sent again, and service is back at once', async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => runtime.connect()));
    const done: Done[] = [];
    let running = true;
    const load = Array.from({ length: 16 }, (_, n) =>
      calls(clients[n % 4] as RawClient, n, done, () => running),
    );
    const spans: { killed: number; back: number }[] = [];
    for (let round = 0; round < 3; round++) {
      await sleep(400);
      const killed = performance.now();
      await runtime.killBridge();
      await sleep(200);
      await runtime.restartBridge();
      // How long a store takes to open is up to the disk, and others may use it.
      await eventually('the new bridge can serve', () =>
        Promise.resolve(runtime.bridgeProcess.tail(100).includes('component is ready')),
      );
      spans.push({ killed, back: performance.now() });
    }
    await sleep(1000);
    running = false;
    await Promise.all(load);

    // Nothing hung, and only what may be said was said.
    expect(done.length).toBeGreaterThan(100);
    for (const { started, ended, answer } of done) {
      expect(ended - started).toBeLessThan(DEADLINE + 500);
      expect([0, 14]).toContain(answer.grpcStatus);
      if (answer.grpcStatus === 14) expect(answer.grpcMessage).toMatch(/bridge|not ready/);
    }
    for (const { killed, back } of spans) {
      // A read the bridge had was sent once more and answered; one that came too late was never sent.
      const caught = done.filter(({ read, started, ended }) => read && started < killed && ended > killed);
      const sent = caught.filter(({ answer }) => !/is not connected/.test(answer.grpcMessage));
      expect(sent.map(({ answer }) => answer.grpcMessage)).toEqual(sent.map(() => ''));
      const firstSuccess = Math.min(
        ...done
          .filter(({ started, answer }) => started > killed && answer.grpcStatus === 0)
          .map(({ ended }) => ended),
      );
      expect(firstSuccess - back).toBeLessThan(500);
    }
    const reads = done.filter(({ read, answer }) => read && answer.grpcStatus === 0);
    expect(new Set(reads.map(({ answer }) => valueOf(answer.messages[0])))).toEqual(new Set(['kept']));

    // What was acknowledged is there, whenever the bridge was killed.
    const saved = done.filter(({ read, answer }) => !read && answer.grpcStatus === 0).map(({ key }) => key);
    expect(saved.length).toBeGreaterThan(50);
    const [client] = clients as [RawClient];
    for (const key of saved) {
      const answer = await client.send({ path: `${LAYOTTO}/GetState`, body: [getStateBody(key)] });
      expect([key, valueOf(answer.messages[0])]).toEqual([key, key]);
    }
  });
});
