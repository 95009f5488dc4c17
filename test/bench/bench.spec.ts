/** The arithmetic of `make bench` on canned figures: nothing here is timed. */

interface Spread {
  median: number;
  low: number;
  high: number;
}
interface Row {
  id: string;
  rounds: object[];
  own: Spread;
  perCpuSecond: Spread;
}
interface Verdict {
  title: string;
  door: string;
  results: { inflight: number; limit: number; ratio: Spread; met: boolean }[];
}
interface Case {
  id: string;
  server: string;
}

/** The bench is plain JavaScript, so that it runs before anything is built. */
async function bench<T>(file: string): Promise<T> {
  return (await import(new URL(file, import.meta.url).href)) as T;
}

const { summarize } = await bench<{ summarize: (results: object[]) => Row[] }>('summary.mjs');
const { judge } = await bench<{ judge: (rows: Row[]) => Verdict[] }>('targets.mjs');
const { report } = await bench<{ report: (run: object) => string }>('report.mjs');
const { plots } = await bench<{ plots: (rows: Row[]) => Record<string, string> }>('plots.mjs');
const { between } = await bench<{ between: (text: string, part: string, inside: string) => string }>(
  'output.mjs',
);
const { chooseCases } = await bench<{ chooseCases: (settings: object) => Case[] }>('cases.mjs');
const { readSettings } = await bench<{ readSettings: (env: object) => object }>('settings.mjs');
const { summary } = await bench<{ summary: (printed: string, log: string, load: object) => object }>(
  'h2load.mjs',
);
const { className } = await bench<{ className: (mangled: string) => string | undefined }>('profile/elf.mjs');
const { parseSample } = await bench<{ parseSample: (block: string) => object | undefined }>(
  'profile/samples.mjs',
);

const { functionsReport } = await bench<{ functionsReport: (run: object) => string }>('functions-report.mjs');
const { invokeReport, verdict } = await bench<{
  invokeReport: (run: object) => string;
  verdict: (result: object) => { ratio: number; more: number; met: boolean };
}>('invoke-report.mjs');
const { pubsubReport } = await bench<{ pubsubReport: (run: object) => string }>('pubsub-report.mjs');

/** A result of one round of GetState, 1 KiB, 16 in flight. */
function result(server: string, door: string, round: number, cpuPerCall: Record<string, number>, p50 = 1) {
  const one = { server, door, call: 'get', bytes: 1024, inflight: 16, round };
  const id = [server, door, 'get', 1024, 16].join('/');
  return { ...one, id, cpuPerCall, calls: 100, perSecond: 100, p50, p99: 2 * p50, max: 9, others: 0.1 };
}

/** Three rounds; in the second the whole machine is twice as slow. */
const ROUNDS = [1, 2, 1].flatMap((slow, round) => [
  result('layotto', 'layotto-grpc', round, { Envoy: 30 * slow, bridge: 18 * slow, Redis: 3 * slow }),
  result('empty', 'dapr-grpc', round, { Envoy: 10 * slow }),
  result('ioredis', 'none', round, { 'ioredis loop': 6 * slow, Redis: 2 * slow }),
  result('daprd', 'dapr-grpc', round, { daprd: 72 * slow, Redis: 9 * slow }),
]);

describe('a run', () => {
  const rows = summarize(ROUNDS);
  const verdicts = judge(rows);
  const verdict = (title: RegExp) => verdicts.find((one) => title.test(one.title))?.results[0];

  test('gives the median of the rounds and their range, without Redis in the sum', () => {
    expect(rows.map(({ id }) => id)).toHaveLength(4);
    expect(rows[0]?.own).toEqual({ median: 48, low: 48, high: 96 });
    expect(rows[0]?.perCpuSecond.median).toBeCloseTo(1e6 / 48);
  });

  test('is judged by ratios within a round, which a slow round leaves as they are', () => {
    expect(verdict(/direct_response/)).toEqual({
      inflight: 16,
      limit: 2.6,
      ratio: { median: 3, low: 3, high: 3 },
      met: false,
    });
    expect(verdict(/ioredis/)).toMatchObject({ limit: 3.2, ratio: { median: 3 }, met: true });
    expect(verdict(/calls per CPU second \/ daprd's$/)).toMatchObject({ ratio: { median: 1.5 }, met: true });
  });

  test('leaves rounds out that other programs disturbed, but not the last three', () => {
    const shares = [0.5, 0, 0, 0.6, 0];
    const disturbed = shares.map((others, round) => {
      const cost = others > 0 ? 90 : 30;
      return { ...result('layotto', 'layotto-grpc', round, { Envoy: cost }), others };
    });
    expect(summarize(disturbed)[0]?.own).toEqual({ median: 30, low: 30, high: 30 });
    const all = disturbed.slice(3).concat(disturbed.slice(0, 1));
    expect(summarize(all)[0]?.own).toEqual({ median: 90, low: 30, high: 90 });
  });

  test('is not judged by what was not measured', () => {
    expect(verdicts.some(({ title }) => /mesh/.test(title))).toBe(false);
    expect(judge(rows.filter(({ id }) => id.startsWith('layotto/')))).toEqual([]);
  });

  test('is reported with met and missed targets, and drawn', () => {
    const about = {
      date: '2026-01-01',
      machine: 'a machine',
      versions: { envoy: 'Envoy 1' },
      generator: 'h2load',
      rounds: 3,
      seconds: 1,
      workers: 1,
      nice: 0,
      peer: true,
      others: [0.1, 0.2],
    };
    const memory = {
      idle: { bridge: 50 },
      after: { bridge: 60 },
      module: { with: { own: 41, resident: 90 }, without: { own: 16, resident: 60 } },
    };
    const text = report({ about, rows, memory });
    expect(text).toMatch(/direct_response.*\*\*missed\*\*: 3\.00 \(3\.00–3\.00\), at most 2\.6/);
    expect(text).toMatch(/ioredis GET loop.*\| met: 3\.00/);
    expect(text).toContain('| bridge | 50.0 MiB | met: at most 55 MiB');
    expect(text).toContain('25.0 MiB | **missed**: at most 19 MiB');
    expect(text).toContain('41.0 MiB with it, 16.0 without; 30.0 resident');
    const pictures = plots(rows);
    expect(Object.keys(pictures)).toEqual(['cpu-16.svg', 'latency.svg']);
    for (const svg of Object.values(pictures)) {
      expect(svg).not.toMatch(/NaN|undefined/);
      expect(svg.match(/<rect/g)?.length).toBeGreaterThan(2);
    }
  });
});

describe('cases', () => {
  const all = { full: true, only: /./ };

  test('leave daprd out where it is not there', () => {
    expect(chooseCases(all).some(({ server }) => server.startsWith('daprd'))).toBe(false);
    expect(chooseCases({ ...all, daprd: '/bin/daprd' }).some(({ server }) => server === 'daprd')).toBe(true);
  });

  test('can be chosen by id', () => {
    const chosen = chooseCases({ full: false, only: /get\/1024\/16$/ });
    expect(chosen.map(({ id }) => id)).toContain('layotto/layotto-grpc/get/1024/16');
    expect(chosen.every(({ id }) => id.endsWith('get/1024/16'))).toBe(true);
  });

  test('a setting that makes no sense is refused by name', () => {
    expect(() => readSettings({ BENCH_ROUNDS: 'many' })).toThrow(/BENCH_ROUNDS is many/);
    expect(() => readSettings({ BENCH_LOAD: 'wrk' })).toThrow('BENCH_LOAD is wrk, it can be h2load or node');
    expect(() => readSettings({ BENCH_ONLY: '(' })).toThrow(/BENCH_ONLY is no regular expression/);
  });
});

describe('what h2load says', () => {
  const printed = (status: string, data: number) => `
requests: 3 total, 4 started, 3 done, 3 succeeded, 0 failed, 0 errored, 0 timeout
status codes: ${status}
traffic: 1.00KB (1000) total, 12B (12) headers (space savings 90.00%), 0.1KB (${data}) data`;
  const log = '1\t200\t3000\n2\t200\t1000\n3\t200\t2000\n4\t-1\t9000\n';
  const load = { inflight: 1, answerBytes: 100, seconds: 2 };

  test('is taken as figures', () => {
    const figures = summary(printed('3 2xx, 0 3xx, 0 4xx, 0 5xx', 300), log, load);
    expect(figures).toEqual({ calls: 3, perSecond: 1.5, p50: 2, p99: 3, max: 3 });
  });

  test('is refused when an answer was not the expected one, as a gRPC error with HTTP 200', () => {
    const bad = () => summary(printed('3 2xx, 0 3xx, 0 4xx, 0 5xx', 200), log, load);
    expect(bad).toThrow('3 answers brought 200 bytes, 100 each were expected');
    const failed = () => summary(printed('2 2xx, 0 3xx, 0 4xx, 1 5xx', 300), log, load);
    expect(failed).toThrow(/calls failed/);
  });
});

test('the result goes between the markers of the page, and nowhere without them', () => {
  expect(between('a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n', 'bench', 'new')).toBe(
    'a\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\nb\n',
  );
  expect(() => between('a', 'bench', 'new')).toThrow(/must hold/);
});

describe('the profile', () => {
  test('reads names of classes', () => {
    expect(className('N5Envoy4Http13FilterManagerE')).toBe('Envoy::Http::FilterManager');
    expect(className('N12_GLOBAL__N_13FooE')).toBe('(anonymous)::Foo');
    expect(className('St13bad_exception')).toBe('std::bad_exception');
    expect(className('99short')).toBeUndefined();
  });

  test('reads samples, and tells code made at run time by having no file', () => {
    const block = `wrk:worker_0 12/34
\t   5535882 [unknown] (/opt/envoy)
\t254a8a782074 [unknown] (/tmp/perf-12.map)
\tffffffff81000000 do_syscall_64+0x12 ([kernel.kallsyms])
`;
    expect(parseSample(block)).toEqual({
      pid: 12,
      thread: 'wrk:worker_0',
      frames: [
        { address: 0x5535882, symbol: '[unknown]', object: '/opt/envoy' },
        { address: 0x254a8a782074, symbol: '[unknown]', object: '' },
        { address: 0xffffffff81000000, symbol: 'do_syscall_64+0x12', object: '[kernel.kallsyms]' },
      ],
    });
    expect(parseSample('')).toBeUndefined();
  });
});

test('events are reported by the median of their rounds, with the processes that took part', () => {
  const rounds = [3, 1, 2].map((slow, round) => {
    const cpuPerCall = { Envoy: 100 * slow, bridge: 200 * slow, Redis: 0.1 };
    const figures = { perSecond: 600 / slow, p50: slow, p99: 10 * slow, cpuPerCall };
    return {
      id: 'pubsub/embedded/whole/16',
      broker: 'embedded',
      what: 'whole',
      inflight: 16,
      round,
      ...figures,
    };
  });
  const text = pubsubReport({
    ...{ date: '2026-01-02', machine: 'a machine', settings: { rounds: 3, seconds: 2 } },
    results: rounds,
  });
  expect(text).toContain('2026-01-02, a machine; 3 rounds of 2 s');
  expect(text.split('\n').at(-1)).toBe(
    '| embedded | through the runtime | 16 | 300 | 2.00 | 20.00 | 600 (Envoy 200, bridge 400) |',
  );
});

test('what functions cost is said beside what it may cost, as medians over the rounds', () => {
  const cpu = [1, 2, 3].flatMap((round) =>
    Object.entries({ empty: 10, 'at-once': 30, stock: 60, relay: 90 }).map(([what, Envoy]) => ({
      ...{ what, inflight: 16, round, others: 0.25, perSecond: 100 * round, p50: round, p99: 10 * round },
      cpuPerCall: { Envoy: Envoy * round, bridge: round },
    })),
  );
  const pushes = [100, 400, 300].map((first) => ({ first, command: first + 1 }));
  const text = functionsReport({
    ...{ date: '2026-01-02', machine: 'a machine', settings: { rounds: 3, seconds: 1, workers: 1 } },
    ...{ cpu, pushes, memory: { idle: 3.5, busy: 4.5, workers: 2 } },
  });
  expect(text).toContain('Other programs took 25 % of the machine meanwhile.');
  expect(text).toContain('| a function that answers at once | 16 | 200 | 2.00 | 20.00 | 60 | 2 |');
  expect(text.split('\n').slice(-6)).toEqual([
    "| Envoy's CPU for a function beyond Envoy's own answer, 16 in flight | 40 µs | met: at most 40 µs |",
    '| the same for one that makes a state call, 16 in flight | 100 µs | **missed**: at most 40 µs |',
    '| the whole of a call from function to function, 16 in flight | 120 µs | **missed**: at most 40 µs |',
    '| from the start of `layotto function push` to the first answer | 300 ms | met: at most 500 ms |',
    '| memory of one more function, idle, 2 workers | 3.5 MiB | met: at most 4 MiB |',
    '| the same after calls | 4.5 MiB | **missed**: at most 4 MiB |',
  ]);
});

describe('invocation', () => {
  /** Three rounds; in the second the whole machine is twice as slow. */
  const way = (cpu: number, p50: number): object[] =>
    [1, 2, 1].map((slow) => ({ cpu: cpu * slow, p50: p50 * slow }));
  const result = (cpu: number, p50: number, inflight = 1, judged = true): object => ({
    ...{ title: 'HTTP invoke, POST', inflight, judged },
    ...{ with: way(cpu, p50), reading: way(107, 415), empty: way(105, 410), without: way(100, 400) },
  });

  test.each([
    [result(110, 450), true],
    [result(111, 450), false],
    [result(110, 451), false],
    [result(110, 900, 16), true],
    [result(111, 400, 16), false],
    [result(300, 900, 1, false), true],
  ])('%j: %s', (one, met) => {
    expect(verdict(one).met).toBe(met);
  });

  test('is reported by the medians of its slices, each compared with that of the other way in the same turn', () => {
    const text = invokeReport({
      ...{ date: '2026-01-02', machine: 'a machine', others: 0.25 },
      ...{ settings: { rounds: 3, seconds: 2, workers: 1 }, results: [result(120, 430)] },
    });
    expect(text).toContain('2026-01-02, a machine; 1 Envoy worker each, 3 rounds of 2 s each way, in turns.');
    expect(text).toContain('Other programs took 25 % of the machine');
    expect(text.split('\n').at(-1)).toBe(
      '| HTTP invoke, POST | 1 | 120, 107, 105, 100 | 1.20 | 1.07 | 1.05 | 430, 415, 410, 400 | 30 | **missed** |',
    );
  });
});
