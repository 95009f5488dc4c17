import { H2Connection, type H2Stream } from '../support/h2/connection.js';
import type { HeaderField } from '../support/h2/hpack.js';
import { http1 } from '../support/http1.js';
import { getStateBody } from '../support/requests.js';
import type { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';
import { fieldOf } from './cases.js';
import { SERVICES } from './grpc-door.js';

const MIB = 1024;

/** How much more memory, in KiB, each process may have after a storm than after its warm-up. */
const MORE_ENVOY = 48 * MIB;
const MORE_BRIDGE = 96 * MIB;

/** Counters that are 0 as long as no VM has trapped. */
const RELOADS = /^wasm\.layotto\.runtime\.vm_reload/;
const CREATED = /^wasm\.envoy\.wasm\.runtime\.v8\.created$/;
const LOST = /^wasmcustom\.layotto_session_links_lost_total$/;
/** Connections to the bridge that Envoy gave up because it did not answer for a second: on a busy machine it may. */
const STARVED = /^cluster\.layotto_session(?:_large)?\.http2\.keepalive_timeout$/;
const HELD = /^wasmcustom\.layotto_(?:bytes_held|operations_in_flight)$/;

/** Looks after a runtime while it is stormed: what must not happen to it, and what it must still do. */
export class Watch {
  private memory: { envoy: number; bridge: number } | undefined;

  private constructor(
    private readonly runtime: Runtime,
    private readonly created: number,
    private readonly lost: number,
  ) {}

  static async begin(runtime: Runtime): Promise<Watch> {
    return new Watch(runtime, await sum(runtime, CREATED), await lostSessions(runtime));
  }

  /** The warm-up is over: from here on memory must not grow much. */
  async warm(): Promise<void> {
    this.memory = await this.measure();
  }

  /** Everything that is wrong now; empty if nothing is. */
  async problems(): Promise<string[]> {
    const { runtime } = this;
    const { envoy, bridgeProcess: bridge } = runtime;
    const problems: string[] = [];
    const differ = (what: string, now: number, then: number): void => {
      if (now !== then) problems.push(`${what}: ${now} instead of ${then}`);
    };
    if (envoy.exitCode !== undefined) return [`Envoy exited with ${envoy.exitCode}\n${envoy.tail()}`];
    if (bridge.exitCode !== undefined) return [`the bridge exited with ${bridge.exitCode}\n${bridge.tail()}`];
    differ('VMs reloaded', await sum(runtime, RELOADS), 0);
    differ('VMs made', await sum(runtime, CREATED), this.created);
    const lost = (await lostSessions(runtime)) - this.lost;
    if (lost > 0) problems.push(`${lost} sessions were lost`);
    const complaints = envoy.log.split('\n').filter((line) => /\[(?:error|critical)\]/.test(line));
    if (complaints.length > 0) problems.push(`Envoy's log says:\n${complaints.slice(0, 5).join('\n')}`);
    const failures = bridge.log.split('\n').filter((line) => /^\{"level":[56]0/.test(line));
    if (failures.length > 0) problems.push(`the bridge's log says:\n${failures.slice(0, 5).join('\n')}`);
    await this.collect(problems, 'what was held is given back', () => this.nothingHeld());
    await this.collect(problems, 'every door serves', () => this.serves());
    await this.collect(problems, 'there is room for all bytes, and no more', () => this.fillBytes());
    await this.collect(problems, 'there is room for all operations, and no more', () =>
      this.fillOperations(),
    );
    problems.push(...(await this.growth()));
    return problems;
  }

  /** How much memory both have, for people. */
  async describe(): Promise<string> {
    const { envoy, bridge } = await this.measure();
    return `Envoy ${Math.round(envoy / MIB)} MiB, bridge ${Math.round(bridge / MIB)} MiB`;
  }

  private async measure(): Promise<{ envoy: number; bridge: number }> {
    const { envoy, bridgeProcess } = this.runtime;
    return { envoy: await envoy.rssKiB(), bridge: await bridgeProcess.anonKiB() };
  }

  private async growth(): Promise<string[]> {
    const { memory } = this;
    if (memory === undefined) return [];
    const now = await this.measure();
    const problems: string[] = [];
    const grown = (name: string, kib: number, bound: number): void => {
      if (kib > bound) problems.push(`${name} has grown by ${Math.round(kib / MIB)} MiB`);
    };
    grown('Envoy', now.envoy - memory.envoy, MORE_ENVOY);
    grown('the bridge', now.bridge - memory.bridge, MORE_BRIDGE);
    return problems;
  }

  private async collect(problems: string[], what: string, check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`);
    }
  }

  private async nothingHeld(): Promise<void> {
    let held: Record<string, number> = {};
    await eventually('operations and bytes are 0', async () => {
      held = await this.runtime.stats(HELD);
      return Object.values(held).length === 2 && Object.values(held).every((value) => value === 0);
    }).catch(() => {
      throw new Error(JSON.stringify(held));
    });
  }

  private async serves(): Promise<void> {
    const { target } = this.runtime;
    const connection = await H2Connection.open(target);
    try {
      for (const service of Object.values(SERVICES)) {
        const stream = connection.request(grpcHeaders(service));
        connection.data(stream, getStateBody('k'), true);
        const answer = await stream.answer;
        const status = fieldOf(answer.trailers ?? answer.headers, 'grpc-status');
        if (status !== '0') throw new Error(`${service} answers ${status}`);
      }
    } finally {
      connection.close();
    }
    const { status } = await http1(target, 'GET', '/v1.0/state/statestore/absent');
    if (status !== 204) throw new Error(`HTTP answers ${status}`);
  }

  /** Bodies that do not end take every byte there is; the next one, and not one before it, is refused. */
  private async fillBytes(): Promise<void> {
    const { bytes, messageBytes } = this.runtime.config.limits;
    const piece = Buffer.alloc(messageBytes);
    const connection = await H2Connection.open(this.runtime.target);
    try {
      const answered = new Set<H2Stream>();
      const begin = (size: number): H2Stream => {
        const stream = connection.request(grpcHeaders(SERVICES['layotto-grpc']));
        connection.data(stream, piece.subarray(0, size));
        void stream.answer.then(() => answered.add(stream));
        return stream;
      };
      for (let left = bytes; left > 0; left -= messageBytes) begin(Math.min(left, messageBytes));
      await eventually('all bytes are held', async () => {
        if (answered.size > 0) throw new Error(`${answered.size} calls were refused before that`);
        return (await sum(this.runtime, /^wasmcustom\.layotto_bytes_held$/)) === bytes;
      });
      const answer = await begin(1).answer;
      const status = fieldOf(answer.headers, 'grpc-status');
      if (status !== '8') throw new Error(`one more byte is answered with ${status}`);
    } finally {
      connection.close();
    }
    await this.nothingHeld();
  }

  private async fillOperations(): Promise<void> {
    for (let tries = 3; ; tries--) {
      const lost = await sum(this.runtime, LOST);
      try {
        return await this.holdOperations();
      } catch (error) {
        // On a busy machine it may have taken so long that Envoy gave the bridge up meanwhile.
        if (tries === 1 || (await sum(this.runtime, LOST)) === lost) throw error;
        await this.runtime.sessionsOpen();
      }
    }
  }

  /** While the bridge stands still, as many calls as there may be wait for it; the next is refused, and all end well. */
  private async holdOperations(): Promise<void> {
    const { operations } = this.runtime.config.limits;
    const connection = await H2Connection.open(this.runtime.target);
    const ask = (): H2Stream => {
      const stream = connection.request(grpcHeaders(SERVICES['layotto-grpc']));
      connection.data(stream, getStateBody('k'), true);
      return stream;
    };
    try {
      await this.runtime.stopBridge();
      const waiting = Array.from({ length: operations }, ask);
      const over = fieldOf((await ask().answer).headers, 'grpc-status');
      this.runtime.contBridge();
      if (over !== '8') throw new Error(`one more operation is answered with ${over}`);
      const answers = await Promise.all(waiting.map(({ answer }) => answer));
      const statuses = new Set(
        answers.map(({ headers, trailers }) => fieldOf(trailers ?? headers, 'grpc-status')),
      );
      if (statuses.size !== 1 || !statuses.has('0'))
        throw new Error(`those that waited are answered with ${[...statuses].join(', ')}`);
    } finally {
      this.runtime.contBridge();
      connection.close();
    }
    await this.nothingHeld();
  }
}

/** What counters or gauges come to together. */
async function sum(runtime: Runtime, pattern: RegExp): Promise<number> {
  return Object.values(await runtime.stats(pattern)).reduce((total, value) => total + value, 0);
}

/** Sessions that were lost, without those that a starved bridge explains. */
async function lostSessions(runtime: Runtime): Promise<number> {
  return Math.max(0, (await sum(runtime, LOST)) - (await sum(runtime, STARVED)));
}

function grpcHeaders(service: string): HeaderField[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'localhost'],
    [':path', `/${service}/GetState`],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ];
}
