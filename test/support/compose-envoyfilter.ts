import { streamsSocket } from '../../components-bridge/src/config/sockets.js';

/**
 * Does with an EnvoyFilter what a mesh does: puts its clusters and its listener into an Envoy's configuration and
 * hands the listener its extension config. A real Envoy can then run what would be applied to a cluster.
 */

type Json = Record<string, unknown>;

/** What stands in a mesh where this machine has something else. */
export interface ComposeOptions {
  /** The module's file; replaces whatever the EnvoyFilter names, as Istio's agent does with a download. */
  moduleFile: string;
  /** The bridge's session socket. */
  socket: string;
  /** Where deliveries for the app are taken. */
  appSocket?: string;
  /** The port to listen on. */
  port: number;
  /** Envoy's admin socket; no admin interface without it. */
  adminSocket?: string;
}

/**
 * The bootstrap of an Envoy that has taken an EnvoyFilter over.
 *
 * @param document the EnvoyFilter, as the generator made it or as its YAML was parsed
 * @throws Error if a patch is of a kind that a sidecar would not take from here, or an extension config is missing
 */
export function composeEnvoyFilter(document: unknown, options: ComposeOptions): Json {
  const resource = structuredClone(document) as {
    kind: string;
    spec: { configPatches: { applyTo: string; match: Json; patch: { operation: string; value: Json } }[] };
  };
  if (resource.kind !== 'EnvoyFilter') throw new Error(`expected an EnvoyFilter, found ${resource.kind}`);
  const values = new Map<string, Json[]>([
    ['CLUSTER', []],
    ['LISTENER', []],
    ['EXTENSION_CONFIG', []],
  ]);
  for (const { applyTo, match, patch } of resource.spec.configPatches) {
    const list = values.get(applyTo);
    if (list === undefined) throw new Error(`a patch of ${applyTo} cannot be composed`);
    if (patch.operation !== 'ADD' || match['context'] !== 'SIDECAR_OUTBOUND') {
      throw new Error(
        `expected ADD for SIDECAR_OUTBOUND, found ${patch.operation} for ${String(match['context'])}`,
      );
    }
    list.push(patch.value);
  }
  const extensions = new Map(
    values.get('EXTENSION_CONFIG')?.map((value) => [value['name'], value['typed_config']]),
  );
  const listeners = (values.get('LISTENER') ?? []).map(
    (listener) => rewrite(listener, extensions, options) as Json,
  );
  for (const listener of listeners) {
    const { socket_address: at } = listener['address'] as { socket_address?: { port_value: number } };
    if (at !== undefined && listener['name'] !== 'layotto_actuator') at.port_value = options.port;
  }
  return {
    node: { id: 'sidecar', cluster: 'mesh' },
    ...(options.adminSocket === undefined
      ? {}
      : { admin: { address: { pipe: { path: options.adminSocket } } } }),
    static_resources: {
      listeners,
      clusters: (values.get('CLUSTER') ?? []).map((it) => rewrite(it, extensions, options)),
    },
  };
}

interface Pipe {
  path: string;
  mode?: number;
}

/** A socket that Envoy makes has a mode. */
function placed({ path, mode }: Pipe, { socket, appSocket }: ComposeOptions): Pipe {
  if (mode !== undefined) return { path: appSocket ?? path, mode };
  return { path: path.endsWith('/streams.sock') ? streamsSocket(socket) : socket };
}

/** Replaces, anywhere inside, config discovery by the config, the module by the file, the socket by the socket. */
function rewrite(
  value: unknown,
  extensions: ReadonlyMap<unknown, unknown>,
  options: ComposeOptions,
): unknown {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, extensions, options));
  if (typeof value !== 'object' || value === null) return value;
  const object = value as Json;
  const discovery = object['config_discovery'] as { type_urls: string[]; default_config?: Json } | undefined;
  if (discovery !== undefined) {
    const config = (extensions.get(object['name']) as Json | undefined) ?? discovery.default_config;
    if (config === undefined) throw new Error(`no extension config is named ${String(object['name'])}`);
    if (!discovery.type_urls.includes(String(config['@type']))) {
      throw new Error(`the extension config ${String(object['name'])} is of type ${String(config['@type'])}`);
    }
    return rewrite({ name: object['name'], typed_config: config }, extensions, options);
  }
  const result: Json = {};
  for (const [key, inner] of Object.entries(object)) {
    if (key === 'code') result[key] = { local: { filename: options.moduleFile } };
    else if (key === 'pipe') result[key] = placed(inner as Pipe, options);
    else result[key] = rewrite(inner, extensions, options);
  }
  return result;
}
