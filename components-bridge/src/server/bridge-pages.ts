import { bridgeAdminSocket } from '../config/sockets.js';
import { Exposition } from '../telemetry/exposition.js';
import { AdminServer, okPage } from './admin.js';
import type { BridgeOptions } from './bridge-options.js';
import { BridgeMetrics } from './metrics.js';
import type { MetricsSource } from './metrics.js';

/** What the pages tell of. */
export interface Told {
  metrics(): MetricsSource;
  report(): object;
}

/** A bridge's pages for whoever watches it: on a socket in the data folder, and where else they are wanted. */
export class BridgePages {
  readonly #servers: readonly AdminServer[];
  readonly #metrics = new BridgeMetrics();

  constructor({ config, admin, gid, log }: BridgeOptions, told: Told) {
    const { contentType } = Exposition;
    const pages = new Map([
      ['/metrics', () => ({ contentType, body: this.#metrics.text([told.metrics()]) })],
      [
        '/health',
        () => ({ contentType: 'application/json', body: `${JSON.stringify(told.report(), null, 2)}\n` }),
      ],
      // Whoever can ask finds it alive; that a component is away is told by Envoy, see the actuator.
      ['/livez', () => okPage()],
      ['/readyz', () => okPage()],
    ]);
    const places = [{ socketPath: bridgeAdminSocket(config.dataDir) }, admin ?? []].flat();
    this.#servers = places.map((at) => new AdminServer({ at, gid, log, pages }));
  }

  /** Begins to serve, see `AdminServer.start`. @param replace take the place of a bridge that serves there */
  start(replace = false): void {
    for (const server of this.#servers) void server.start(replace);
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  /** Nothing is measured any more. */
  stop(): void {
    this.#metrics.stop();
  }
}
