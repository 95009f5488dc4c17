import type { ListenAddress, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { AS_SENT } from './as-sent.js';
import { FAILED, LOST, NOT_GRPC, NOT_SENT, NOT_SENT_YET } from './callees.js';
import { httpListener } from './http-listener.js';
import { failureReply } from './invoke-failures.js';
import { CLUSTERS, FILTERS, TYPES, UPSTREAM_TIME } from './names.js';
import type { EnvoyObject } from './names.js';
import { tracingParts } from './tracing.js';

/** Listener, statistics and routes. */
const NAME = 'layotto_inbound';

/** By Envoy's response flags: the call did not get as far as the app, or the app went away with it. */
const UNANSWERED = [
  { flags: ['UF', 'UH', 'UO'], value: NOT_SENT },
  { flags: ['UC', 'UR', 'LR', 'UPE'], value: LOST },
];

/** What an invocation has, whoever its caller is: the name by which the app is called. */
const CALLEE_ID = 'dapr-callee-app-id';

/**
 * How calls are answered that the app did not answer: an HTTP invocation as its caller's runtime would say it, so that
 * it can pass there as it is, and anything else in Envoy's words.
 */
function ofUnanswered({ flags, value }: (typeof UNANSWERED)[number]): EnvoyObject[] {
  const unanswered = { response_flag_filter: { flags } };
  const invoked = [{ name: CALLEE_ID, present_match: true }, NOT_GRPC].map((header) => ({
    header_filter: { header },
  }));
  const marked = {
    headers_to_add: [{ header: { key: FAILED, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
  };
  return [
    {
      filter: { and_filter: { filters: [unanswered, ...invoked] } },
      ...marked,
      ...failureReply(`%REQ(${CALLEE_ID})%`),
    },
    { filter: unanswered, ...marked },
  ];
}

/**
 * The listener through which others reach the app: calls pass as they are, and streams last as long as they like. Of
 * its own answers Envoy says whether the app can have seen the call, so that the caller's Envoy knows what to repeat.
 */
export function inboundListener(config: RuntimeConfig, { host, port }: ListenAddress): EnvoyObject {
  const tracing = tracingParts(config);
  return httpListener(
    NAME,
    { socket_address: { address: host, port_value: port } },
    {
      codec_type: 'AUTO',
      ...AS_SENT,
      ...tracing?.manager,
      max_request_headers_kb: 64,
      request_headers_timeout: '10s',
      stream_idle_timeout: '0s',
      http_protocol_options: { enable_trailers: true },
      local_reply_config: { mappers: UNANSWERED.flatMap(ofUnanswered) },
      route_config: {
        name: NAME,
        virtual_hosts: [
          {
            name: 'app',
            domains: ['*'],
            routes: [
              {
                match: { prefix: '/' },
                ...tracing?.route,
                // What the caller's Envoy has called it by is none of the app's business.
                request_headers_to_remove: ['x-envoy-original-host', 'x-envoy-original-path'],
                response_headers_to_remove: [FAILED, UPSTREAM_TIME],
                route: {
                  cluster: CLUSTERS.app,
                  timeout: '0s',
                  max_stream_duration: { max_stream_duration: '0s', grpc_timeout_header_max: '0s' },
                  retry_policy: { retry_on: NOT_SENT_YET.retry_on, num_retries: 1 },
                },
              },
            ],
          },
        ],
      },
      http_filters: [{ name: FILTERS.router, typed_config: { '@type': TYPES.router } }],
    },
  );
}
