import type { CalleeConfig, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { compilePolicy } from '../components-bridge/src/policy/compile.js';
import { concerns } from '../components-bridge/src/policy/decide.js';
import type { CompiledPolicy, CompiledRule } from '../components-bridge/src/policy/types.js';
import { FAILED, NOT_GRPC } from './callees.js';
import { failureReply, failureText } from './invoke-failures.js';
import { httpRoutes, proxyingRoutes, UPSTREAM_TIME } from './invoke-routes.js';
import { FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import { without } from './without-filters.js';

/**
 * Calls that pass to their callee without the runtime's filter, because there is nothing that it could find: HTTP calls
 * by the path of their callee's route and gRPC calls by `dapr-app-id`, where no token is asked for and no rule is about
 * them.
 */

/** What such routes are called: replies of Envoy's own are told apart by it. */
const DIRECT = { http: 'layotto.invoke.direct', grpc: 'layotto.invoke.direct.grpc' };

/** Where a route says which callee it leads to. */
const METADATA = 'layotto';

/**
 * What the filter would let pass by its host: this machine's, or an IPv4 address. Names that the configuration allows are
 * left to it (assembly/policy/access.ts).
 */
const OWN_HOST = String.raw`(localhost|\d+\.\d+\.\d+\.\d+|\[::1\])(:\d+)?`;

const NOBODY = { app: '', spiffe: '' };

/** The filter sets it where it has found a call's way itself. Of callers Envoy takes it away. */
const FILTERED = 'x-envoy-upstream-rq-timeout-ms';

/** The routes of HTTP calls. @param guarded callers must present a token */
export function directRoutes(config: RuntimeConfig, guarded: boolean): EnvoyObject[] {
  return calleesFor(config, guarded, 'InvokeService')
    .filter(([, { protocol }]) => protocol !== 'grpc')
    .flatMap(([name, callee]) => httpRoutesTo(config, name, callee));
}

/** The routes of gRPC calls; what the runtime answers must have its routes before. @param guarded see above */
export function directGrpcRoutes(config: RuntimeConfig, guarded: boolean): EnvoyObject[] {
  return calleesFor(config, guarded, 'Proxy').flatMap(([name, callee]) => grpcRoutesTo(config, name, callee));
}

/** The callees that need nothing of the filter for calls of an operation. */
function calleesFor(
  config: RuntimeConfig,
  guarded: boolean,
  operation: 'InvokeService' | 'Proxy',
): [string, CalleeConfig][] {
  if (guarded) return [];
  const policy = compilePolicy(config);
  return Object.entries(config.callees ?? {}).filter(
    ([name, { endpoint, timeoutMs }]) =>
      endpoint === undefined && timeoutMs === undefined && isFree(policy, operation, name),
  );
}

/** Whether no rule and no limit can matter to calls to a callee, whoever calls. */
function isFree(policy: CompiledPolicy | undefined, operation: string, component: string): boolean {
  if (policy === undefined) return true;
  const call = { primitive: 'invoke', operation, component, name: undefined };
  const about = ({ apps: _, ...rule }: CompiledRule): boolean => concerns(rule, NOBODY, call);
  return (
    !policy.rules.some((rule) => rule.deny === true && about(rule)) &&
    !(policy.limits ?? []).some((limit) => about(limit.about)) &&
    (!policy.denies || policy.rules.some((rule) => rule.apps === undefined && about(rule)))
  );
}

/** What the filter would find out about who calls, beside the token. */
const OWN_CALLER = [
  absent('origin'),
  { name: ':authority', string_match: { safe_regex: { regex: OWN_HOST } } },
];

function absent(header: string): EnvoyObject {
  return { name: header, present_match: true, invert_match: true };
}

function httpRoutesTo(config: RuntimeConfig, name: string, callee: CalleeConfig): EnvoyObject[] {
  return httpRoutes(config, name, callee, {
    headers: [NOT_GRPC, absent(FILTERED), ...OWN_CALLER],
    name: DIRECT.http,
    response_headers_to_remove: [UPSTREAM_TIME, FAILED],
    ...partsOf(name),
  });
}

function grpcRoutesTo(config: RuntimeConfig, name: string, callee: CalleeConfig): EnvoyObject[] {
  const headers = [
    { name: 'dapr-app-id', string_match: { exact: name } },
    // The one that counts if there are both.
    absent('dapr-callee-app-id'),
    ...OWN_CALLER,
  ];
  return proxyingRoutes(config, name, callee, { headers, name: DIRECT.grpc, ...partsOf(name) });
}

function partsOf(callee: string): EnvoyObject {
  return {
    metadata: { filter_metadata: { [METADATA]: { callee } } },
    ...without([FILTERS.runtime, FILTERS.reply]),
  };
}

const CALLEE = `%METADATA(ROUTE:${METADATA}:callee)%`;

/** Gives Envoy's own replies to such calls the status and the shape of Dapr's errors: mappers of local replies. */
export const DIRECT_REPLIES: readonly EnvoyObject[] = [
  {
    filter: replyTo(`xds.route_name == '${DIRECT.http}' && response.code >= 500`),
    ...failureReply(CALLEE),
  },
  {
    // What gRPC calls UNAVAILABLE.
    filter: replyTo(`xds.route_name == '${DIRECT.grpc}' && response.code in [502, 503, 504]`),
    body_format_override: { text_format_source: { inline_string: failureText(CALLEE) } },
  },
];

/** @param expression in the Common Expression Language */
function replyTo(expression: string): EnvoyObject {
  return {
    extension_filter: {
      name: 'envoy.access_loggers.extension_filters.cel',
      typed_config: { '@type': TYPES.celFilter, expression },
    },
  };
}
