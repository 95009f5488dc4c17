import { isDeepStrictEqual } from 'node:util';

import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { CLUSTERS_FILE, CLUSTERS_STATS, waysFiles } from '../../envoy/ways.js';
import type { Ways } from '../../envoy/ways.js';
import type { EnvoyProcess } from './envoy-process.js';

/** What is needed to change where the app's calls go. */
export interface WaysParts {
  envoy: Pick<EnvoyProcess, 'push' | 'write' | 'warm'>;
  render: (config: RuntimeConfig) => Ways;
  /** How long clusters stay that no route leads to any more: calls that came before may still need them. */
  lingerMs: number;
  /** Does something in its turn with everything else that changes what runs. */
  exclusively: (work: () => Promise<void>) => Promise<void>;
  /** Takes what a person should know. */
  say: (line: string) => void;
}

/** A cluster as the generator makes it, and the name that Envoy knows it by. */
interface Named {
  name: string;
  cluster: EnvoyObject;
}

/** Where names of clusters stand in clusters and routes. */
const NAME_KEYS: ReadonlySet<string> = new Set(['name', 'cluster', 'cluster_name']);

/**
 * The clusters of callees and the routes to them in a running Envoy. A route never leads to a cluster that is not there:
 * clusters come before the routes to them, and go when the calls of the routes that led to them have had their time.
 * Each worker of Envoy takes changes over in the order in which they were made.
 */
export class CalleeWays {
  #ways: Ways;
  /** What {@link CalleeWays.#ways} name, by the generator's names. */
  #named: ReadonlyMap<string, Named>;
  /** The clusters that Envoy has, by the names that it knows them by. */
  #clusters: ReadonlyMap<string, EnvoyObject>;
  #files: Record<string, string>;
  #timer: NodeJS.Timeout | undefined;

  /** @param running what Envoy was started with */
  constructor(
    private readonly parts: WaysParts,
    running: RuntimeConfig,
  ) {
    this.#ways = parts.render(running);
    this.#files = waysFiles(this.#ways);
    this.#named = new Map(
      this.#ways.clusters.map((cluster) => [nameOf(cluster), { name: nameOf(cluster), cluster }]),
    );
    this.#clusters = new Map(this.#ways.clusters.map((cluster) => [nameOf(cluster), cluster]));
  }

  /**
   * Has calls go where a configuration says.
   *
   * @returns why not; then everything stays as it is
   */
  async apply(config: RuntimeConfig): Promise<string | undefined> {
    const ways = this.parts.render(config);
    if (isDeepStrictEqual(ways, this.#ways)) return undefined;
    const named = this.#names(ways);
    const renamed = withNames(ways, named);
    const wanted = new Map(renamed.clusters.map((cluster) => [nameOf(cluster), cluster]));
    const before = this.#files;
    const all = new Map([...this.#clusters, ...wanted]);
    const clusters = waysFiles({ clusters: [...all.values()], routes: [] });
    const failure =
      (await this.#deliver(CLUSTERS_FILE, CLUSTERS_STATS, clusters)) ??
      (await this.parts.envoy.warm()) ??
      (await this.#deliverRoutes(renamed));
    if (failure !== undefined) {
      for (const [file, text] of Object.entries(before))
        if (this.#files[file] !== text) this.parts.envoy.write(file, text);
      this.#files = before;
      return failure;
    }
    [this.#ways, this.#named, this.#clusters] = [ways, named, all];
    if (all.size > wanted.size) this.#removeLater(wanted);
    return undefined;
  }

  /** Removes nothing more. */
  end(): void {
    clearTimeout(this.#timer);
  }

  /**
   * The names by which Envoy is to know clusters. Where nothing but addresses changed each keeps its name. Where routes
   * change too, one that changes gets another: under its name calls of the old routes would go where only the new mean.
   */
  #names(ways: Ways): Map<string, Named> {
    const routesChange = !isDeepStrictEqual(ways.routes, this.#ways.routes);
    const taken = new Set(this.#clusters.keys());
    const named = new Map<string, Named>();
    for (const cluster of ways.clusters) {
      const own = nameOf(cluster);
      const now = this.#named.get(own);
      let name = now?.name ?? own;
      if (!isDeepStrictEqual(now?.cluster, cluster) && routesChange) {
        name = own;
        for (let n = 2; taken.has(name); n++) name = `${own}|~${n}`;
      }
      taken.add(name);
      named.set(own, { name, cluster });
    }
    return named;
  }

  async #deliverRoutes(ways: Ways): Promise<string | undefined> {
    const files = waysFiles(ways);
    for (const { file, stats } of ways.routes) {
      const failure = await this.#deliver(file, stats, files);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  async #deliver(file: string, stats: string, files: Record<string, string>): Promise<string | undefined> {
    const text = files[file];
    if (text === undefined || text === this.#files[file]) return undefined;
    this.#files = { ...this.#files, [file]: text };
    return this.parts.envoy.push(file, text, stats);
  }

  #removeLater(wanted: ReadonlyMap<string, EnvoyObject>): void {
    clearTimeout(this.#timer);
    const ways = this.#ways;
    const remove = async (): Promise<void> => {
      // Something else came in between.
      if (this.#ways !== ways) return;
      const files = waysFiles({ clusters: [...wanted.values()], routes: [] });
      const failure = await this.#deliver(CLUSTERS_FILE, CLUSTERS_STATS, files);
      if (failure === undefined) this.#clusters = wanted;
      else this.parts.say(`clusters that nothing leads to any more stay: ${failure}`);
    };
    this.#timer = setTimeout(() => void this.parts.exclusively(remove), this.parts.lingerMs);
    this.#timer.unref();
  }
}

function nameOf(cluster: EnvoyObject): string {
  return String(cluster['name']);
}

/** The same with other names of clusters. */
function withNames(ways: Ways, named: ReadonlyMap<string, Named>): Ways {
  const text = JSON.stringify(ways, (key, value: unknown) =>
    typeof value === 'string' && NAME_KEYS.has(key) ? (named.get(value)?.name ?? value) : value,
  );
  return JSON.parse(text) as Ways;
}
