import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { etcdServer } from '../../tools/get.mjs';
import { Child } from './child.js';
import { freePorts } from './ports.js';
import { eventually } from './wait.js';

/** A running etcd of one member. */
export interface EtcdServer {
  /** Where clients go, host:port. */
  address: string;
  port: number;
  process: Child;
  /** Asks it as curl would, by its own JSON gateway; bytes are base64 there. */
  ask(path: string, body: object, token?: string): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

export interface EtcdServerOptions {
  /** Further arguments. */
  args?: readonly string[];
  /** Port for clients; by default a free one. */
  port?: number;
  /** Folder for its data, kept when it stops; by default one of its own. */
  dir?: string;
  /** Speaks TLS to clients. */
  tls?: { cert: string; key: string; clientCa?: string };
}

/** How often a start is tried that finds a port taken by somebody else meanwhile. */
const TRIES = 3;

/** Starts a server of its own on 127.0.0.1. */
export async function startEtcd(options: EtcdServerOptions = {}): Promise<EtcdServer> {
  for (let count = 1; ; count++) {
    try {
      return await tryEtcd(options);
    } catch (error) {
      if (count === TRIES || !String(error).includes('address already in use')) throw error;
    }
  }
}

async function tryEtcd({ args = [], port, dir, tls }: EtcdServerOptions): Promise<EtcdServer> {
  const { path } = await etcdServer({ log: () => undefined });
  const data = dir ?? (await mkdtemp(join(tmpdir(), 'etcd-')));
  const [free = 0, peer = 0, metrics = 0] = await freePorts(3);
  const client = port ?? free;
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  // Health is asked for beside the port for clients, without TLS whatever that speaks.
  const health = `http://127.0.0.1:${metrics}`;
  const options = {
    'data-dir': data,
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `default=${peerUrl}`,
    'listen-metrics-urls': health,
    ...(tls && { 'cert-file': tls.cert, 'key-file': tls.key }),
    ...(tls?.clientCa !== undefined && { 'trusted-ca-file': tls.clientCa }),
  };
  const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  if (tls?.clientCa !== undefined) flags.push('--client-cert-auth');
  const child = new Child('etcd', path, ['--unsafe-no-fsync', ...flags, ...args]);
  const stop = async (): Promise<void> => {
    child.signal('SIGKILL');
    await child.exited;
    if (dir === undefined) await rm(data, { recursive: true, force: true });
  };
  try {
    const answers = eventually('etcd answers', async () => (await fetch(`${health}/health`)).ok, {
      timeoutMs: 20_000,
    });
    await Promise.race([answers, child.exited.then(() => Promise.reject(new Error(child.tail())))]);
  } catch (error) {
    await stop();
    throw error;
  }
  const ask = async (at: string, body: object, token?: string): Promise<Record<string, unknown>> => {
    const headers = new Headers(token === undefined ? {} : { authorization: token });
    const response = await fetch(`${url}/v3/${at}`, { method: 'POST', body: JSON.stringify(body), headers });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${at}: ${JSON.stringify(answer)}`);
    return answer;
  };
  return { address: `127.0.0.1:${client}`, port: client, process: child, ask, stop };
}

/** Three members of one cluster. */
export class EtcdCluster {
  private constructor(
    readonly members: readonly Child[],
    readonly addresses: readonly string[],
    private readonly dir: string,
  ) {}

  static async start(): Promise<EtcdCluster> {
    const { path } = await etcdServer({ log: () => undefined });
    const dir = await mkdtemp(join(tmpdir(), 'etcd-cluster-'));
    const ports = await freePorts(6);
    const pairs = [0, 1, 2].map((index) => [ports[2 * index] ?? 0, ports[2 * index + 1] ?? 0] as const);
    const peers = pairs.map(([, peer], index) => `m${index}=http://127.0.0.1:${peer}`).join(',');
    const members = pairs.map(([client, peer], index) => {
      const flags = {
        name: `m${index}`,
        'data-dir': join(dir, String(index)),
        'listen-client-urls': `http://127.0.0.1:${client}`,
        'advertise-client-urls': `http://127.0.0.1:${client}`,
        'listen-peer-urls': `http://127.0.0.1:${peer}`,
        'initial-advertise-peer-urls': `http://127.0.0.1:${peer}`,
        'initial-cluster': peers,
      };
      const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
      return new Child(`etcd ${index}`, path, ['--unsafe-no-fsync', ...args]);
    });
    const addresses = pairs.map(([client]) => `127.0.0.1:${client}`);
    const cluster = new EtcdCluster(members, addresses, dir);
    try {
      for (const [index, address] of addresses.entries()) {
        await eventually(
          `member ${index} answers`,
          async () => {
            if (members[index]?.exitCode !== undefined) throw new Error(members[index].tail());
            return (await fetch(`http://${address}/health`)).ok;
          },
          { timeoutMs: 30_000 },
        );
      }
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  async stop(): Promise<void> {
    for (const member of this.members) {
      member.signal('SIGKILL');
      await member.exited;
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}
