import { setTimeout as sleep } from 'node:timers/promises';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import type { RedisConnection } from './connection.js';
import { answerCode, RedisUnavailable } from './failure.js';
import type { RedisLink } from './link.js';
import { RedisNode } from './node.js';
import type { Command } from './node.js';
import { serverOptions } from './options.js';
import type { Endpoint, RedisSettings } from './options.js';
import { tracking } from './tracking.js';
import { parseRedirect, parseSlotRanges, SLOTS, slotOf } from './slots.js';
import type { SlotRange } from './slots.js';

/** How often one operation is sent somewhere else, or again because its keys are on the move. */
const MOST_TRIES = 16;
/** Pause before an operation whose keys are on the move is sent again. */
const TRY_AGAIN_MS = 100;
/** Pause between a hint that slots have moved and asking for all of them: hints come in swarms. */
const HINT_MS = 200;
/** How long a node is kept that serves no slot, after it was last pointed to. */
const IDLE_MS = 10_000;

/** A node that is connected to. */
interface Member {
  endpoint: Endpoint;
  node: RedisNode;
  /** When another node last pointed to it, on the clock of `performance`. */
  pointedAt: number;
}

/**
 * A Redis Cluster: a connection to each primary, and which of them has which slot.
 *
 * ioredis has a cluster client, which is not used: it queues commands for nodes that are not connected, sends those
 * again whose connection broke, writes included, and does not tell which node has done a write, which WAIT must know.
 */
export class RedisCluster implements RedisConnection {
  readonly #members = new Map<string, Member>();
  #slots: (Member | undefined)[] = new Array<Member | undefined>(SLOTS).fill(undefined);
  /** The members that have slots. */
  #serving = new Set<Member>();
  /** Replicas: whom to ask for the slots when no primary answers. */
  #replicas: Endpoint[] = [];
  #learning: Promise<void> | undefined;
  #timer: { at: number; timer: NodeJS.Timeout } | undefined;
  #failures = 0;
  #opened = false;
  #closed = false;

  private constructor(
    private readonly settings: RedisSettings,
    private readonly context: ComponentContext,
    private readonly track: boolean,
  ) {}

  /** @throws RedisUnavailable; then nothing is left open */
  static async open(
    settings: RedisSettings,
    context: ComponentContext,
    track: boolean,
  ): Promise<RedisCluster> {
    const cluster = new RedisCluster(settings, context, track);
    try {
      await cluster.#learn();
      await Promise.allSettled([...cluster.#serving].map(({ node }) => node.connect()));
      const reason = cluster.#downReason();
      if (reason !== undefined) throw new RedisUnavailable(reason);
    } catch (error) {
      cluster.close();
      throw error;
    }
    cluster.#opened = true;
    if (!cluster.#isWhole()) cluster.#plan(HINT_MS);
    return cluster;
  }

  run<Result>(key: string, command: Command<Result>): Promise<Result> {
    return this.#perform(key, (node, asking) => node.run(command, asking));
  }

  read<Result>(key: string, command: Command<Result>): Promise<Result> {
    return this.#perform(key, (node, asking) => node.read(key, command, asking));
  }

  runStrong<Result>(
    key: string,
    command: Command<Result>,
    wrote: (result: Result) => boolean,
  ): Promise<Result> {
    return this.#perform(key, (node, asking) => node.runStrong(command, wrote, asking));
  }

  together(keys: readonly string[]): boolean {
    const slot = slotOf(keys[0] ?? '');
    return keys.every((key) => slotOf(key) === slot);
  }

  apart(key: string, waitMs: number): RedisLink {
    const slot = slotOf(key);
    const member = this.#slots[slot];
    if (member === undefined) throw new RedisUnavailable(`no node of the cluster serves slot ${slot}`);
    return member.node.apart(waitMs);
  }

  remote(key: string): string | undefined {
    return this.#slots[slotOf(key)]?.node.remote;
  }

  /** A node that hangs is found here, and lost: a cluster of which a part is away is served, so it is no failure. */
  async ping(): Promise<void> {
    await Promise.allSettled([...this.#serving].map(({ node }) => node.ping()));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer?.timer);
    for (const { node } of this.#members.values()) node.close();
  }

  /** Sends to whoever has the key's slot, and follows where that node points. */
  async #perform<Result>(
    key: string,
    send: (node: RedisNode, asking: boolean) => Promise<Result>,
  ): Promise<Result> {
    const slot = slotOf(key);
    let member = this.#slots[slot];
    let asking = false;
    for (let tries = 1; ; tries++) {
      if (member === undefined) throw new RedisUnavailable(`no node of the cluster serves slot ${slot}`);
      // One that is being connected for the first time; after that, one that is away fails at once.
      if (!member.node.isReady) await member.node.connect().catch(() => undefined);
      try {
        return await send(member.node, asking);
      } catch (error) {
        const next = await this.#next(error, slot, member);
        if (next === undefined) throw error;
        if (tries === MOST_TRIES) {
          const reason = `${member.node.address}: ${reasonOf(error)}`;
          throw new RedisUnavailable(`${reason}, after ${tries} tries`, { cause: error });
        }
        ({ member, asking } = next);
      }
    }
  }

  /** Where to send an operation that failed like this; undefined if not elsewhere. It was not performed then. */
  async #next(
    error: unknown,
    slot: number,
    from: Member,
  ): Promise<{ member: Member | undefined; asking: boolean } | undefined> {
    const code = answerCode(error);
    if (code === 'TRYAGAIN') {
      await sleep(TRY_AGAIN_MS);
      return { member: this.#slots[slot], asking: false };
    }
    const redirect = code === 'MOVED' || code === 'ASK' ? parseRedirect(reasonOf(error)) : undefined;
    if (redirect === undefined) return undefined;
    const member = this.#memberAt({ host: redirect.host || from.endpoint.host, port: redirect.port });
    member.pointedAt = performance.now();
    if (redirect.kind === 'ask') return { member, asking: true };
    this.#slots[slot] = member;
    this.#plan(HINT_MS);
    return { member, asking: false };
  }

  /** @throws RedisUnavailable once it is closed: nothing is to be opened then */
  #memberAt(endpoint: Endpoint): Member {
    if (this.#closed) throw new RedisUnavailable('the connection was closed');
    const address = `${endpoint.host}:${endpoint.port}`;
    const known = this.#members.get(address);
    if (known !== undefined) return known;
    const node = new RedisNode(address, serverOptions(this.settings, endpoint), this.settings, {
      onReady: () => this.#report(),
      onLost: () => {
        this.#report();
        if (this.#serving.has(member)) this.#plan(HINT_MS);
      },
      ...tracking(this.context, this.track),
    });
    const member: Member = { endpoint, node, pointedAt: performance.now() };
    this.#members.set(address, member);
    node.connect().catch(() => undefined);
    return member;
  }

  /** Learns the slots in `delayMs`, or sooner if that is planned. */
  #plan(delayMs: number): void {
    const at = performance.now() + delayMs;
    if (this.#closed || (this.#timer !== undefined && this.#timer.at <= at)) return;
    clearTimeout(this.#timer?.timer);
    const timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#learnAndPlan();
    }, delayMs);
    this.#timer = { at, timer };
  }

  /** Goes on until every slot's node is connected, because slots move when one is away. */
  async #learnAndPlan(): Promise<void> {
    const failed = await this.#learn().then(
      () => false,
      () => true,
    );
    this.#report();
    if (failed || !this.#isWhole()) this.#plan(this.settings.pauseMs(++this.#failures));
    else this.#failures = 0;
    if (this.#members.size > this.#serving.size) this.#plan(IDLE_MS);
  }

  /** @throws RedisUnavailable if nobody tells the slots */
  #learn(): Promise<void> {
    this.#learning ??= this.#ask().finally(() => (this.#learning = undefined));
    return this.#learning;
  }

  async #ask(): Promise<void> {
    let failure: unknown;
    for (const member of this.#informants()) {
      if (!member.node.isReady) await member.node.connect().catch(() => undefined);
      try {
        const answer = await member.node.run((next) => next().cluster('SLOTS'));
        this.#apply(parseSlotRanges(answer), member);
        return;
      } catch (error) {
        failure = explained(error, member.node.address);
      }
    }
    throw failure;
  }

  /** Whom to ask, in order: primaries that are connected, then others that were, then those of the configuration. */
  *#informants(): Iterable<Member> {
    const ready = [...this.#serving].filter(({ node }) => node.isReady);
    const start = Math.floor(Math.random() * ready.length);
    yield* [...ready.slice(start), ...ready.slice(0, start)];
    for (const endpoint of [...this.#replicas, ...this.settings.endpoints]) yield this.#memberAt(endpoint);
  }

  #apply(ranges: readonly SlotRange[], asked: Member): void {
    if (ranges.length === 0) throw new Error('it knows of no slots; is it part of a cluster?');
    const slots = new Array<Member | undefined>(SLOTS).fill(undefined);
    this.#serving = new Set();
    this.#replicas = [];
    for (const { from, to, nodes } of ranges) {
      const [primary, ...replicas] = nodes.map(({ host, port }) => {
        return { host: host || asked.endpoint.host, port };
      });
      if (primary === undefined) continue;
      const member = this.#memberAt(primary);
      this.#serving.add(member);
      slots.fill(member, from, to + 1);
      this.#replicas.push(...replicas);
    }
    this.#slots = slots;
    for (const [address, member] of this.#members) {
      if (this.#serving.has(member) || performance.now() - member.pointedAt < IDLE_MS) continue;
      this.#members.delete(address);
      member.node.retire();
    }
  }

  #isWhole(): boolean {
    return [...this.#serving].every(({ node }) => node.isReady);
  }

  /** Why nothing can be served; undefined if something can. */
  #downReason(): string | undefined {
    const members = [...this.#serving];
    if (members.some(({ node }) => node.isReady)) return undefined;
    return members[0]?.node.lostReason ?? 'no node of the cluster is known';
  }

  /** A cluster of which a part is away is served: calls for that part fail with its address. */
  #report(): void {
    if (!this.#opened || this.#closed) return;
    const reason = this.#downReason();
    if (reason === undefined) this.context.report('ready');
    else this.context.report('down', reason);
  }
}

/** Why a node did not tell the slots. */
function explained(error: unknown, address: string): RedisUnavailable {
  if (error instanceof RedisUnavailable) return error;
  const reason = reasonOf(error);
  const advice = /cluster support disabled/.test(reason) ? '; for a single server leave out redisType' : '';
  return new RedisUnavailable(`${address}: ${reason}${advice}`, { cause: error });
}
