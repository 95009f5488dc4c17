/**
 * Suites of test/e2e and test/fault that count milliseconds, let timers race with calls or load both cores: nothing else
 * runs beside them.
 */
export const ALONE = [
  'test/e2e/configuration-in-envoy.spec.ts',
  'test/e2e/metrics.spec.ts',
  'test/e2e/near-cache.spec.ts',
  'test/e2e/rate-limits.spec.ts',
  'test/e2e/reload.spec.ts',
  'test/e2e/streams.spec.ts',
  'test/fault/bridge-killed.spec.ts',
  'test/fault/bridge-stopped.spec.ts',
  'test/fault/bridge-takeover.spec.ts',
  'test/fault/large-beside-small.spec.ts',
  'test/fault/memory-bounds.spec.ts',
  'test/fault/module-push.spec.ts',
  'test/fault/trap.spec.ts',
];
