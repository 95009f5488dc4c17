import { pino } from 'pino';

import type { RuntimeConfig } from './config/types.js';
import type { Applied } from './primitives/registry.js';
import { Reloads } from './reload.js';

const running: RuntimeConfig = {
  source: 'c.yaml',
  app: { id: 'shop', port: 0, protocol: 'http' },
  listen: { host: '127.0.0.1', port: 34904, hosts: [] },
  dataDir: '/data',
  limits: { messageBytes: 1, operations: 2, streams: 6, bytes: 3, cacheBytes: 0, deadlineMs: 4 },
  envoy: { concurrency: 2, metricsPort: 0 },
  modules: { slots: 0 },
  outbound: [],
  lifecycle: { apply: true },
  components: [],
};

const store = {
  name: 'cache',
  type: 'state.embedded',
  version: 'v1',
  primitive: 'state',
  form: 'native' as const,
  metadata: {},
  origin: { file: 'c.yaml', line: 3 },
};

describe('Reloads', () => {
  let asked: RuntimeConfig[];
  let answer: Applied[];
  let logged: { level: number; msg: string }[];
  let wanted: () => Promise<RuntimeConfig>;
  let reloads: Reloads;

  beforeEach(() => {
    asked = [];
    answer = [];
    logged = [];
    const log = pino({ base: null }, { write: (line) => void logged.push(JSON.parse(line) as never) });
    const apply = async (config: RuntimeConfig): Promise<Applied[]> => {
      asked.push(config);
      return answer;
    };
    reloads = new Reloads({ bridge: { apply }, running, load: () => wanted(), log });
  });

  it('applies components, and says what became of each', async () => {
    wanted = async () => ({ ...running, components: [store] });
    answer = [
      { primitive: 'state', name: 'cache', outcome: 'added', reason: 'no answer' },
      { primitive: 'state', name: 'statestore', outcome: 'unchanged' },
      { primitive: 'state', name: 'other', outcome: 'kept', reason: 'refused' },
    ];
    await reloads.reload();
    expect(asked.map(({ components }) => components)).toEqual([[store]]);
    expect(logged).toMatchObject([
      { msg: 'component added', component: 'cache', reason: 'no answer' },
      {
        level: 40,
        component: 'other',
        reason: 'refused',
        msg: expect.stringMatching(/old settings/) as string,
      },
    ]);
  });

  it('says of other settings that they need a restart, and applies the rest', async () => {
    wanted = async () => ({ ...running, limits: { ...running.limits, operations: 9 }, components: [store] });
    await reloads.reload();
    expect(logged[0]?.msg).toMatch(/^limits\.operations: needs a restart/);
    expect(asked).toEqual([{ ...running, components: [store] }]);
  });

  it('changes nothing for a configuration that is wrong, which it names', async () => {
    wanted = () => Promise.reject(new Error('c.yaml:1: x: unknown key\nc.yaml:2: y: unknown key'));
    await reloads.reload();
    expect(asked).toEqual([]);
    expect(logged).toMatchObject([
      { level: 50, problem: 'c.yaml:1: x: unknown key' },
      { level: 50, problem: 'c.yaml:2: y: unknown key' },
      { level: 50, msg: 'the configuration is wrong; everything stays as it is' },
    ]);
  });

  it('does nothing when nothing changes', async () => {
    wanted = async () => ({ ...running, source: 'elsewhere' });
    await reloads.reload();
    expect(asked).toEqual([]);
  });

  it('applies what was read last, whichever was read first', async () => {
    let finish: (config: RuntimeConfig) => void = () => undefined;
    wanted = () => new Promise((resolve) => (finish = resolve));
    const slow = reloads.reload();
    wanted = async () => ({ ...running, components: [store] });
    await reloads.reload();
    finish({ ...running, components: [store, { ...store, name: 'old' }] });
    await slow;
    expect(asked.map(({ components }) => components)).toEqual([[store]]);
  });
});
