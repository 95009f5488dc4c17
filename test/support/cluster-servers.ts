import { Redis } from 'ioredis';

import { freePort } from './ports.js';
import type { Front } from './sentinel-servers.js';
import { startStore } from './store-servers.js';
import type { StoreServer } from './store-servers.js';
import { eventually } from './wait.js';

const SLOTS = 16_384;
/** After this long without an answer a node counts as dead. */
const NODE_TIMEOUT_MS = 1_000;

export interface ClusterOptions {
  /** Nodes with slots, at least three unless none is to be replaced by its replica. */
  primaries?: number;
  /** Replicas of each. */
  replicas?: number;
  password?: string;
  /** What stands before each node, made of its port; it announces that port instead of its own. */
  front?: (port: number) => Promise<Front>;
  /** Where the nodes listen; by default anywhere. */
  ports?: readonly number[];
  /** More arguments for every node. */
  args?: readonly string[];
}

/** A node of a cluster. */
export interface ClusterNode {
  server: StoreServer;
  /** The port that it announces. */
  port: number;
  id: string;
  /** A client of its own, to arrange things. */
  admin: Redis;
}

/** A cluster of Valkey nodes. */
export class ClusterServers {
  readonly #fronts: Front[] = [];

  private constructor(
    /** Primaries first, then replicas: of the first primary, of the second, and so on. */
    readonly nodes: ClusterNode[],
    private readonly options: ClusterOptions,
  ) {}

  static async start(options: ClusterOptions = {}): Promise<ClusterServers> {
    const cluster = new ClusterServers([], options);
    try {
      await cluster.#start();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** `host:port` of the first two nodes, separated by a comma: a client finds the others. */
  get addresses(): string {
    return this.nodes
      .slice(0, 2)
      .map(({ port }) => `127.0.0.1:${port}`)
      .join(',');
  }

  /** Metadata of a component that uses it. */
  get metadata(): Record<string, string> {
    const { password } = this.options;
    return { redisType: 'cluster', redisHost: this.addresses, ...(password && { redisPassword: password }) };
  }

  /** The node that has the key's slot, as `asked` sees it. */
  async ownerOf(key: string, asked = this.nodes[0]): Promise<ClusterNode> {
    const slot = await this.slotOf(key);
    const ranges = (await asked?.admin.cluster('SLOTS')) ?? [];
    const range = ranges.find(([from, to]) => from <= slot && slot <= to);
    const owner = this.nodes.find(({ id }) => id === range?.[2]?.[2]);
    if (owner === undefined) throw new Error(`no node has slot ${slot}`);
    return owner;
  }

  async slotOf(key: string): Promise<number> {
    return (await this.nodes[0]?.admin.cluster('KEYSLOT', key)) ?? -1;
  }

  /** Begins to move a slot: from now on its keys are asked for at both. */
  async beginMove(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
    await to.admin.cluster('SETSLOT', slot, 'IMPORTING', from.id);
    await from.admin.cluster('SETSLOT', slot, 'MIGRATING', to.id);
  }

  /** Moves keys of a slot that is being moved, at most `count`. Returns how many. */
  async moveKeys(slot: number, from: ClusterNode, to: ClusterNode, count: number): Promise<number> {
    const keys = await from.admin.cluster('GETKEYSINSLOT', slot, count);
    if (keys.length === 0) return 0;
    const { password } = this.options;
    const auth = password === undefined ? [] : ['AUTH', password];
    const target = ['127.0.0.1', String(to.server.port), '', '0', '5000'];
    await from.admin.call('MIGRATE', ...target, ...auth, 'KEYS', ...keys);
    return keys.length;
  }

  /** Ends a move: the slot is the new node's. */
  async endMove(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
    await to.admin.cluster('SETSLOT', slot, 'NODE', to.id);
    await from.admin.cluster('SETSLOT', slot, 'NODE', to.id);
  }

  async stop(): Promise<void> {
    for (const { admin } of this.nodes) admin.disconnect();
    await Promise.all(this.#fronts.map((front) => front.stop()));
    await Promise.all(this.nodes.map(({ server }) => server.stop()));
  }

  async #start(): Promise<void> {
    const { primaries = 3, replicas = 0 } = this.options;
    const buses: number[] = [];
    for (let count = 0; count < primaries * (1 + replicas); count++) buses.push(await this.#startNode());
    const [first, ...others] = this.nodes as [ClusterNode, ...ClusterNode[]];
    for (const [index, { admin }] of this.nodes.entries()) {
      await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      if (index >= primaries) continue;
      const from = Math.floor((SLOTS * index) / primaries);
      const to = Math.floor((SLOTS * (index + 1)) / primaries) - 1;
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    }
    for (const [index, { server }] of others.entries()) {
      await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(buses[index + 1]));
    }
    await this.#untilKnown();
    for (const [index, { admin }] of this.nodes.slice(primaries).entries()) {
      const primary = this.nodes[Math.floor(index / replicas)];
      await admin.cluster('REPLICATE', primary?.id ?? '');
    }
    await this.#untilServed(replicas);
  }

  async #startNode(): Promise<number> {
    const { password, args: more = [] } = this.options;
    const port = this.options.ports?.[this.nodes.length] ?? (await freePort());
    const bus = await freePort();
    const front = await this.options.front?.(port);
    if (front !== undefined) this.#fronts.push(front);
    const args = [
      ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS)],
      ...['--cluster-port', String(bus), '--repl-diskless-sync-delay', '0'],
      ...(password ? ['--requirepass', password, '--masterauth', password] : []),
      ...(front
        ? ['--cluster-announce-port', String(front.port), '--cluster-announce-bus-port', String(bus)]
        : []),
      ...more,
    ];
    const server = await startStore('valkey', args, port);
    const admin = new Redis(port, '127.0.0.1', {
      protocol: 2,
      disconnectTimeout: 100,
      ...(password && { password }),
    });
    admin.on('error', () => undefined);
    const node = { server, port: front?.port ?? port, id: '', admin };
    this.nodes.push(node);
    node.id = await admin.cluster('MYID');
    return bus;
  }

  async #untilKnown(): Promise<void> {
    await eventually(
      'the nodes know each other',
      async () => {
        for (const { admin } of this.nodes) {
          const info = await admin.cluster('INFO');
          if (!info.includes('cluster_state:ok')) throw new Error(info);
          if (!info.includes(`cluster_known_nodes:${this.nodes.length}`)) throw new Error(info);
        }
        return true;
      },
      { timeoutMs: 30_000 },
    );
  }

  /** Until every node knows every slot's replicas, and these are filled. */
  async #untilServed(replicas: number): Promise<void> {
    await eventually(
      'the replicas are filled',
      async () => {
        for (const { admin } of this.nodes) {
          const ranges = (await admin.cluster('SLOTS')) as unknown[][];
          if (ranges.some((range) => range.length !== 3 + replicas)) throw new Error(JSON.stringify(ranges));
          const info = await admin.info('replication');
          if (info.includes('role:slave') && !info.includes('master_link_status:up')) throw new Error(info);
          if (info.includes('role:master') && (info.match(/state=online/g) ?? []).length !== replicas)
            throw new Error(info);
        }
        return true;
      },
      { timeoutMs: 30_000 },
    );
  }
}
