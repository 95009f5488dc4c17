import { calleeStat } from './stats.js';

test.each([
  ['layotto_callee_orders|http.upstream_rq_200', 'orders', 'upstream_rq_200'],
  ['layotto_callee_orders|0|http|~2.upstream_rq_time', 'orders', 'upstream_rq_time'],
  ['layotto_callee_orders.eu.upstream_rq_200', 'orders.eu', 'upstream_rq_200'],
  ['layotto_callee_orders.retry.upstream_rq_503', 'orders', 'retry.upstream_rq_503'],
  ['layotto_callee_orders|1|http.external.upstream_rq_200', 'orders', 'external.upstream_rq_200'],
  [
    'layotto_callee_orders|http.outlier_detection.ejections_active',
    'orders',
    'outlier_detection.ejections_active',
  ],
])('%s is of a callee', (name, callee, stat) => {
  expect(calleeStat(`cluster.${name}`)).toEqual({ callee, stat });
});

test('others are not', () => {
  for (const name of [
    'cluster.layotto_app.upstream_rq_200',
    'cluster.layotto_callee_orders|mirror|http.upstream_rq_200',
    'http.layotto_callee_orders.upstream_rq_200',
  ])
    expect(calleeStat(name)).toBeUndefined();
});
