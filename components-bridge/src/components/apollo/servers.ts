import type { HttpClient } from './http.js';
import { addressesIn } from './answers.js';

/** How long a server that failed is tried after the others. */
const SHUN_MS = 5_000;
/** How often the meta service is asked which config services there are. */
const REFRESH_MS = 60_000;
/** And how often while they fail. */
const REFRESH_AWAY_MS = 1_000;
const MOST_BYTES = 1024 * 1024;

export interface ServersOptions {
  http: HttpClient;
  /** Of meta services, as they are configured. */
  addresses: readonly string[];
  appId: string;
  timeoutMs: number;
}

/** The config services that there are, as the meta service names them, and which of them to ask. */
export class Servers {
  #named: readonly string[] = [];
  #askedAt = -Infinity;
  #asking: Promise<void> | undefined;
  readonly #failedAt = new Map<string, number>();
  /** Clients spread over the servers. */
  readonly #turn = Math.random();

  constructor(private readonly options: ServersOptions) {}

  /**
   * Whom to ask, best first: those that are named, then the configured addresses, because a config service is a meta
   * service too and what is named may not be reachable from here; and last those that failed a moment ago.
   */
  async candidates(): Promise<string[]> {
    if (this.#named.length === 0) await this.#ask();
    else this.#refresh(REFRESH_MS);
    const start = Math.floor(this.#turn * this.#named.length);
    const named = [...this.#named.slice(start), ...this.#named.slice(0, start)];
    const all = [...new Set([...named, ...this.options.addresses])];
    const now = performance.now();
    const shunned = (server: string): boolean => now - (this.#failedAt.get(server) ?? -Infinity) < SHUN_MS;
    return [...all.filter((server) => !shunned(server)), ...all.filter(shunned)];
  }

  failed(server: string): void {
    this.#failedAt.set(server, performance.now());
    this.#refresh(REFRESH_AWAY_MS);
  }

  answered(server: string): void {
    this.#failedAt.delete(server);
  }

  #refresh(afterMs: number): void {
    if (performance.now() - this.#askedAt > afterMs) void this.#ask();
  }

  /** Never throws: without a meta service the configured addresses are the config services. */
  #ask(): Promise<void> {
    this.#asking ??= this.#askAny().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #askAny(): Promise<void> {
    this.#askedAt = performance.now();
    const { http, addresses, appId, timeoutMs } = this.options;
    for (const address of addresses) {
      const url = `${address}/services/config?${new URLSearchParams({ appId }).toString()}`;
      try {
        const { status, text } = await http.send({ url, timeoutMs, mostBytes: MOST_BYTES });
        const named = status === 200 ? addressesIn(text) : [];
        if (named.length === 0) continue;
        this.#named = named;
        for (const server of [...this.#failedAt.keys()]) {
          if (!named.includes(server) && !addresses.includes(server)) this.#failedAt.delete(server);
        }
        return;
      } catch {
        // Whoever asks a config service hears what is wrong.
      }
    }
  }
}
