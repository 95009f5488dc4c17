import { Exposition } from './exposition.js';
import { Histogram } from './histogram.js';

describe('Exposition', () => {
  it('writes families and samples as Prometheus reads them', () => {
    const to = new Exposition();
    to.family('a_total', 'counter', 'What it counts.');
    to.sample('a_total', 2, { name: 'say "hi"\\\n', type: 'x' });
    to.single('b', 'gauge', 'One number.', 0.5);
    expect(to.text).toBe(
      [
        '# HELP a_total What it counts.',
        '# TYPE a_total counter',
        'a_total{name="say \\"hi\\"\\\\\\n",type="x"} 2',
        '# HELP b One number.',
        '# TYPE b gauge',
        'b 0.5',
        '',
      ].join('\n'),
    );
  });
});

describe('Histogram', () => {
  it('counts each time in the first bucket that takes it, and in all after it', () => {
    const histogram = new Histogram();
    for (const ms of [0, 0.05, 0.051, 1, 9_999, 10_001, Infinity]) histogram.observe(ms);
    const to = new Exposition();
    histogram.write(to, 'x', { a: 'b' });
    const buckets = [...to.text.matchAll(/^x_bucket\{a="b",le="([^"]+)"\} (\d+)$/gm)].map(
      ([, bound, count]) => `${bound}: ${count}`,
    );
    expect(buckets).toEqual([
      ...['0.00005: 2', '0.0001: 3', '0.00025: 3', '0.0005: 3', '0.001: 4', '0.0025: 4'],
      ...['0.005: 4', '0.01: 4', '0.025: 4', '0.05: 4', '0.1: 4', '0.25: 4', '0.5: 4', '1: 4'],
      ...['2.5: 4', '5: 4', '10: 5', '+Inf: 7'],
    ]);
    expect(to.text).toContain('\nx_count{a="b"} 7\n');
  });

  it('sums in seconds', () => {
    const histogram = new Histogram();
    histogram.observe(250);
    histogram.observe(500);
    const to = new Exposition();
    histogram.write(to, 'x', {});
    expect(to.text).toContain('\nx_sum 0.75\nx_count 2\n');
  });
});
