import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Made } from './istio.js';

type Json = Record<string, unknown>;

/** Filters that only Istio's build of Envoy has. They concern telemetry and TLS between sidecars. */
const ISTIO_ONLY = ['istio.metadata_exchange', 'istio.alpn', 'istio.stats'];

const TYPES = {
  routes: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  extensions: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
};

/**
 * An Envoy that has what istiod's generator made: its listeners and clusters as they are, except that discovery reads
 * files in a folder in place of istiod's stream, and that filters of Istio's build are left out.
 */
export class Sidecar {
  /** @param folder absolute; made here */
  constructor(
    private readonly folder: string,
    private readonly made: Made,
  ) {
    mkdirSync(folder, { recursive: true });
    this.write('routes', TYPES.routes, made.routes, 'name');
    this.write('endpoints', TYPES.endpoints, made.endpoints, 'cluster_name');
    this.push(made);
  }

  /** The listeners that were made for these ports and on sockets, and all clusters. */
  bootstrap(ports: readonly number[], adminSocket: string): Json {
    const ours = (this.made.listeners ?? []).filter((listener) => {
      const { socket_address: at } = listener['address'] as {
        socket_address?: { port_value: number };
      };
      if (at === undefined) return true;
      // The other one is for captured traffic: iptables lead to it, and nothing binds it.
      return listener['bind_to_port'] !== false && ports.includes(at.port_value);
    });
    return {
      node: { id: 'sidecar', cluster: 'mesh' },
      admin: { address: { pipe: { path: adminSocket } } },
      static_resources: {
        listeners: ours.map((listener) => this.rewrite(listener)),
        clusters: (this.made.clusters ?? []).map((cluster) => this.rewrite(cluster)),
      },
    };
  }

  /** Sends the extension configs of what was made, as istiod does when a resource has changed. */
  push({ extensions }: Pick<Made, 'extensions'>): void {
    this.write('extensions', TYPES.extensions, extensions, 'name');
  }

  private write(kind: string, type: string, resources: readonly Json[] | null, key: string): void {
    for (const resource of resources ?? []) {
      const text = JSON.stringify({ resources: [{ '@type': type, ...resource }] });
      const path = this.file(kind, String(resource[key]));
      writeFileSync(`${path}.next`, text);
      renameSync(`${path}.next`, path);
    }
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
    const from = (kind: string, name: unknown): Json => ({
      resource_api_version: 'V3',
      path_config_source: {
        path: this.file(kind, String(name)),
        watched_directory: { path: this.folder },
      },
    });
    if ('config_discovery' in object) {
      const discovery = object['config_discovery'] as Json;
      const file = this.file('extensions', String(object['name']));
      // Nobody has sent any: what istiod has nothing to say of, it does not send. Envoy wants the file to be there.
      if (!existsSync(file)) writeFileSync(file, JSON.stringify({ resources: [] }));
      result['config_discovery'] = { ...discovery, config_source: from('extensions', object['name']) };
    }
    if ('route_config_name' in object) result['config_source'] = from('routes', object['route_config_name']);
    if ('eds_config' in object) result['eds_config'] = from('endpoints', object['service_name']);
    return result;
  }
}
