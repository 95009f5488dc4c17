import type { CalleeConfig, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { compilePolicy } from '../components-bridge/src/policy/compile.js';
import { concerns } from '../components-bridge/src/policy/decide.js';
import type { CompiledPolicy, CompiledRule } from '../components-bridge/src/policy/types.js';
import { FAILED, NOT_GRPC } from './callees.js';
import { failureReply } from './invoke-failures.js';
import { httpRoutes } from './invoke-routes.js';
import { FILTERS, TYPES, UPSTREAM_TIME } from './names.js';
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

/** The routes of such calls. Callers need no token. */
export function directRoutes(config: RuntimeConfig): EnvoyObject[] {
  const policy = compilePolicy(config);
  return Object.entries(config.callees ?? {})
    .filter(([name, callee]) => isPlain(callee) && isFree(policy, name))
    .flatMap(([name, callee]) => routesTo(config, name, callee));
}

/** Whether Envoy's routes alone can do what is wanted of calls to it. */
function isPlain({ protocol, endpoint, timeoutMs }: CalleeConfig): boolean {
  return protocol !== 'grpc' && endpoint === undefined && timeoutMs === undefined;
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

function absent(header: string): EnvoyObject {
  return { name: header, present_match: true, invert_match: true };
}

function routesTo(config: RuntimeConfig, name: string, callee: CalleeConfig): EnvoyObject[] {
  return httpRoutes(config, name, callee, {
    headers: [
      NOT_GRPC,
      ...['origin', FILTERED].map(absent),
      { name: ':authority', string_match: { safe_regex: { regex: OWN_HOST } } },
    ],
    name: DIRECT,
    response_headers_to_remove: [UPSTREAM_TIME, FAILED],
    metadata: { filter_metadata: { [METADATA]: { callee: name } } },
    ...without([FILTERS.runtime, FILTERS.reply]),
  });
}

/** Envoy's flags for replies of its own where a callee did not answer; those that a module makes have none of them. */
const UNANSWERED = ['UH', 'UF', 'UO', 'UT', 'UR', 'LR', 'UC', 'URX', 'NC', 'UPE', 'SI', 'UMSDR'];

/** Gives Envoy's own replies to such calls the status and the shape of Dapr's errors: a mapper of local replies. */
export const DIRECT_REPLIES = {
  filter: {
    and_filter: {
      filters: [
        { response_flag_filter: { flags: UNANSWERED } },
        {
          extension_filter: {
            name: 'envoy.access_loggers.extension_filters.cel',
            typed_config: {
              '@type': TYPES.celFilter,
              expression: `xds.route_name == '${DIRECT}' && response.code >= 500`,
            },
          },
        },
      ],
    },
  },
  ...failureReply(`%METADATA(ROUTE:${METADATA}:callee)%`),
};
