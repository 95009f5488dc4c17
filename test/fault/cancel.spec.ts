import { DAPR, LAYOTTO } from '../support/doors.js';
import { encodeFrame, Kind, type Frame } from '../support/frames.js';
import { getStateBody, getStateResult, keyOf, saveStateBody, valueOf } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { scriptedBridge, type StandInSession } from '../support/scripted-bridge.js';
import { eventually, sleep } from '../support/wait.js';

describe.each([1, 2])('a client that cancels, on %i worker(s)', (concurrency) => {
  test('the bridge is told, and the late result reaches nobody', async () => {
    const held: { frame: Frame; session: StandInSession }[] = [];
    const cancelled: bigint[] = [];
    const answer = ({ frame, session }: { frame: Frame; session: StandInSession }): void => {
      const payload = getStateResult(`value of ${keyOf(frame.payload)}`);
      session.send(encodeFrame({ id: frame.id, kind: Kind.RESULT, payload }));
    };
    const runtime = await Runtime.start({
      concurrency,
      bridge: (socket) =>
        scriptedBridge(socket, (frame, session) => {
          if (frame.kind === Kind.CANCEL) cancelled.push(frame.id);
          if (frame.kind !== Kind.REQUEST) return;
          if (keyOf(frame.payload).startsWith('held')) held.push({ frame, session });
          else answer({ frame, session });
        }),
    });
    try {
      const client = await runtime.connect();
      const rounds = 50;
      for (let round = 0; round < rounds; round++) {
        const path = `${round % 2 === 0 ? LAYOTTO : DAPR}/GetState`;
        const call = client.start({ path, body: [getStateBody(`held-${round}`)] });
        await eventually('the bridge has the request', () => held.length === round + 1, { everyMs: 1 });
        call.cancel();
        expect((await call.answer).grpcStatus).toBe(-1);
        await eventually('the bridge is told', () => cancelled.includes(held[round]?.frame.id ?? 0n), {
          everyMs: 1,
        });
        // The late result of one call, while another is under way on the same connection.
        const other = client.start({ path, body: [getStateBody(`other-${round}`)] });
        answer(held[round] as (typeof held)[number]);
        expect(valueOf((await other.answer).messages[0])).toBe(`value of other-${round}`);
      }
      expect(runtime.envoy.log).not.toMatch(/Uncaught|unreachable|abort/);
    } finally {
      await runtime.stop();
    }
  });

  test('cancelled at any moment, calls leave nothing behind', async () => {
    const runtime = await Runtime.start({ concurrency, limits: { operations: 16 } });
    try {
      const client = await runtime.connect();
      await client.send({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody('k', 'v')] });
      for (let round = 0; round < 100; round++) {
        const body = round % 3 === 0 ? saveStateBody('k2', Buffer.alloc(100_000)) : getStateBody('k');
        const method = round % 3 === 0 ? 'SaveState' : 'GetState';
        const call = client.start({ path: `${LAYOTTO}/${method}`, body: [body] });
        await sleep(round % 5);
        call.cancel();
        await call.answer;
      }
      // Had a cancelled call kept its place, the budget of 16 operations would be used up many times over.
      const answers = await Promise.all(
        Array.from({ length: 8 }, () =>
          client.send({ path: `${LAYOTTO}/GetState`, body: [getStateBody('k')] }),
        ),
      );
      expect(answers.map(({ grpcStatus }) => grpcStatus)).toEqual(Array(8).fill(0));
    } finally {
      await runtime.stop();
    }
  });
});
