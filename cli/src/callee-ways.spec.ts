import { parse } from 'yaml';

import type { CalleeConfig, RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { SAMPLE_CONFIG } from '../../envoy/samples.js';
import { waysOf } from '../../envoy/ways.js';
import { CalleeWays } from './callee-ways.js';

const LINGER_MS = 50;

/** What Envoy was given, in order: files, with the names of clusters in them. */
let given: string[];
let said: string[];
/** What Envoy makes of files that it was handed last, by file. */
let refused: Record<string, string>;
let lacking: string | undefined;
let ways: CalleeWays;
/** The clusters file and the routes file as Envoy has them. */
let files: Record<string, string>;
let later: (() => Promise<void>)[];

const at = (...ports: number[]) => ports.map((port) => ({ host: '127.0.0.1', port }));

function config(callees: Record<string, CalleeConfig>): RuntimeConfig {
  return { ...SAMPLE_CONFIG, callees };
}

/** The clusters in a file, with their first port, or those that routes lead to. */
function shown(file: string, text: string): string {
  const { resources } = parse(text) as { resources: { name: string; load_assignment: object }[] };
  if (file.endsWith('.rds.yaml')) {
    const names = text.matchAll(/(?:cluster|- name): (layotto_callee_\S+)/g);
    return [...new Set([...names].map(([, name = '']) => short(name)))].join(' ');
  }
  return resources
    .filter(({ name }) => !name.endsWith('|http') && !name.includes('|http|'))
    .map((one) => `${short(one.name)}=${/"port_value":(\d+)/.exec(JSON.stringify(one))?.[1]}`)
    .join(' ');
}

const short = (name: string): string => name.replace('layotto_callee_', '');

function write(file: string, text: string): void {
  files[file] = text;
  given.push(`${file.replace(/.*\.(\w+)\.yaml/, '$1')}: ${shown(file, text)}`);
}

function start(callees: Record<string, CalleeConfig>): void {
  ways = new CalleeWays(
    {
      envoy: {
        push: async (file, text) => {
          write(file, String(text));
          return refused[file];
        },
        warm: async () => lacking,
        write: (file, text) => write(file, String(text)),
      },
      render: (one) => waysOf(one, { hold: false, direct: true }),
      lingerMs: LINGER_MS,
      exclusively: async (work) => {
        later.push(work);
      },
      say: (line) => void said.push(line),
    },
    config(callees),
  );
}

/** Does what waits for its time. */
async function afterwards(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 3 * LINGER_MS));
  for (const work of later.splice(0)) await work();
}

beforeEach(() => {
  [given, said, refused, lacking, files, later] = [[], [], {}, undefined, {}, []];
});
afterEach(() => ways.end());

const http = (list: string): string =>
  list
    .split(' ')
    .flatMap((name) => [name, `${name}|http`])
    .join(' ');

it('brings clusters before the routes to them, and removes those of before when their calls have had their time', async () => {
  start({ a: { to: at(1) }, b: { to: at(2) } });
  expect(await ways.apply(config({ b: { to: at(2) }, c: { to: at(3) } }))).toBeUndefined();
  const routes = given[1]?.split(': ')[1]?.split(' ') ?? [];
  expect(given[0]).toBe('cds: a=1 b=2 c=3');
  expect(new Set(routes)).toEqual(new Set(http('b c').split(' ')));
  expect(given).toHaveLength(2);
  await afterwards();
  expect(given.slice(2)).toEqual(['cds: b=2 c=3']);
});

it('has a callee whose address alone changes keep the name of its cluster, and its routes', async () => {
  start({ a: { to: at(1) } });
  await ways.apply(config({ a: { to: at(2) } }));
  await afterwards();
  expect(given).toEqual(['cds: a=2']);
});

it('gives a cluster that means something else another name, so that calls of old routes go where those meant', async () => {
  const v1 = { weight: 1, to: at(1) };
  const beta = { headers: { x: 'beta' }, to: at(9) };
  start({ a: { to: [], routes: [v1] } });
  await ways.apply(config({ a: { to: [], routes: [beta, v1] } }));
  // The first place of the routes was v1's; both have the names of the places that they are at.
  expect(given[0]).toBe('cds: a|0=1 a|0|~2=9 a|1=1');
  expect(given[1]).toContain('a|0|~2');
  await afterwards();
  expect(given.slice(2)).toEqual(['cds: a|0|~2=9 a|1=1']);
  // From there on its name stays.
  await ways.apply(config({ a: { to: [], routes: [{ ...beta, to: at(8) }, v1] } }));
  expect(given.slice(3)).toEqual(['cds: a|0|~2=8 a|1=1']);
});

it('leaves what lingers while other edits come, and then removes it all', async () => {
  start({ a: { to: at(1) }, b: { to: at(2) }, c: { to: at(3) } });
  await ways.apply(config({ b: { to: at(2) }, c: { to: at(3) } }));
  await ways.apply(config({ c: { to: at(3) } }));
  expect(given.filter((one) => one.startsWith('cds'))).toEqual([]);
  await afterwards();
  expect(given.filter((one) => one.startsWith('cds'))).toEqual(['cds: c=3']);
});

it.each<[string, () => void, string]>([
  ['refuses the clusters', () => (refused = { 'callees.cds.yaml': 'no' }), 'no'],
  ['refuses the routes', () => (refused = { 'runtime.rds.yaml': 'no routes' }), 'no routes'],
  ['finds no addresses', () => (lacking = 'no addresses'), 'no addresses'],
])('puts everything back when Envoy %s', async (_what, fail, failure) => {
  start({ a: { to: at(1) } });
  fail();
  expect(await ways.apply(config({ a: { to: at(1) }, b: { to: at(2) } }))).toBe(failure);
  expect(shown('callees.cds.yaml', files['callees.cds.yaml'] ?? '')).toBe('a=1');
  expect(files['runtime.rds.yaml'] ?? '').not.toContain('layotto_callee_b');
  [refused, lacking, given] = [{}, undefined, []];
  expect(await ways.apply(config({ a: { to: at(1) }, b: { to: at(2) } }))).toBeUndefined();
  expect(given[0]).toBe('cds: a=1 b=2');
  await afterwards();
  expect(said).toEqual([]);
});

it('says when clusters that nothing leads to stay', async () => {
  start({ a: { to: at(1) }, b: { to: at(2) } });
  await ways.apply(config({ b: { to: at(2) } }));
  refused = { 'callees.cds.yaml': 'no' };
  await afterwards();
  expect(said).toEqual(['clusters that nothing leads to any more stay: no']);
});

it('removes clusters in turn with other changes, and not when others are wanted by then', async () => {
  start({ a: { to: at(1) }, b: { to: at(2) } });
  await ways.apply(config({ b: { to: at(2) } }));
  await new Promise((resolve) => setTimeout(resolve, 3 * LINGER_MS));
  expect([later.length, given.filter((one) => one.startsWith('cds'))]).toEqual([1, []]);
  await ways.apply(config({ a: { to: at(1) }, b: { to: at(2) } }));
  await afterwards();
  // The one that lingers is not the one that is wanted again, and goes when only that one is.
  expect(given.filter((one) => one.startsWith('cds'))).toEqual(['cds: a=1 a|~2=1 b=2', 'cds: a|~2=1 b=2']);
});

it('removes nothing any more when it has ended', async () => {
  start({ a: { to: at(1) }, b: { to: at(2) } });
  await ways.apply(config({ b: { to: at(2) } }));
  ways.end();
  await afterwards();
  expect(given.filter((one) => one.startsWith('cds'))).toEqual([]);
});
