/**
 * Which versions of Envoy the runtime is tested on, by which suites, and what was found: test/e2e/envoy-versions.json,
 * shown as a table in docs/proxies.md.
 */
import { join } from 'node:path';

import { ENVOY_VERSIONS } from '../../tools/get.mjs';
import { root } from './tree.mjs';

/** The committed results, and the document that shows them. */
export const RESULTS = join(root, 'test/e2e/envoy-versions.json');
export const DOCUMENT = join(root, 'docs/proxies.md');

/** The release of Istio whose proxy is made of each minor version. */
const ISTIO = { 1.36: '1.28', 1.37: '1.29', 1.38: '1.30', 1.39: '1.31', '1.40': '1.32' };

/** Suites in which Envoy takes part, with what they show. */
export const SUITES = {
  'envoy/real-envoy.spec.ts': 'configurations are accepted',
  'test/e2e/state.spec.ts': 'state through four doors',
  'test/e2e/json-door.spec.ts': 'JSON door',
  'test/e2e/grpc-details.spec.ts': "gRPC's details and limits",
  'test/e2e/streams.spec.ts': 'streams',
  'test/e2e/access.spec.ts': 'access by token, origin and host',
  'test/e2e/socket-access.spec.ts': 'Unix socket',
  'test/e2e/configuration-in-envoy.spec.ts': 'configuration, answered in Envoy',
  'test/e2e/configuration-app-calls.spec.ts': 'configuration, called by an app',
  'test/e2e/lock.spec.ts': 'locks',
  'test/e2e/sequencer.spec.ts': 'sequencers',
  'test/e2e/secret.spec.ts': 'secrets',
  'test/e2e/binding.spec.ts': 'bindings',
  'test/e2e/health-metadata.spec.ts': 'health and metadata',
  'test/e2e/actuator.spec.ts': 'actuator',
  'test/e2e/near-cache.spec.ts': 'near cache',
  'test/e2e/metrics.spec.ts': 'metrics',
  'test/e2e/tracing.spec.ts': 'spans',
  'test/e2e/markers.spec.ts': 'callers that imitate the filter',
  'test/e2e/reply-filter.spec.ts': 'Lua filter',
  'test/e2e/unserved.spec.ts': 'what is not served',
  'test/e2e/envoyfilter.spec.ts': 'EnvoyFilter, composed, with and without hold mode',
  'test/e2e/policy.spec.ts': 'policy',
  'test/e2e/rate-limits.spec.ts': 'rate limits',
  'test/e2e/outbound.spec.ts': 'plain calls to other services',
  'test/e2e/invoke.spec.ts': 'service invocation',
  'test/e2e/invoke-direct.spec.ts': 'service invocation without the filter',
  'test/e2e/invoke-service.spec.ts': '`InvokeService`, with and without hold mode',
  'test/e2e/invoke-governance.spec.ts': 'weights, mirrors, limits and retries of invocation',
  'test/e2e/pubsub-publish.spec.ts': 'publishing',
  'test/e2e/pubsub.spec.ts': 'deliveries',
  'test/e2e/pubsub-declared.spec.ts': 'subscriptions by configuration',
  'test/e2e/pubsub-brokers.spec.ts': 'deliveries by gRPC, from every broker',
  'test/e2e/pubsub-streams.spec.ts': 'events as streams',
  'test/e2e/node-deliveries.spec.ts': "deliveries by a node's bridge",
  'test/e2e/functions.spec.ts': 'functions',
  'test/e2e/function-calls.spec.ts': 'what functions call, and what triggers them',
  'test/e2e/reload.spec.ts': 'a changed configuration',
  'test/e2e/reload-callees.spec.ts': 'changed callees, under load',
  'test/e2e/without-wasm.spec.ts': 'the bridge without the filter',
  'test/fault/module-push.spec.ts': 'modules pushed under load',
  'test/fault/trap.spec.ts': 'a filter that traps',
};

/** In the names of tests that are left out: how many milliseconds something takes is the machine's, not the version's. */
export const OF_THE_MACHINE = 'the 99th percentile';

/**
 * The results as they are committed: per version the suites in which every test passed.
 * @param {Record<string, string[]>} passed
 */
export function resultsText(passed) {
  return `${JSON.stringify(passed, undefined, 2)}\n`;
}

/** Results as a table: a line per suite, a column per version. */
export function tableOf(passed) {
  const versions = Object.keys(passed);
  const heads = versions.map((version) => {
    const minor = version.split('.').slice(0, 2).join('.');
    return `Envoy ${version} (Istio ${ISTIO[minor]})`;
  });
  const lines = Object.entries(SUITES).map(([suite, what]) => [
    what,
    ...versions.map((version) => (passed[version].includes(suite) ? 'yes' : 'no')),
  ]);
  const table = [['tested', ...heads], ['---', ...versions.map(() => '---')], ...lines];
  return table.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** The document with the table between its marks. @throws Error if it has no marks */
export function withTable(document, table) {
  const marked = /(<!-- envoy versions -->\n)[\s\S]*?(<!-- \/envoy versions -->)/;
  if (!marked.test(document)) {
    throw new Error('docs/proxies.md has no <!-- envoy versions --> … <!-- /envoy versions -->');
  }
  return document.replace(marked, (_, begin, end) => `${begin}\n${table}\n${end}`);
}

/** What must have passed: every suite on every version. */
export function expected() {
  return Object.fromEntries([...ENVOY_VERSIONS].reverse().map((version) => [version, Object.keys(SUITES)]));
}
