import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { tellsApp } from '../app-channel.js';

/** The ways in which the filter gets into an Envoy. */
export const DELIVERIES = [
  'static',
  'envoyfilter',
  'trafficextension',
  'trafficextension-stable',
  'wasmplugin',
] as const;
export type Delivery = (typeof DELIVERIES)[number];

/** Something that a configuration asks for and a form serves otherwise or not at all. */
export interface Gap {
  /** The door, or what of it. */
  door: string;
  /** Whether it is not served at all; else it is, with a difference. */
  missing: boolean;
  reason: string;
}

const MIB = 1024 * 1024;

/** Where a mesh has plain calls instead. */
const PLAIN =
  "the mesh's own listeners take the app's plain calls; envoyfilter --outbound counts and limits them there";

/** Where listeners of the configuration's own are. */
const LISTENERS = 'only what layotto envoy envoyfilter prints has such listeners';

/**
 * What a form of delivery cannot serve of a configuration, or serves otherwise than a standalone Envoy; empty if it
 * serves everything. test/istio shows each of these, and that the rest is served.
 */
export function deliveryGaps(config: RuntimeConfig, delivery: Delivery): Gap[] {
  if (delivery === 'static') return [];
  const { host, port, unixSocket, actuator } = config.listen;
  const gaps: Gap[] = [];
  const missing = (door: string, reason: string): void => void gaps.push({ door, missing: true, reason });
  const differs = (door: string, reason: string): void => void gaps.push({ door, missing: false, reason });

  if (unixSocket !== undefined)
    missing(
      `every door on ${unixSocket}`,
      `the sidecar shares no folder with the app; call 127.0.0.1:${port}`,
    );
  if (host !== '127.0.0.1')
    missing(`every door on ${host}`, `the listener is on 127.0.0.1, which the mesh does not capture`);
  if (config.listen.proxy !== undefined)
    missing(`the proxy for plain calls on ${config.listen.proxy.host}:${config.listen.proxy.port}`, PLAIN);
  const { inbound } = config.listen;
  if (inbound !== undefined)
    missing(
      `the app for others on ${inbound.host}:${inbound.port}`,
      "the mesh's own inbound listener lets others reach the app",
    );
  if (config.listen.proxy !== undefined)
    for (const [name, { endpoint }] of Object.entries(config.callees ?? {}))
      if (endpoint === undefined) missing(`plain calls to the callee ${name}`, PLAIN);
  if (delivery === 'envoyfilter') return gaps;

  for (const { name } of config.outbound) missing(`the outbound listener ${name}`, LISTENERS);
  if (config.functions !== undefined)
    missing(
      `functions on ${config.functions.listen.host}:${config.functions.listen.port}`,
      `${LISTENERS}, with their slots and routes`,
    );
  if (actuator !== undefined)
    missing(
      `actuator on ${actuator.host}:${actuator.port}`,
      `Istio's routes cannot keep the other doors off that port; it is served on 127.0.0.1:${port}, for probes by exec`,
    );
  if (config.tracing !== undefined)
    missing('spans of tracing.otlp', "the listener's spans are the mesh's own; turn them on by Telemetry");
  differs(
    'Dapr HTTP',
    'a mesh that normalizes paths does so here too: keys with dot segments are cleaned before the filter sees them',
  );
  differs(
    'streams to localhost',
    "the mesh's own retries may repeat a stream that the bridge refused; call 127.0.0.1, where none is repeated",
  );
  differs(
    'deadlines',
    'the bridge keeps them, not Envoy: a call whose module has trapped or whose body never ends lasts until its caller gives it up',
  );
  if (delivery !== 'trafficextension-stable') return gaps;

  if (config.callees !== undefined || config.invoke?.pattern !== undefined)
    missing(
      'service invocation',
      'by stable APIs only, routes on that port lead to the bridge and to nobody else; print it without --stable',
    );
  if (config.limits.messageBytes > MIB)
    differs(
      'Dapr HTTP and JSON over HTTP/1.1',
      'bodies of more than 1 MiB are refused with 413: no stable API sets the buffer of a listener',
    );
  if (tellsApp(config))
    differs(
      'events to the app, and changes of configuration told over HTTP',
      "no stable API adds a listener for them: a bridge in the app's pod calls the app itself, past the sidecar; one for a node cannot: subscribe by a stream there",
    );
  return gaps;
}

/** One line for people. */
export function formatGap({ door, missing, reason }: Gap): string {
  return `${door}: ${missing ? 'not served' : 'differs'}: ${reason}`;
}
