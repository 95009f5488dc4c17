import { okPage } from '../server/admin.js';
import type { AdminPage } from '../server/admin.js';
import { BridgeMetrics } from '../server/metrics.js';
import { Exposition } from '../telemetry/exposition.js';
import type { NodeApp } from './node-bridge.js';

/** What a node's bridge tells whoever watches it, of all its apps. */
export class NodePages {
  readonly #metrics = new BridgeMetrics();
  /** Every app has been tried once. */
  ready = false;
  /** What was wrong when apps were looked for. */
  problems: readonly string[] = [];

  constructor(
    private readonly version: string,
    private readonly apps: ReadonlyMap<string, NodeApp>,
  ) {}

  get byPath(): ReadonlyMap<string, () => AdminPage> {
    return new Map([
      ['/metrics', () => this.#metricsPage()],
      ['/health', () => this.#healthPage()],
      // An app that is not served is that app's matter: it makes neither of these fail.
      ['/livez', () => okPage()],
      ['/readyz', () => (this.ready ? okPage() : STARTING)],
    ]);
  }

  stop(): void {
    this.#metrics.stop();
  }

  #metricsPage(): AdminPage {
    const sources = [...this.apps].flatMap(([app, { bridge }]) => bridge?.metrics({ app }) ?? []);
    const to = new Exposition();
    const up = 'layotto_bridge_app_up';
    to.family(up, 'gauge', '1 if the app is served by what its files say, else 0.');
    for (const [app, { bridge, problems }] of this.apps)
      to.sample(up, bridge !== undefined && problems.length === 0 ? 1 : 0, { app });
    const refused = 'layotto_bridge_app_refusals_total';
    to.family(
      refused,
      'counter',
      'What apps were refused because of their part of the bridge, or of who they are.',
    );
    for (const [app, { share }] of this.apps)
      for (const [limit, count] of share?.refusals ?? []) to.sample(refused, count, { app, limit });
    const bytes = 'layotto_bridge_app_bytes';
    to.family(bytes, 'gauge', 'Bytes that count against what the app may have in hand.');
    for (const [app, { share }] of this.apps) to.sample(bytes, share?.bytes ?? 0, { app });
    return { contentType: Exposition.contentType, body: to.text + this.#metrics.text(sources) };
  }

  #healthPage(): AdminPage {
    const apps = Object.fromEntries(
      [...this.apps].map(([name, { bridge, config, problems }]) => [
        name,
        { id: config?.app.id, served: bridge !== undefined, problems, ...bridge?.report() },
      ]),
    );
    const health = { version: this.version, problems: this.problems, apps };
    return { contentType: 'application/json', body: `${JSON.stringify(health, null, 2)}\n` };
  }
}

const STARTING: AdminPage = { contentType: 'text/plain', body: 'starting\n', status: 503 };
