import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { catalog } from '../catalog.js';
import { loadConfig } from '../config/index.js';
import type { LoadResult } from '../config/index.js';
import { parseBiggerThan, segmentStep } from '../config/sequences.js';

/** The settings of sequencers, as each form writes them. */
describe('metadata of sequencers', () => {
  let dir: string;

  beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'sequencers-'))));
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function load(name: string, text: string): Promise<LoadResult> {
    const file = join(dir, name);
    await writeFile(file, text);
    return loadConfig({ catalog, file });
  }

  it("takes Layotto's settings, also beside the metadata", async () => {
    const demo = {
      type: 'redis',
      biggerThan: { key1: 1, key2: 2000 },
      segmentCacheEnable: true,
      segmentStep: 500,
      metadata: { redisHost: 'localhost:6380', redisPassword: '' },
    };
    const locks = {
      one: { type: 'redis_cluster', metadata: { redisHosts: 'a:1,b:2', concurrency: '4' } },
      two: { type: 'in-memory', metadata: {} },
    };
    const grpc = { sequencer: { demo, memory: { type: 'in-memory', metadata: {} } }, lock: locks };
    const result = await load('layotto.json', JSON.stringify(grpc));
    if (!('config' in result)) throw new Error(JSON.stringify(result.problems));
    expect(result.notices).toEqual([]);
    const { components } = result.config;
    expect(components.map(({ name, type }) => [name, type])).toEqual([
      ['demo', 'sequencer.redis'],
      ['memory', 'sequencer.embedded'],
      ['one', 'lock.redis_cluster'],
      ['two', 'lock.embedded'],
    ]);
    expect(components.map(segmentStep)).toEqual([500, undefined, undefined, undefined]);
    expect(parseBiggerThan(components[0]?.metadata['biggerThan'] ?? '')).toEqual(
      new Map([
        ['key1', 1n],
        ['key2', 2000n],
      ]),
    );
  });

  it.each([
    ['segmentStep: "1"', 'expected a whole number from 2 to 1000000'],
    ['segmentStep: "1000001"', 'expected a whole number from 2 to 1000000'],
    ['segmentStep: many', 'expected a whole number from 2 to 1000000'],
    ['segmentCacheEnable: maybe', 'expected true or false'],
    ['biggerThan: many', 'expected a JSON object of keys'],
    [`biggerThan: '["k"]'`, 'expected a JSON object of keys'],
    [`biggerThan: '{"k": -1}'`, 'expected a JSON object of keys'],
    [`biggerThan: '{"k": 1.5}'`, 'expected a JSON object of keys'],
    [`biggerThan: '{"k": 9007199254740993}'`, 'expected a JSON object of keys'],
    [`biggerThan: '{"k": "9223372036854775807"}'`, 'expected a JSON object of keys'],
    [`biggerThan: '{"": 1}'`, 'expected a JSON object of keys'],
    [`biggerThan: '{"a||b": 1}'`, 'expected a JSON object of keys'],
    ['keyPrefix: "a||b"', 'expected a prefix without "||"'],
  ])('refuses %s', async (line, message) => {
    const text = `components:\n  - name: ids\n    type: sequencer.embedded\n    metadata:\n      ${line}\n`;
    const result = await load('layotto.yaml', text);
    expect('problems' in result ? result.problems : []).toEqual([
      expect.objectContaining({ line: 5, message: expect.stringContaining(message) as string }),
    ]);
  });

  it('has a step of its own only if runs are given', () => {
    const of = (metadata: Record<string, string>) =>
      segmentStep({ metadata } as Parameters<typeof segmentStep>[0]);
    expect(of({ segmentStep: '5' })).toBeUndefined();
    expect(of({ segmentCacheEnable: 'false', segmentStep: '5' })).toBeUndefined();
    expect(of({ segmentCacheEnable: 'yes' })).toBe(10_000);
    expect(of({ SEGMENTCACHEENABLE: '1', segmentstep: '5' })).toBe(5);
  });
});
