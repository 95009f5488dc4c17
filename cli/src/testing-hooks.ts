import type { ResolveHook } from 'node:module';

/** Leads to this package's own, so that a test needs no package of that name beside it. */
export const resolve: ResolveHook = (specifier, context, next) =>
  specifier === 'layotto-envoy/testing'
    ? { url: new URL('./testing.js', import.meta.url).href, shortCircuit: true }
    : next(specifier, context);
