/**
 * `make fuzz`: storms each door with random inputs, many more than the tests do. Everything is said by environment
 * variables: `DOOR`, `SEED`, `COUNT` (inputs of each door), `FROM` (number of the first one), `SECONDS` (for all doors).
 * An input follows from the seed and its number alone, so one that failed is sent again by SEED, FROM and COUNT=1.
 */
import { DOORS, stormDoor, stormedRuntime, type DoorName } from './doors.js';
import { sleep } from '../support/wait.js';
import type { StormResult } from './storm.js';
import { Watch } from './watch.js';

/** Inputs of the warm-up, after which memory must not grow. */
const WARM_UP = 20_000;
const PROGRESS_MS = 5_000;

const seed = whole('SEED', Math.floor(Math.random() * 0x1_0000_0000));
const from = whole('FROM', 0);
const count = whole('COUNT', 1_000_000);
const until = Date.now() + whole('SECONDS', 3_600) * 1_000;
let interrupted = false;

process.on('SIGINT', () => {
  if (interrupted) process.exit(130);
  interrupted = true;
  console.log('\nending; once more ends it at once');
});

let failed = false;
for (const door of doors()) {
  if (interrupted || Date.now() > until) break;
  failed = !(await run(door)) || failed;
}
process.exit(interrupted ? 130 : failed ? 1 : 0);

async function run(door: DoorName): Promise<boolean> {
  console.log(`${door}: SEED=${seed} FROM=${from} COUNT=${count}`);
  const runtime = await stormedRuntime();
  const result: StormResult = { sent: 0, kinds: new Map(), problems: [] };
  const begun = Date.now();
  const progress = setInterval(() => {
    const rate = Math.round((result.sent * 1_000) / (Date.now() - begun));
    console.log(`  ${result.sent} inputs, ${rate} a second`);
  }, PROGRESS_MS);
  try {
    const watch = await Watch.begin(runtime);
    const goOn = (): boolean => !interrupted && Date.now() < until;
    const warmUp = Math.min(count, WARM_UP);
    await stormDoor(runtime, door, { seed, from, count: warmUp, goOn }, result);
    await watch.warm();
    await stormDoor(runtime, door, { seed, from: from + warmUp, count: count - warmUp, goOn }, result);
    await sleep(200);
    if (interrupted) return true;
    const problems = [...result.problems.map(({ text }) => text), ...(await watch.problems())];
    for (const [kind, times] of [...result.kinds].sort(([, a], [, b]) => b - a))
      console.log(`  ${String(times).padStart(9)}  ${kind}`);
    console.log(`${door}: ${result.sent} inputs, ${problems.length} problems; ${await watch.describe()}`);
    for (const problem of problems) console.log(problem);
    return problems.length === 0;
  } catch (error) {
    // Ctrl-C reaches Envoy and the bridge too, perhaps first: what fails from then on says nothing.
    await sleep(200);
    if (interrupted) return true;
    throw error;
  } finally {
    if (interrupted) console.log(`${door}: interrupted after ${result.sent} inputs`);
    clearInterval(progress);
    await runtime.stop();
  }
}

function doors(): readonly DoorName[] {
  const name = process.env['DOOR'] ?? '';
  if (name === '') return DOORS;
  const found = DOORS.find((door) => door === name);
  if (found !== undefined) return [found];
  console.error(`DOOR must be one of ${DOORS.join(', ')}, not "${name}"`);
  return process.exit(2);
}

function whole(name: string, byDefault: number): number {
  const text = process.env[name] ?? '';
  if (text === '') return byDefault;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  console.error(`${name} must be a whole number, not "${text}"`);
  return process.exit(2);
}
