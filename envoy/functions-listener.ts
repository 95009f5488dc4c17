import type { FunctionsConfig, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { AS_SENT } from './as-sent.js';
import { upstreamProtocol } from './callees.js';
import { httpListener, routesFrom } from './http-listener.js';
import { CLUSTERS, FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import { seconds } from './runtime-listener.js';
import { slotFilterName } from './slots.js';

/** Listener and statistics. */
const NAME = 'layotto_functions';
/** The routes that Envoy has from {@link FUNCTIONS_FILE}. */
export const FUNCTIONS_ROUTES = NAME;
/** File of the routes, which Envoy watches: a function comes and goes without a change of the listener. */
export const FUNCTIONS_FILE = 'functions.rds.yaml';
/** The statistics that say what Envoy made of that file. */
export const FUNCTIONS_STATS = `http.${NAME}.rds.${NAME}`;

const MIB = 1024 * 1024;

/** A function, as far as its callers see it. */
export interface FunctionRoute {
  id: string;
  slot: string;
  /** Calls to this path, and to those below it, are its, too. */
  path?: string;
  deadlineMs: number;
}

/**
 * The listener that functions are called at. Its filters are the places for functions, and each call goes through the
 * one that its route enables.
 *
 * @param parts the places' filters, the routes' name and where they come from, and the socket for what the bridge
 *   triggers functions by, if there is one
 */
export function functionsListener(
  config: RuntimeConfig,
  { listen }: FunctionsConfig,
  parts: { slots: readonly EnvoyObject[]; routes: { name: string; from: EnvoyObject }; socket?: EnvoyObject },
): EnvoyObject {
  const largest = config.limits.messageBytes + MIB;
  return httpListener(
    NAME,
    { socket_address: { address: listen.host, port_value: listen.port } },
    {
      codec_type: 'AUTO',
      ...AS_SENT,
      max_request_headers_kb: 64,
      request_headers_timeout: '10s',
      stream_idle_timeout: '300s',
      common_http_protocol_options: { max_stream_duration: seconds(config.limits.deadlineMs) },
      http2_protocol_options: { initial_stream_window_size: largest, max_concurrent_streams: 1024 },
      ...routesFrom(parts.routes.name, parts.routes.from),
      http_filters: [...parts.slots, { name: FILTERS.router, typed_config: { '@type': TYPES.router } }],
    },
    {
      // Above the longest body of any function, so that its own refusal is the one that is met.
      per_connection_buffer_limit_bytes: largest,
      ...(parts.socket === undefined ? {} : { additional_addresses: [{ address: { pipe: parts.socket } }] }),
    },
  );
}

const NOBODY =
  'no function has this id or path: name one in the header "id"; "layotto function list" prints those there are\n';

/** Only the bridge sends it, for events and schedules. It is told of functions that are not there by a header. */
const TRIGGERED = { name: 'x-layotto-trigger', present_match: true };
/** Whether there is a function is asked at this path, with its id. */
const LOOK_PATH = '/.well-known/layotto-function';
const NOT_THERE = {
  response_headers_to_add: [
    { header: { key: 'x-layotto-local', value: 'NR' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
  ],
};

const ANSWER = { direct_response: { status: 404, body: { inline_string: NOBODY } } };

/** The routes for calls of nobody: of those that the bridge triggers, which mean no other function, and of all others. */
export const NOBODYS_ROUTES = {
  triggered: { match: { prefix: '/', headers: [TRIGGERED] }, ...ANSWER, ...NOT_THERE },
  others: { match: { prefix: '/' }, ...ANSWER },
};

/** The routes of one function. */
export interface RoutesOfFunction {
  /** Says whether it is there. */
  look: EnvoyObject;
  byId: EnvoyObject;
  byPath?: EnvoyObject;
}

/** What a route says of a slot's filter to have it: Envoy takes a config without content for that. */
const ENABLE: EnvoyObject = { '@type': TYPES.filterConfig, config: {} };

/**
 * The routes that lead to one function.
 *
 * @param enable what they say of its slot's filter, which stands disabled
 */
export function routesOf(one: FunctionRoute, enable = ENABLE): RoutesOfFunction {
  const called = { name: 'id', string_match: { exact: one.id } };
  const { path } = one;
  return {
    look: {
      match: { path: LOOK_PATH, headers: [called, TRIGGERED] },
      direct_response: { status: 204 },
    },
    byId: route(one, { prefix: '/', headers: [called] }, enable),
    ...(path === undefined
      ? {}
      : { byPath: route(one, path === '/' ? { prefix: '/' } : { path_separated_prefix: path }, enable) }),
  };
}

/** The routes of {@link functionsListener}: by the header `id`, then by path, the longest first. */
export function functionRoutes(functions: readonly FunctionRoute[]): EnvoyObject {
  const all = functions.map((one) => routesOf(one));
  const byPath = functions
    .filter(({ path }) => path !== undefined)
    .sort((one, other) => (other.path ?? '').length - (one.path ?? '').length);
  const routes = [
    ...all.map(({ look }) => look),
    ...all.map(({ byId }) => byId),
    NOBODYS_ROUTES.triggered,
    ...byPath.map((one) => routesOf(one).byPath),
    NOBODYS_ROUTES.others,
  ];
  return {
    '@type': TYPES.routes,
    name: FUNCTIONS_ROUTES,
    virtual_hosts: [{ name: 'functions', domains: ['*'], routes }],
  };
}

/** A call leads to no cluster with an endpoint: the function answers. Its deadline holds if the function is dead, too. */
function route({ slot, deadlineMs }: FunctionRoute, match: EnvoyObject, enable: EnvoyObject): EnvoyObject {
  return {
    match,
    route: {
      cluster: CLUSTERS.none,
      timeout: '0s',
      max_stream_duration: { max_stream_duration: seconds(deadlineMs) },
    },
    typed_per_filter_config: {
      [slotFilterName(slot)]: enable,
    },
  };
}

/** The clusters that functions name: this listener, and the runtime's. */
export function functionsClusters({ listen }: RuntimeConfig, functions: FunctionsConfig): EnvoyObject[] {
  return [cluster(CLUSTERS.functions, functions.listen), cluster(CLUSTERS.self, listen)];
}

function cluster(name: string, { host, port }: { host: string; port: number }): EnvoyObject {
  // An address that takes calls from everywhere takes them from here.
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const socket_address = { address, port_value: port };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address } } }] }],
    },
    circuit_breakers: {
      thresholds: [{ max_connections: 1024, max_pending_requests: 4096, max_requests: 4096, max_retries: 0 }],
    },
    ...upstreamProtocol('http2'),
  };
}
