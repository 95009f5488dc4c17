import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Logger } from 'pino';

/** Topics that are remembered, and types of content of each; the longest of their names, in characters. */
const MOST_TOPICS = 1_000;
const MOST_TYPES = 8;
const LONGEST = 256;

/** How long after a change it is written down, in milliseconds. */
const WRITE_AFTER_MS = 1_000;

/** What was published to one topic. */
export interface PublishedTopic {
  readonly pubsub: string;
  readonly topic: string;
  /** Types of the data in CloudEvents, oldest first; some of them if there are many. */
  readonly types: readonly string[];
  /** Types of payloads without an envelope, in the same way. */
  readonly rawTypes: readonly string[];
}

interface Known {
  pubsub: string;
  topic: string;
  types: string[];
  rawTypes: string[];
  /** An earlier bridge has published to it, and this one has not. */
  earlier: boolean;
}

/** Remembers what the app has published to, across restarts if there is a file for it. */
export class PublishedTopics {
  readonly #topics = new Map<string, Known>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failed = false;

  /** @param kept a file in which it is written down, and who is told that it cannot be */
  constructor(private readonly kept?: { file: string; log: Logger }) {}

  get all(): PublishedTopic[] {
    return [...this.#topics.values()].map(({ earlier: _, ...topic }) => topic);
  }

  add(pubsub: string, topic: string, type: string, raw: boolean): void {
    const before = this.#topics.size;
    const known = this.#known(pubsub, topic, false);
    if (known === undefined) return;
    known.earlier = false;
    if (addType(raw ? known.rawTypes : known.types, type) || this.#topics.size > before) this.#changed();
  }

  /** Takes what earlier bridges have written down. Never throws. */
  async load(): Promise<void> {
    for (const { pubsub, topic, types, rawTypes } of await this.#written()) {
      const known = this.#known(pubsub, topic, true);
      if (known === undefined) continue;
      for (const type of types) addType(known.types, type);
      for (const type of rawTypes) addType(known.rawTypes, type);
    }
  }

  /** Writes down what is not yet. Never throws. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#write();
    }
    await this.#writing;
  }

  /** @returns undefined if there are too many; those of earlier bridges make room */
  #known(pubsub: string, topic: string, earlier: boolean): Known | undefined {
    const id = JSON.stringify([pubsub, topic]);
    const known = this.#topics.get(id);
    if (known !== undefined || topic.length > LONGEST) return known;
    if (this.#topics.size >= MOST_TOPICS) {
      const old = earlier ? undefined : [...this.#topics].find(([, one]) => one.earlier);
      if (old === undefined) return undefined;
      this.#topics.delete(old[0]);
    }
    const added = { pubsub, topic, types: [], rawTypes: [], earlier };
    this.#topics.set(id, added);
    return added;
  }

  #changed(): void {
    if (this.kept === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#write(), WRITE_AFTER_MS);
    this.#timer.unref();
  }

  #write(): void {
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#save());
  }

  /** A bridge that takes over may write beside the one that ends: each keeps what the other has written. */
  async #save(): Promise<void> {
    if (this.kept === undefined) return;
    const { file, log } = this.kept;
    await this.load();
    const next = `${file}.${process.pid}`;
    try {
      await writeFile(next, JSON.stringify({ topics: this.all }), { mode: 0o600 });
      await rename(next, file);
    } catch (error) {
      if (!this.#failed)
        log.warn({ err: error, file }, 'topics that were published to cannot be written down');
      this.#failed = true;
    }
  }

  async #written(): Promise<PublishedTopic[]> {
    if (this.kept === undefined) return [];
    try {
      const found = JSON.parse(await readFile(this.kept.file, 'utf8')) as { topics?: unknown };
      return Array.isArray(found.topics) ? found.topics.filter(isTopic) : [];
    } catch {
      // There is none yet, or it is none of ours; then it is written anew.
      return [];
    }
  }
}

function addType(types: string[], type: string): boolean {
  if (types.length >= MOST_TYPES || type.length > LONGEST || types.includes(type)) return false;
  types.push(type);
  return true;
}

function isTopic(value: unknown): value is PublishedTopic {
  if (typeof value !== 'object' || value === null) return false;
  const { pubsub, topic, types, rawTypes } = value as Record<string, unknown>;
  const texts = (list: unknown): boolean =>
    Array.isArray(list) && list.every((one) => typeof one === 'string');
  return typeof pubsub === 'string' && typeof topic === 'string' && texts(types) && texts(rawTypes);
}
