import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { open } from '../../components-bridge/src/components/apollo/configuration.js';
import type { ApolloConfigurationStore } from '../../components-bridge/src/components/apollo/configuration.js';
import { ANY } from '../../components-bridge/src/primitives/configuration/store.js';
import { eventually } from './wait.js';

/** A store that was opened for a test, and what it said. */
export interface OpenedStore {
  store: ApolloConfigurationStore;
  /** What it reported, latest last. */
  reports: { status: string; reason?: string | undefined }[];
  /** Messages that it logged, with their level. */
  log: { level: number; msg: string; reason?: string }[];
}

/** Folder and stores that end with the test. */
export class Stores {
  readonly #open: ApolloConfigurationStore[] = [];

  private constructor(readonly dataDir: string) {}

  static async create(): Promise<Stores> {
    return new Stores(await mkdtemp(join(tmpdir(), 'apollo-')));
  }

  /** @throws what the component throws */
  async open(metadata: Record<string, string>, name = 'configs'): Promise<OpenedStore> {
    const reports: OpenedStore['reports'] = [];
    const log: OpenedStore['log'] = [];
    const store = await open({
      name,
      version: 'v1',
      appId: 'app',
      metadata,
      dataDir: this.dataDir,
      log: pino({}, { write: (line: string) => void log.push(JSON.parse(line) as OpenedStore['log'][0]) }),
      report: (status, reason) => void reports.push({ status, reason }),
      invalidate: () => undefined,
    });
    this.#open.push(store);
    return { store, reports, log };
  }

  async close(): Promise<void> {
    for (const store of this.#open) await store.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** Contents by key, of any label. */
export async function contentsOf(
  { store }: Pick<OpenedStore, 'store'>,
  group = 'application',
): Promise<Record<string, string>> {
  const items = await store.get({ appId: '', group, label: ANY, keys: [], metadata: {} });
  return Object.fromEntries(items.map(({ key, content }) => [key, content]));
}

/** Why something failed. */
export async function reasonFor(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );
}

/** What a follower of a group knows, read again after each notice. */
export class Follower {
  known: Record<string, string> = {};
  notices = 0;
  readonly #watch: { close(): void };

  constructor(opened: OpenedStore, group = 'application') {
    const query = { appId: '', group, label: ANY, keys: [], metadata: {} };
    this.#watch = opened.store.watch(query, () => {
      this.notices++;
      contentsOf(opened, group).then(
        (contents) => (this.known = contents),
        () => undefined,
      );
    });
  }

  /** Waits until it knows exactly this. @returns how long that took, in ms */
  async knows(wanted: Record<string, string>, timeoutMs: number): Promise<number> {
    const started = performance.now();
    const same = (): boolean => {
      if (JSON.stringify(sorted(this.known)) === JSON.stringify(sorted(wanted))) return true;
      throw new Error(`it knows ${JSON.stringify(this.known)}`);
    };
    await eventually(`it knows ${JSON.stringify(wanted)}`, same, { timeoutMs, everyMs: 5 });
    return performance.now() - started;
  }

  close(): void {
    this.#watch.close();
  }
}

function sorted(texts: Record<string, string>): [string, string][] {
  return Object.entries(texts).sort();
}
