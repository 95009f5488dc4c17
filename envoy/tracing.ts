import { isIP } from 'node:net';

import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { CLUSTERS, FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** What a listener and its clusters need so that calls are traced. */
export interface TracingParts {
  /** Fields of the connection manager. */
  manager: EnvoyObject;
  /** The filter before the runtime's own. */
  filter: EnvoyObject;
  /** Fields of the routes: the name of Envoy's spans. */
  route: EnvoyObject;
  cluster: EnvoyObject;
}

/** The parent that is written where Envoy cannot say what its span is; the bridge takes it as none. */
const UNKNOWN_PARENT = 'f'.repeat(16);

/** Envoys from this minor version on can write their span's id (`%SPAN_ID%`). */
const KNOWS_ITS_SPAN = 38;

/** Envoy marks an x-request-id whose call it has decided to trace: the 15th character is 9, a or b, and not 4. */
const MARKED = '.{14}[9ab].*';
/** The sampled flag, the lowest bit of the last digit. */
const SAMPLED = '.*[13579bdf]';

/**
 * Tracing by Envoy, to an OpenTelemetry collector over HTTP; undefined if the configuration asks for none.
 *
 * Envoy's tracer begins a span for each call but puts its place into headers only for an upstream, of which the
 * runtime's calls have none. So a header mutation before the runtime's filter writes it into `traceparent`, from where
 * filter and bridge take it. It is done for calls that are recorded only: those whose caller records them, and, of the
 * calls that bring no trace, those that Envoy has decided to record. A substitution cannot say that, so a matcher does.
 *
 * @param envoyVersion such as `1.40.0`; if it is not known, or below 1.38, Envoy's own span cannot be named: a
 *   caller's `traceparent` then stays as it is, and the bridge's span stands beside Envoy's instead of below it
 */
export function tracingParts(config: RuntimeConfig, envoyVersion?: string): TracingParts | undefined {
  const { tracing } = config;
  if (tracing === undefined) return undefined;
  const url = new URL(tracing.otlp);
  return {
    manager: {
      // Envoy decides by it whether to record a new trace.
      generate_request_id: true,
      early_header_mutation_extensions: [decisionHeaders()],
      tracing: {
        random_sampling: { value: tracing.sampling * 100 },
        provider: {
          name: 'envoy.tracers.opentelemetry',
          typed_config: {
            '@type': TYPES.openTelemetry,
            service_name: config.app.id,
            http_service: {
              http_uri: {
                uri: `${tracing.otlp}/v1/traces`,
                cluster: CLUSTERS.collector,
                timeout: '5s',
              },
            },
          },
        },
      },
    },
    filter: traceparentFilter(knowsItsSpan(envoyVersion)),
    route: { decorator: { operation: 'layotto', propagate: false } },
    cluster: collectorCluster(url),
  };
}

/**
 * The headers by which Envoy decides. A caller's own x-request-id would decide for the caller, or, if it is no UUID,
 * never; and from 1.39 on Envoy goes on with a trace that is recorded only if it decides so too, which an
 * x-client-trace-id makes it do. A trace that is not recorded stays so.
 */
function decisionHeaders(): EnvoyObject {
  const force = { key: 'x-client-trace-id', value: '%REQ(traceparent)%' };
  return {
    name: 'envoy.http.early_header_mutation.header_mutation',
    typed_config: {
      '@type': TYPES.earlyHeaderMutation,
      mutations: [{ remove: 'x-request-id' }, { remove: force.key }, { append: { header: force } }],
    },
  };
}

function knowsItsSpan(version = ''): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 1 || (major === 1 && minor >= KNOWS_ITS_SPAN);
}

function traceparentFilter(spanKnown: boolean): EnvoyObject {
  const begun = allOf([headerMatches('x-request-id', MARKED), not(headerMatches('traceparent', '.*'))]);
  // With its span unknown, the caller's is a better parent than none.
  const recorded = spanKnown ? anyOf([headerMatches('traceparent', SAMPLED), begun]) : begun;
  const header = {
    key: 'traceparent',
    value: `00-%TRACE_ID%-${spanKnown ? '%SPAN_ID%' : UNKNOWN_PARENT}-01`,
  };
  return {
    name: FILTERS.trace,
    typed_config: {
      '@type': TYPES.extensionWithMatcher,
      extension_config: {
        name: 'envoy.filters.http.header_mutation',
        typed_config: {
          '@type': TYPES.headerMutation,
          mutations: {
            request_mutations: [{ append: { header, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } }],
          },
        },
      },
      xds_matcher: {
        matcher_list: {
          matchers: [
            {
              predicate: not(recorded),
              on_match: { action: { name: 'skip', typed_config: { '@type': TYPES.skipFilter } } },
            },
          ],
        },
      },
    },
  };
}

function headerMatches(name: string, regex: string): EnvoyObject {
  return {
    single_predicate: {
      input: {
        name: 'envoy.matching.inputs.request_headers',
        typed_config: { '@type': TYPES.requestHeaderInput, header_name: name },
      },
      value_match: { safe_regex: { google_re2: {}, regex } },
    },
  };
}

function not(predicate: EnvoyObject): EnvoyObject {
  return { not_matcher: predicate };
}

function allOf(predicate: EnvoyObject[]): EnvoyObject {
  return { and_matcher: { predicate } };
}

function anyOf(predicate: EnvoyObject[]): EnvoyObject {
  return { or_matcher: { predicate } };
}

function collectorCluster({ hostname, port }: URL): EnvoyObject {
  const address = hostname.replace(/^\[(.+)\]$/, '$1');
  const endpoint = { address: { socket_address: { address, port_value: Number(port || 80) } } };
  return {
    name: CLUSTERS.collector,
    type: isIP(address) === 0 ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: CLUSTERS.collector,
      endpoints: [{ lb_endpoints: [{ endpoint }] }],
    },
    // A collector that hangs must not make Envoy keep spans without bound.
    circuit_breakers: { thresholds: [{ max_connections: 16, max_pending_requests: 16, max_requests: 16 }] },
  };
}
