import type { CalleeConfig, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { compilePolicy } from '../components-bridge/src/policy/compile.js';
import { concerns } from '../components-bridge/src/policy/decide.js';
import type { CompiledPolicy, CompiledRule } from '../components-bridge/src/policy/types.js';
import { FAILED, NOT_GRPC } from './callees.js';
import { failureReply } from './invoke-failures.js';
import { httpRoutes, INVOKE_PREFIX } from './invoke-routes.js';
import { FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import { without } from './without-filters.js';

/**
 * Calls that pass to their callee without the runtime's filter, because there is nothing that it could find: HTTP calls
 * by the path of their callee's route, where no token is asked for and no rule is about them.
 */

/** What such routes are called: replies of Envoy's own are told apart by it. */
const DIRECT = 'layotto.invoke.direct';

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

/** @param guarded callers must present a token */
export function directRoutes(config: RuntimeConfig, guarded: boolean): EnvoyObject[] {
  if (guarded) return [];
  const policy = compilePolicy(config);
  return Object.entries(config.callees ?? {})
    .filter(([name, callee]) => isPlain(callee) && isFree(policy, name))
    .flatMap(([name, callee]) => routesTo(config, name, callee));
}

/** Whether no rule and no limit can matter to calls to a callee, whoever calls. */
function isFree(policy: CompiledPolicy | undefined, component: string): boolean {
  if (policy === undefined) return true;
  const call = { primitive: 'invoke', operation: 'InvokeService', component, name: undefined };
  const about = ({ apps: _, ...rule }: CompiledRule): boolean => concerns(rule, NOBODY, call);
  return (
    !policy.rules.some((rule) => rule.deny === true && about(rule)) &&
    !(policy.limits ?? []).some((limit) => about(limit.about)) &&
    (!policy.denies || policy.rules.some((rule) => rule.apps === undefined && about(rule)))
  );
}

/** Whether Envoy's routes alone can do what is wanted of calls to it. */
function isPlain({ protocol, endpoint, timeoutMs }: CalleeConfig): boolean {
  return protocol !== 'grpc' && endpoint === undefined && timeoutMs === undefined;
}

function routesTo(config: RuntimeConfig, name: string, callee: CalleeConfig): EnvoyObject[] {
  const absent = (header: string): EnvoyObject => ({ name: header, present_match: true, invert_match: true });
  return httpRoutes(config, name, callee, {
    headers: [
      // Envoy looks at a route's path last, and every call is held against this route.
      { name: ':path', string_match: { prefix: `${INVOKE_PREFIX}${name}/method/` } },
      NOT_GRPC,
      ...['origin', FILTERED].map(absent),
      { name: ':authority', string_match: { safe_regex: { regex: OWN_HOST } } },
    ],
    name: DIRECT,
    response_headers_to_remove: ['x-envoy-upstream-service-time', FAILED],
    metadata: { filter_metadata: { [METADATA]: { callee: name } } },
    ...without([FILTERS.runtime, FILTERS.reply]),
  });
}

/** Gives Envoy's own replies to such calls the status and the shape of Dapr's errors. */
export const DIRECT_REPLIES = {
  filter: {
    extension_filter: {
      name: 'envoy.access_loggers.extension_filters.cel',
      typed_config: {
        '@type': TYPES.celFilter,
        expression: `xds.route_name == '${DIRECT}' && response.code >= 500`,
      },
    },
  },
  ...failureReply(`%METADATA(ROUTE:${METADATA}:callee)%`),
};
