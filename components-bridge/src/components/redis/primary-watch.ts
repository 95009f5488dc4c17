import { Redis } from 'ioredis';

import { sentinelOptions } from './options.js';
import type { Endpoint, RedisSettings } from './options.js';

/** Where Sentinels announce `<name> <old host> <old port> <new host> <new port>`. */
const CHANNEL = '+switch-master';

/**
 * Hears from the Sentinels that another server is the primary now. A server that was the primary is usually told by
 * them, and then closes its connections; one that they cannot reach would go on taking writes that are lost later.
 */
export class PrimaryWatch {
  readonly #sentinels: Redis[];
  #last = '';

  /** @param onSwitch told once of each new primary, however many Sentinels announce it */
  constructor(
    private readonly settings: RedisSettings,
    private readonly onSwitch: (primary: Endpoint) => void,
  ) {
    this.#sentinels = settings.endpoints.map((endpoint) => this.#listen(endpoint));
  }

  close(): void {
    for (const sentinel of this.#sentinels) sentinel.disconnect();
  }

  #listen(endpoint: Endpoint): Redis {
    const sentinel = new Redis(sentinelOptions(this.settings, endpoint));
    // A Sentinel that is away is tried again; the others are heard meanwhile.
    sentinel.on('error', () => undefined);
    sentinel.on('ready', () => void sentinel.subscribe(CHANNEL).catch(() => undefined));
    sentinel.on('message', (_channel, message) => this.#heard(message));
    sentinel.connect().catch(() => undefined);
    return sentinel;
  }

  #heard(message: string): void {
    const [name, , , host, port] = message.split(' ');
    if (message === this.#last || name !== this.settings.primaryName) return;
    this.#last = message;
    if (host !== undefined) this.onSwitch({ host, port: Number(port) });
  }
}
