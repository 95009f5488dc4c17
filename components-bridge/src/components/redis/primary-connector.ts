import { connect, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { AbstractConnector } from 'ioredis';
import type { RedisOptions } from 'ioredis';

import { reasonOf } from '../../primitives/errors.js';
import { RedisUnavailable } from './failure.js';
import { RedisLink } from './link.js';
import { sentinelOptions, serverOptions } from './options.js';
import type { Endpoint, RedisSettings } from './options.js';

/**
 * Options of a connection to the primary that the Sentinels name. Each time that it connects, they are asked anew.
 *
 * ioredis' own way with Sentinels tries them for ever inside one attempt to connect, and does not tell why one of
 * them could not be reached, which with TLS and passwords is what one must know.
 */
export function primaryOptions(settings: RedisSettings): RedisOptions {
  const { host: _host, port: _port, ...options } = serverOptions(settings, { host: '', port: 0 });
  return {
    ...options,
    Connector: class extends PrimaryConnector {
      constructor() {
        super(settings);
      }
    },
  };
}

class PrimaryConnector extends AbstractConnector {
  /** The one that answered last comes first. */
  #sentinels: Endpoint[];

  constructor(private readonly settings: RedisSettings) {
    super(DISCONNECT_TIMEOUT_MS);
    this.#sentinels = [...settings.endpoints];
  }

  override async connect(): Promise<Socket> {
    this.connecting = true;
    try {
      const primary = await this.#primary();
      if (!this.connecting) throw new Error('the connection was closed');
      const { tls } = serverOptions(this.settings, primary);
      this.stream = tls === undefined ? connect(primary) : connectTls({ ...primary, ...tls });
      this.stream.once('error', (error: Error) => (this.firstError = error));
    } catch (error) {
      // To the client a connection that fails, and so is tried again after a pause; a rejection would be the end.
      this.firstError = error as Error;
      this.stream = closed();
    }
    return this.stream;
  }

  /** A server that is not the primary yet, or no longer, is not talked to. */
  override check({ role = 'master' }: { role?: string }): boolean {
    return role === 'master';
  }

  async #primary(): Promise<Endpoint> {
    const reasons: string[] = [];
    for (const sentinel of [...this.#sentinels]) {
      try {
        const [primary, others] = await this.#ask(sentinel);
        this.#learn(sentinel, others);
        return primary;
      } catch (error) {
        reasons.push(reasonOf(error));
      }
    }
    throw new Error(reasons.join('; '));
  }

  /** Where a Sentinel says that the primary is, and the other Sentinels that it knows. */
  async #ask(sentinel: Endpoint): Promise<[Endpoint, Endpoint[]]> {
    const { primaryName } = this.settings;
    const address = `Sentinel ${sentinel.host}:${sentinel.port}`;
    const link = new RedisLink(sentinelOptions(this.settings, sentinel), address);
    try {
      await link.connect();
      const primary = await link.client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', primaryName);
      if (!Array.isArray(primary)) {
        throw new Error(`it knows no primary ${primaryName}; check sentinelMasterName`);
      }
      const others = await link.client.call('SENTINEL', 'SENTINELS', primaryName);
      const [host, port] = primary as [string, string];
      return [{ host, port: Number(port) }, sentinelsOf(others)];
    } catch (error) {
      if (error instanceof RedisUnavailable) throw error;
      throw new Error(`${address}: ${reasonOf(error)}`, { cause: error });
    } finally {
      link.close();
    }
  }

  /** Puts the one that answered first, and adds those that were not known. */
  #learn(answered: Endpoint, others: readonly Endpoint[]): void {
    const rest = this.#sentinels.filter((known) => known !== answered);
    const isKnown = ({ host, port }: Endpoint): boolean =>
      this.#sentinels.some((known) => known.host === host && known.port === port);
    const found = others.filter((other) => !isKnown(other));
    this.#sentinels = [answered, ...rest, ...found].slice(0, MOST_SENTINELS);
  }
}

/** A server that does not close its side is not waited for. */
const DISCONNECT_TIMEOUT_MS = 200;
const MOST_SENTINELS = 16;

function closed(): Socket {
  const socket = new Socket();
  socket.destroy();
  return socket;
}

/** The answer to SENTINEL SENTINELS: for each one a list of keys and values. */
function sentinelsOf(answer: unknown): Endpoint[] {
  if (!Array.isArray(answer)) return [];
  return (answer as string[][]).flatMap((fields) => {
    const value = (key: string): string => fields[fields.indexOf(key) + 1] ?? '';
    const usable = !value('flags').includes('disconnected') && value('ip') !== '';
    return usable ? [{ host: value('ip'), port: Number(value('port')) }] : [];
  });
}
