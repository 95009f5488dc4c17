import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { httpJson } from '../support/http1.js';
import { LAYOTTO } from '../support/doors.js';
import { encodeFrame, Kind } from '../support/frames.js';
import { getStateBody, getStateResult, keyOf, valueOf } from '../support/requests.js';
import { Runtime } from '../support/runtime.js';
import { scriptedBridge } from '../support/scripted-bridge.js';
import { eventually } from '../support/wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const DEADLINE = 3000;
const path = `${LAYOTTO}/GetState`;

describe('a VM that traps', () => {
  let dir: string;
  let module: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'trapping-'));
    module = join(dir, 'runtime.wasm');
    const config = JSON.parse(await readFile(join(root, 'asconfig.json'), 'utf8')) as {
      targets: { release: { use: string[] } };
    };
    const args = ['-O3', '--noAssert', '--runtime', 'minimal', '--use', config.targets.release.use.join(',')];
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
    execFileSync(
      process.execPath,
      [asc, 'test/fault/assembly/trapping-runtime.ts', '--outFile', module, ...args],
      { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
    );
  }, 60_000);

  afterAll(() => rm(dir, { recursive: true, force: true }));

  test.each([
    [1, 'by an error of AssemblyScript', 'told', 'at once', 1500],
    [2, 'by itself', 'untold', 'by their deadline', DEADLINE + 500],
  ])(
    'with %i worker(s), %s (%s): calls in flight end %s, and a new VM serves',
    async (concurrency, _by, how, _when, withinMs) => {
      let asked = 0;
      const runtime = await Runtime.start({
        concurrency,
        module,
        limits: { deadlineMs: DEADLINE },
        bridge: (socket) =>
          scriptedBridge(socket, (frame, session) => {
            if (frame.kind !== Kind.REQUEST) return;
            if (keyOf(frame.payload) === 'hang') asked++;
            else session.send(encodeFrame({ id: frame.id, kind: Kind.RESULT, payload: getStateResult('v') }));
          }),
      });
      try {
        // One connection, so that one worker has all of them.
        const client = await runtime.connect();
        expect((await client.send({ path, body: [getStateBody('k')] })).grpcStatus).toBe(0);
        const inFlight = Array.from(
          { length: 16 },
          () => client.start({ path, body: [getStateBody('hang')] }).answer,
        );
        await eventually('the bridge has them all', () => asked === 16);

        const trapped = performance.now();
        const killer = await client.send({
          path,
          headers: { 'x-test-trap': how },
          body: [getStateBody('k')],
        });
        expect(killer.grpcStatus).toBeGreaterThan(0);
        expect(runtime.envoy.log).toMatch(/unreachable/);

        const next = await client.send({ path, body: [getStateBody('k')] });
        if (next.grpcStatus !== 0) {
          expect(next.grpcStatus).toBe(14);
          expect(next.ms).toBeLessThan(200);
        }
        await eventually(
          'a new VM serves',
          async () => {
            const answer = await client.send({ path, body: [getStateBody('k')] });
            return answer.grpcStatus === 0 && valueOf(answer.messages[0]) === 'v';
          },
          { timeoutMs: 3000 - (performance.now() - trapped) },
        );
        const health = await eventually('readiness tells of the trap', async () => {
          const { status, json } = await httpJson(runtime.target, 'GET', '/actuator/health/readiness');
          const { components } = json as { components: Record<string, unknown> };
          return components['module-layotto.runtime'] !== undefined && { status, components };
        });
        const reason = expect.stringMatching(/^it trapped 1 time, \d s ago; Envoy starts it anew/) as string;
        expect(health.components['module-layotto.runtime']).toEqual({ status: 'UP', details: { reason } });

        for (const answer of await Promise.all(inFlight)) {
          expect(answer.grpcStatus).toBeGreaterThan(0);
          if (how === 'told') expect(answer.grpcStatus).toBe(14);
          expect(answer.ms).toBeLessThan(withinMs);
        }
      } finally {
        await runtime.stop();
      }
    },
  );
});
