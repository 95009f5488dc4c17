import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { Checked } from './config-options.js';
import { Reloader } from './reloader.js';

let said: string[];
let steps: string[];
let found: Checked;
let hold: Promise<void>;

const good = (source: string): Checked => ({
  config: { source } as RuntimeConfig,
  problems: [],
  notices: [],
});

const target = {
  apply: async ({ source }: RuntimeConfig): Promise<void> => {
    steps.push(`apply ${source}`);
    await hold;
  },
  takeOver: async (): Promise<void> => void steps.push('take over'),
};

/** Long enough for everything that waits for nothing. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

let reloader: Reloader;

beforeEach(() => {
  [said, steps, found, hold] = [[], [], good('one'), Promise.resolve()];
  reloader = new Reloader(
    async () => found,
    (line) => said.push(line),
  );
});

afterEach(() => reloader.end());

it('applies what was edited, and for SIGHUP has another bridge take over as well', async () => {
  reloader.begin(target);
  await settled();
  expect(steps).toEqual([]);
  reloader.edited();
  await settled();
  reloader.hungUp();
  await settled();
  expect(steps).toEqual(['apply one', 'apply one', 'take over']);
});

it('makes up for what was edited before it began', async () => {
  reloader.edited();
  await settled();
  expect(steps).toEqual([]);
  reloader.begin(target);
  await settled();
  expect(steps).toEqual(['apply one']);
});

it('says each problem, and changes nothing', async () => {
  reloader.begin(target);
  found = { problems: ['c.yaml:1: x: unknown key', 'c.yaml:2: y: unknown key'], notices: [] };
  reloader.edited();
  await settled();
  expect(steps).toEqual([]);
  expect(said).toEqual([
    'layotto: c.yaml:1: x: unknown key',
    'layotto: c.yaml:2: y: unknown key',
    'layotto: the configuration is wrong; everything stays as it is',
  ]);
});

it('does one after the other, and once what is asked for several times', async () => {
  let go: () => void = () => undefined;
  hold = new Promise((resolve) => (go = resolve));
  reloader.begin(target);
  reloader.edited();
  await settled();
  found = good('two');
  for (let times = 0; times < 3; times++) reloader.edited();
  await settled();
  expect(steps).toEqual(['apply one']);
  go();
  await settled();
  expect(steps).toEqual(['apply one', 'apply two']);
});

it('goes on after a failure, and does nothing more after its end', async () => {
  reloader.begin({ ...target, apply: () => Promise.reject(new Error('disk full')) });
  reloader.edited();
  await settled();
  expect(said).toEqual(['layotto: changing what runs failed: disk full']);
  reloader.hungUp();
  await settled();
  expect(steps).toEqual(['take over']);
  await reloader.end();
  reloader.edited();
  await settled();
  expect(steps).toEqual(['take over']);
});
