import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import type {
  Broker,
  BrokerSubscription,
  OutgoingMessage,
  Published,
  SubscribeOptions,
} from '../../primitives/pubsub/broker.js';
import { CommitWatch } from './commit-watch.js';
import { EmbeddedDatabase, EmbeddedError } from './database.js';
import { pubsubMetadataSchema } from './metadata.js';
import { Consumer } from './pubsub-consumer.js';
import { Journal } from './pubsub-journal.js';
import type { Change, JournalLimits } from './pubsub-change.js';
import { encodeMessage, expiryOf } from './pubsub-records.js';
import type { StoredGroup, StoredTopic } from './pubsub-records.js';
import { Retention } from './pubsub-retention.js';

/** How often it is looked whether another process has written, or whoever delivered before has ended. */
const LOOK_EVERY_MS = 100;
/** Looks until one is made although nothing was written. */
const LOOKS_PER_TRY = 10;
/** How many bytes of messages one commit takes, so that a commit stays short. */
const COMMIT_BYTES = 16 * 1024 * 1024;
/** Pause after a commit that failed. */
const FAILED_PAUSE_MS = 1_000;
/** Expired messages are not delivered; they are removed at most so often. */
const SWEEP_EVERY_MS = 1_000;
/** The longest time that a timer is set for. */
const LONGEST_TIMER_MS = 3_600_000;

export async function open(context: ComponentContext): Promise<EmbeddedBroker> {
  const { path, consumerID, redeliverInterval, maxLength, maxBytes, maxAge } = pubsubMetadataSchema.parse(
    context.metadata,
  );
  return new EmbeddedBroker(await EmbeddedDatabase.open(context, 'pubsub', path), context.log, {
    group: consumerID || context.appId,
    pauseMs: redeliverInterval ?? 1_000,
    limits: { length: maxLength ?? 100_000, bytes: maxBytes ?? 1024 ** 3 },
    keptMs: maxAge ?? 7 * 24 * 3_600_000,
  });
}

interface EmbeddedBrokerOptions {
  /** Whose messages are delivered, unless a subscription says something else. */
  readonly group: string;
  /** Milliseconds before a message is delivered for the second time. */
  readonly pauseMs: number;
  readonly limits: JournalLimits;
  /** Milliseconds that a message is kept; 0: until it is acknowledged. */
  readonly keptMs: number;
}

/** What a commit does. */
interface Work {
  publications: readonly Publication[];
  results: (Published | BrokerError)[][];
  consumers: readonly Consumer[];
  /** Numbers of those that may have new messages. */
  topics: Set<number>;
}

/** Messages that wait for the next commit. */
interface Publication {
  readonly topic: string;
  readonly messages: readonly { record: Buffer; notBefore: number | undefined }[];
  readonly bytes: number;
  readonly resolve: (results: (Published | BrokerError)[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Publish and subscribe in the bridge's own process, on lmdb. Everything that comes while a commit runs shares the next
 * one: messages, acknowledgements and what is to be delivered again.
 */
export class EmbeddedBroker implements Broker {
  readonly delays = true;
  readonly place: BackendPlace = { system: 'lmdb' };
  readonly #journal: Journal;
  readonly #retention: Retention | undefined;
  readonly #consumers = new Set<Consumer>();
  /** Consumers of which nobody is left, until that is on disk. */
  readonly #leaving = new Set<Consumer>();
  /** By topic number and group. */
  readonly #byGroup = new Map<string, Consumer>();
  #publications: Publication[] = [];
  #commit: Promise<void> | undefined;
  #looking: NodeJS.Timeout | undefined;
  #looks = 0;
  readonly #commits: CommitWatch;
  #timer: NodeJS.Timeout | undefined;
  /** When a message is due that waits, or has expired. */
  #due = Infinity;
  #closed = false;

  constructor(
    readonly database: EmbeddedDatabase,
    private readonly log: ComponentContext['log'],
    private readonly options: EmbeddedBrokerOptions,
  ) {
    this.#journal = new Journal(database, options.limits);
    const { keptMs } = options;
    if (keptMs > 0) this.#retention = new Retention(database, this.#journal, keptMs, log);
    this.#commits = new CommitWatch(database);
    this.#lookForDue();
  }

  async publish(topic: string, messages: readonly OutgoingMessage[]): Promise<(Published | BrokerError)[]> {
    const now = Date.now();
    let bytes = 0;
    const encoded = messages.map((message) => {
      const record = encodeMessage(message, 0);
      bytes += record.length;
      const { notBefore = 0 } = message;
      return { record, notBefore: notBefore > now ? Math.ceil(notBefore) : undefined };
    });
    const results = await new Promise<(Published | BrokerError)[]>((resolve, reject) => {
      this.#publications.push({ topic, messages: encoded, bytes, resolve, reject });
      void this.#requestCommit();
    });
    const [first] = results;
    if (first instanceof BrokerError) throw first;
    return results;
  }

  async subscribe(options: SubscribeOptions): Promise<BrokerSubscription> {
    const name = options.metadata['consumerID'] || this.options.group;
    const { topic, group } = await this.#join(options.topic, name);
    const id = `${topic.number}/${name}`;
    let consumer = this.#byGroup.get(id);
    if (consumer === undefined) {
      const { pauseMs } = this.options;
      const commit = (): Promise<void> => this.#requestCommit();
      consumer = new Consumer(topic, group, { journal: this.#journal, pauseMs, commit });
      this.#consumers.add(consumer);
      this.#byGroup.set(id, consumer);
      this.#look(true);
    }
    const leave = consumer.add(options);
    await this.#acquire(consumer);
    const joined = consumer;
    return {
      lag: async () => this.#journal.lag(topic.number, name),
      close: async () => {
        const left = leave();
        const last = joined.isEmpty && this.#byGroup.get(id) === joined;
        if (last) this.#byGroup.delete(id);
        await left;
        if (last) await this.#retire(joined);
      },
    };
  }

  probe(): Promise<void> {
    return this.database.probe();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    for (const consumer of this.#consumers) this.#leaving.add(consumer);
    const last = this.#requestCommit();
    this.#closed = true;
    clearInterval(this.#looking);
    clearTimeout(this.#timer);
    await last;
    await this.#retention?.end();
    for (const consumer of this.#consumers) consumer.end();
    await this.database.close();
  }

  /** Makes the topic and the group. */
  async #join(topic: string, name: string): Promise<{ topic: StoredTopic; group: StoredGroup }> {
    return this.#write((change) => {
      const joined = change.topic(topic);
      return { topic: joined, group: change.group(joined, name) };
    });
  }

  async #acquire(consumer: Consumer): Promise<void> {
    if (consumer.owns || this.#closed || this.#leaving.has(consumer)) return;
    const acquired = await this.#write((change) => consumer.acquire(change));
    if (acquired && !consumer.owns && this.#consumers.has(consumer)) consumer.begin();
  }

  async #retire(consumer: Consumer): Promise<void> {
    this.#leaving.add(consumer);
    if (!this.#closed) await this.#requestCommit();
    consumer.end();
    this.#consumers.delete(consumer);
    this.#leaving.delete(consumer);
    // Whoever came meanwhile may deliver now.
    this.#acquireAll();
    if (this.#consumers.size === 0) this.#look(false);
  }

  async #write<Result>(perform: (change: Change) => Result): Promise<Result> {
    try {
      return await this.database.write(() => {
        const change = this.#journal.change();
        const result = perform(change);
        change.finish();
        return result;
      });
    } catch (error) {
      throw brokerError(error);
    }
  }

  /** Has everything that happened put on disk. @returns when it is, or when that has failed */
  #requestCommit(): Promise<void> {
    if (this.#commit !== undefined) return this.#commit;
    const work: Work = { publications: [], results: [], consumers: [], topics: new Set() };
    const bytes = this.#publications.reduce((sum, publication) => sum + publication.bytes, 0);
    const commit = this.database
      .write(() => {
        this.#commit = undefined;
        this.#perform(work);
      }, bytes)
      .then(
        () => {
          for (const [index, { resolve }] of work.publications.entries()) resolve(work.results[index] ?? []);
          for (const consumer of work.consumers) {
            consumer.written();
            if (work.topics.has(consumer.topicNumber)) consumer.wake();
          }
        },
        (error: unknown) => {
          if (this.#commit === commit) this.#commit = undefined;
          this.#failed(error, work);
        },
      );
    this.#commit = commit;
    return commit;
  }

  /** In a write. */
  #perform(work: Work): void {
    const now = Date.now();
    const change = this.#journal.change();
    work.publications = this.#takePublications();
    work.consumers = [...this.#consumers];
    if (this.#due <= now) {
      for (const topic of change.due(now)) work.topics.add(topic);
      this.#due = Infinity;
      setImmediate(() => this.#lookForDue());
    }
    for (const consumer of work.consumers) {
      if (this.#leaving.has(consumer)) consumer.release(change);
      else consumer.write(change);
    }
    work.results = work.publications.map(({ topic: name, messages }) => {
      const topic = change.topic(name);
      work.topics.add(topic.number);
      let refused: BrokerError | undefined;
      return messages.map(({ record, notBefore }) => {
        // After one that was refused none is taken: it would come before it.
        const result = refused ?? change.publish(topic, record, notBefore);
        if (result instanceof BrokerError) return (refused = result);
        this.#setDue(Math.min(notBefore ?? Infinity, expiryOf(record) || Infinity));
        return { id: result, persisted: true };
      });
    });
    change.finish();
  }

  #takePublications(): Publication[] {
    let bytes = 0;
    let count = 0;
    for (const publication of this.#publications) {
      bytes += publication.bytes;
      if (count > 0 && bytes > COMMIT_BYTES) break;
      count++;
    }
    const taken = this.#publications.splice(0, count);
    if (this.#publications.length > 0) void this.#requestCommit();
    return taken;
  }

  #failed(error: unknown, { publications, consumers }: Work): void {
    const failure = brokerError(error);
    // Those of a commit that did not even begin.
    const lost = publications.length > 0 ? publications : this.#publications.splice(0);
    for (const { reject } of lost) reject(failure);
    for (const consumer of consumers) consumer.notWritten();
    if (this.#closed) return;
    this.log.warn(
      { reason: reasonOf(failure) },
      'a commit failed; what became of deliveries is written later',
    );
    setTimeout(() => void this.#requestCommit(), FAILED_PAUSE_MS).unref();
  }

  /** Looks now and then what others have done, while there is a consumer. */
  #look(on: boolean): void {
    if (!on) {
      clearInterval(this.#looking);
      this.#looking = undefined;
    } else this.#looking ??= setInterval(() => this.#lookAtOthers(), LOOK_EVERY_MS).unref();
  }

  #lookAtOthers(): void {
    const changed = this.#commits.look();
    this.#looks = changed ? 0 : this.#looks + 1;
    if (changed) {
      this.#lookForDue();
      for (const consumer of this.#consumers) consumer.wake();
    }
    if (changed || this.#looks % LOOKS_PER_TRY === 0) this.#acquireAll();
  }

  /** For those that do not deliver yet. */
  #acquireAll(): void {
    for (const consumer of this.#consumers) {
      if (consumer.mayAcquire()) this.#acquire(consumer).catch(() => undefined);
    }
  }

  #lookForDue(): void {
    if (this.#closed) return;
    const { delayed, expired } = this.#journal.nextDue();
    const now = Date.now();
    this.#setDue(Math.min(delayed, expired <= now ? now : Math.max(expired, now + SWEEP_EVERY_MS)));
  }

  #setDue(at: number): void {
    if (at >= this.#due || this.#closed) return;
    this.#due = at;
    clearTimeout(this.#timer);
    const wait = Math.min(Math.max(at - Date.now(), 1), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => void this.#requestCommit(), wait).unref();
  }
}

function brokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const kind = error instanceof EmbeddedError ? error.kind : 'failed';
  return new BrokerError(kind, reasonOf(error), { cause: error });
}
