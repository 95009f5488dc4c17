import { isIP } from 'node:net';

import type { CalleeAddress, CalleeConfig, CalleeRoute } from '../components-bridge/src/config/types.js';
import { endpointParts } from './endpoints.js';
import { CALLEE_CLUSTER, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** By this header of its own answers a callee's Envoy says that the app gave none; {@link NOT_SENT}: nor got the call. */
export const FAILED = 'x-layotto-unanswered';
export const NOT_SENT = 'not-sent';
export const LOST = 'lost';

/** Matches requests that are not gRPC. */
export const NOT_GRPC = {
  name: 'content-type',
  string_match: { prefix: 'application/grpc' },
  ...{ treat_missing_header_as_empty: true, invert_match: true },
};

/** Repeats go to another address, if there is one. */
const ELSEWHERE = {
  retry_host_predicate: [
    { name: 'envoy.retry_host_predicates.previous_hosts', typed_config: { '@type': TYPES.previousHosts } },
  ],
  // An instance that is gone has the fewest calls under way, so that it is the one that is picked first.
  host_selection_retry_max_attempts: 20,
};

/** What Envoy repeats by itself: calls that cannot have reached the callee. */
export const NOT_SENT_YET = {
  retry_on: 'connect-failure,refused-stream,reset-before-request',
  num_retries: 2,
  ...ELSEWHERE,
};

/** As many repeats may be under way as calls are: when one of two instances goes away, half of them are repeated at once. */
const RETRY_BUDGET = { budget_percent: { value: 100 }, min_retry_concurrency: 16 };

/** Far above what one app has under way, and still a bound. */
const BREAKER = { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024 };

/** Circuit breakers of whatever the app calls. */
export const BREAKERS = { thresholds: [{ ...BREAKER, retry_budget: RETRY_BUDGET }] };

/** An address that fails again and again gets no calls for a while, as long as there are others. */
const OUTLIERS = { interval: '5s', base_ejection_time: '10s', max_ejection_percent: 50 };

/** Answers of gateways, as which those of gRPC's UNAVAILABLE count, too. */
const GATEWAY_FAILURES = {
  ...{ consecutive_gateway_failure: 5, enforcing_consecutive_gateway_failure: 100 },
  enforcing_consecutive_5xx: 0,
};

/**
 * Beside answers of gateways what an address's own Envoy says of its app, which is a 500 that no app has said. Only for
 * what is no gRPC: there an app's own INTERNAL would count as well.
 */
const UNANSWERED = {
  ...{ consecutive_5xx: 5, enforcing_consecutive_5xx: 100 },
  enforcing_consecutive_gateway_failure: 0,
};
const IS_UNANSWERED = {
  or_match: {
    rules: [
      { name: ':status', string_match: { safe_regex: { google_re2: {}, regex: '50[234]' } } },
      { name: FAILED, present_match: true },
    ].map((header) => ({ http_response_headers_match: { headers: [header] } })),
  },
};

/** What is spoken to a cluster: what the caller speaks, or always the same. */
export type Protocol = 'as-called' | 'http1' | 'http2';

/** The protocol part of a cluster. */
export function upstreamProtocol(protocol: Protocol, more: EnvoyObject = {}): EnvoyObject {
  const http1 = { http_protocol_options: { enable_trailers: true } };
  const http2 = { http2_protocol_options: {} };
  const spoken = {
    'as-called': { use_downstream_protocol_config: { ...http1, ...http2 } },
    http1: { explicit_http_config: http1 },
    http2: { explicit_http_config: http2 },
  }[protocol];
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': TYPES.upstreamHttp,
        ...more,
        common_http_protocol_options: { idle_timeout: '60s' },
        ...spoken,
      },
    },
  };
}

/** A place that calls can be sent to: a callee's own, one of its routes', or that of its mirror. */
interface Place {
  /** Of its clusters; what speaks HTTP/1.1 to it has `|http` behind. */
  name: string;
  addresses: readonly CalleeAddress[];
}

/** `0`, `1`, … for the routes of a callee, and no more for itself. */
function placeName(callee: string, part = ''): string {
  return part === '' ? `${CALLEE_CLUSTER}${callee}` : `${CALLEE_CLUSTER}${callee}|${part}`;
}

function placesOf(name: string, { to, routes = [], mirror }: CalleeConfig): Place[] {
  return [
    ...(to.length === 0 ? [] : [{ name: placeName(name), addresses: to }]),
    ...routes.map((route, index) => ({ name: placeName(name, String(index)), addresses: route.to })),
    ...(mirror === undefined ? [] : [{ name: placeName(name, 'mirror'), addresses: mirror.to }]),
  ];
}

/** Whether calls that are not gRPC have clusters of their own, which speak HTTP/1.1 whatever their caller does. */
function speaksHttp1({ protocol = 'http', endpoint }: CalleeConfig): boolean {
  return protocol === 'http' && endpoint === undefined;
}

/** The clusters of a callee. */
export function calleeClusters(name: string, callee: CalleeConfig): EnvoyObject[] {
  const { endpoint } = callee;
  if (endpoint !== undefined)
    return placesOf(name, callee).map((place) => ({
      ...cluster(place, 'http1'),
      ...endpointParts(endpoint),
    }));
  return placesOf(name, callee).flatMap((place) =>
    speaksHttp1(callee)
      ? [cluster(place, 'as-called'), cluster({ ...place, name: `${place.name}|http` }, 'http1')]
      : [cluster(place, 'http2')],
  );
}

function cluster({ name, addresses }: Place, protocol: Protocol): EnvoyObject {
  return {
    name,
    type: addresses.every(({ host }) => isIP(host) !== 0) ? 'STATIC' : 'STRICT_DNS',
    connect_timeout: '5s',
    lb_policy: 'LEAST_REQUEST',
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: addresses.map(({ host, port }) => ({
            endpoint: { address: { socket_address: { address: host, port_value: port } } },
          })),
        },
      ],
    },
    outlier_detection: { ...OUTLIERS, ...(protocol === 'http1' ? UNANSWERED : GATEWAY_FAILURES) },
    circuit_breakers: BREAKERS,
    ...upstreamProtocol(
      protocol,
      protocol === 'http1' ? { outlier_detection: { error_matcher: IS_UNANSWERED } } : {},
    ),
  };
}

/** What the routes to a callee have besides where they lead. */
export interface RouteParts {
  /** The part of every match that says which calls are the callee's. */
  match: EnvoyObject;
  /** Fields of the routes, and of their actions. */
  route?: EnvoyObject;
  action: EnvoyObject;
  /** Speak HTTP/1.1 where the callee does, whatever the caller speaks. */
  http1?: boolean;
}

/**
 * The routes to a callee: those that headers ask for, then the rest, which weights share out. All of them give the
 * mirror its copies.
 */
export function calleeRoutes(name: string, callee: CalleeConfig, parts: RouteParts): EnvoyObject[] {
  const suffix = parts.http1 === true && speaksHttp1(callee) ? '|http' : '';
  const at = (part?: string): string => `${placeName(name, part)}${suffix}`;
  const routes = (callee.routes ?? []).map((route, index) => ({ ...route, cluster: at(String(index)) }));
  const { mirror } = callee;
  const copies =
    mirror === undefined
      ? {}
      : {
          request_mirror_policies: [
            {
              cluster: at('mirror'),
              runtime_fraction: { default_value: { numerator: mirror.percent, denominator: 'HUNDRED' } },
              // The copy's host is the callee's, too.
              disable_shadow_host_suffix_append: true,
            },
          ],
        };
  const route = (to: EnvoyObject, headers: EnvoyObject[] = []): EnvoyObject => ({
    match: { ...parts.match, headers: [...((parts.match['headers'] as EnvoyObject[]) ?? []), ...headers] },
    ...parts.route,
    route: { ...to, ...parts.action, ...copies },
  });
  const shared = routes.filter(({ weight }) => weight !== undefined);
  return [
    ...routes
      .filter(({ headers }) => headers !== undefined)
      .map(({ headers, cluster }) => route({ cluster }, matchers(headers))),
    shared.length === 0
      ? route({ cluster: at() })
      : route({
          weighted_clusters: {
            clusters: shared.map(({ cluster, weight = 0 }) => ({ name: cluster, weight })),
          },
        }),
  ];
}

function matchers(headers: CalleeRoute['headers'] = {}): EnvoyObject[] {
  return Object.entries(headers).map(([name, exact]) => ({ name, string_match: { exact } }));
}

/** What repeats a call by an idempotent method: it may have reached an instance that went away. */
export function idempotent(retries: number): EnvoyObject {
  return {
    retry_on: `${NOT_SENT_YET.retry_on},reset,retriable-headers`,
    retriable_headers: [{ name: FAILED, present_match: true }],
    num_retries: retries,
    ...ELSEWHERE,
  };
}

/** Repeats what has not reached the app, even if its own Envoy was reached. */
export function notSentYet(): EnvoyObject {
  return {
    ...NOT_SENT_YET,
    retry_on: `${NOT_SENT_YET.retry_on},retriable-headers`,
    retriable_headers: [{ name: FAILED, string_match: { exact: NOT_SENT } }],
  };
}
