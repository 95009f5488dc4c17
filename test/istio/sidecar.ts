import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Made } from './istio.js';

type Json = Record<string, unknown>;

/** Filters that only Istio's build of Envoy has. They concern telemetry and TLS between sidecars. */
const ISTIO_ONLY = ['istio.metadata_exchange', 'istio.alpn', 'istio.stats'];

const TYPES = {
  listeners: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  routes: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  extensions: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
};

/**
 * An Envoy that has what istiod's generator made: its listeners and clusters as they are, except that discovery reads
 * files in a folder in place of istiod's stream, and that filters of Istio's build are left out.
 */
export class Sidecar {
  /**
   * @param folder absolute; made here
   * @param ports of the listeners that it has, beside those on sockets
   */
  constructor(
    private readonly folder: string,
    private readonly made: Made,
    private readonly ports: readonly number[],
  ) {
    mkdirSync(folder, { recursive: true });
    this.write('endpoints', TYPES.endpoints, made.endpoints, 'cluster_name');
    this.push(made);
  }

  /** All clusters, and from where it has the rest. */
  bootstrap(adminSocket: string): Json {
    return {
      node: { id: 'sidecar', cluster: 'mesh' },
      admin: { address: { pipe: { path: adminSocket } } },
      static_resources: { clusters: (this.made.clusters ?? []).map((cluster) => this.rewrite(cluster)) },
      dynamic_resources: { lds_config: this.from('listeners', 'all') },
    };
  }

  /** Sends extension configs, routes and listeners of what was made, as istiod does when a resource has changed. */
  push({ extensions, routes, listeners }: Made): void {
    this.write('extensions', TYPES.extensions, extensions, 'name');
    this.write('routes', TYPES.routes, routes, 'name');
    const ours = (listeners ?? []).filter((listener) => this.has(listener));
    const resources = ours.map((listener) => ({
      '@type': TYPES.listeners,
      ...(this.rewrite(listener) as Json),
    }));
    this.replace(this.file('listeners', 'all'), { resources });
  }

  private has(listener: Json): boolean {
    const { socket_address: at } = listener['address'] as { socket_address?: { port_value: number } };
    if (at === undefined) return true;
    // The other one is for captured traffic: iptables lead to it, and nothing binds it.
    return listener['bind_to_port'] !== false && this.ports.includes(at.port_value);
  }

  private write(kind: string, type: string, resources: readonly Json[] | null, key: string): void {
    for (const resource of resources ?? []) {
      const path = this.file(kind, String(resource[key]));
      this.replace(path, { resources: [{ '@type': type, ...resource }] });
    }
  }

  private replace(path: string, content: Json): void {
    writeFileSync(`${path}.next`, JSON.stringify(content));
    renameSync(`${path}.next`, path);
  }

  private from(kind: string, name: unknown): Json {
    return {
      resource_api_version: 'V3',
      path_config_source: {
        path: this.file(kind, String(name)),
        watched_directory: { path: this.folder },
      },
    };
  }

  private file(kind: string, name: string): string {
    return join(this.folder, `${kind}-${name.replaceAll(/[^\w.-]/g, '_')}.json`);
  }

  /** Replaces, anywhere inside, istiod's stream by the file for the resource, and drops the filters of Istio's build. */
  private rewrite(value: unknown): unknown {
    if (Array.isArray(value)) {
      return value
        .filter((item) => !ISTIO_ONLY.includes(String((item as Json | null)?.['name'])))
        .map((item) => this.rewrite(item));
    }
    if (typeof value !== 'object' || value === null) return value;
    const object = value as Json;
    const result = Object.fromEntries(
      Object.entries(object).map(([key, inner]) => [key, this.rewrite(inner)]),
    );
    if ('config_discovery' in object) {
      const discovery = object['config_discovery'] as Json;
      const file = this.file('extensions', String(object['name']));
      // Nobody has sent any: what istiod has nothing to say of, it does not send. Envoy wants the file to be there.
      if (!existsSync(file)) writeFileSync(file, JSON.stringify({ resources: [] }));
      result['config_discovery'] = { ...discovery, config_source: this.from('extensions', object['name']) };
    }
    if ('route_config_name' in object)
      result['config_source'] = this.from('routes', object['route_config_name']);
    if ('eds_config' in object) result['eds_config'] = this.from('endpoints', object['service_name']);
    return result;
  }
}
