import { createHash } from 'node:crypto';

import { StorageType } from '@nats-io/jetstream';
import type { StreamInfo } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';

import { BrokerError } from '../../primitives/pubsub/broker.js';
import { JetStreamCode, jetStreamCode } from './failure.js';
import type { NatsLink } from './link.js';
import type { NatsMetadata } from './metadata.js';

/** What one has to know of the stream that a topic's messages go to. */
export interface StreamFacts {
  readonly name: string;
  /** Its messages are on disk. */
  readonly persisted: boolean;
  /** It takes messages that go away by themselves. */
  readonly expires: boolean;
}

const DEFAULT_MAX_AGE_MS = 168 * 3_600_000;
/** How long the server knows the ids of messages: its own default. */
const DUPLICATES_MS = 120_000;
/** Topics, and streams, of which facts are kept. */
const KEPT = 4_096;
/** In the metadata of streams that were created here: topics may be added to these. */
const MARK = 'layotto-created';

/** Finds the streams of topics, and creates those that are missing. */
export class Streams {
  readonly #ofTopic = new Map<string, Promise<StreamFacts>>();
  readonly #facts = new Map<string, StreamFacts>();

  constructor(
    private readonly link: NatsLink,
    private readonly metadata: NatsMetadata,
  ) {}

  /** The stream of a topic. @throws BrokerError, or what the client threw */
  of(topic: string): Promise<StreamFacts> {
    const known = this.#ofTopic.get(topic);
    if (known !== undefined) return known;
    const found = this.#find(topic);
    remember(this.#ofTopic, topic, found);
    found.catch(() => {
      if (this.#ofTopic.get(topic) === found) this.#ofTopic.delete(topic);
    });
    return found;
  }

  /** What is known of a topic's stream is out of date. */
  forget(topic: string): void {
    this.#ofTopic.delete(topic);
    this.#facts.clear();
  }

  /** Of a stream by its name, as acknowledgements tell it. */
  async named(name: string): Promise<StreamFacts> {
    return this.#facts.get(name) ?? this.#note(await this.link.manager.streams.info(name));
  }

  async #find(topic: string): Promise<StreamFacts> {
    const { streamName } = this.metadata;
    if (streamName) return this.#within(streamName, topic);
    const [name, other] = await this.link.manager.streams.names(topic).next();
    if (name !== undefined && other !== undefined)
      throw new BrokerError(
        'invalid',
        `topic ${topic} is in several streams: ${name}, ${other}; name one in streamName`,
      );
    if (name !== undefined) return this.named(name);
    if (/[*>]/.test(topic))
      throw new BrokerError('invalid', `no stream has the subject ${topic}; name one in streamName`);
    return this.#create(nameFor(topic), topic);
  }

  /** The stream of that name, made to take the topic if it is one of ours. */
  async #within(name: string, topic: string): Promise<StreamFacts> {
    const info = await this.#look(name);
    if (info === undefined) return this.#create(name, topic);
    const { subjects, metadata } = info.config;
    if (subjects.some((subject) => covers(subject, topic))) return this.#note(info);
    if (metadata?.[MARK] === undefined)
      throw new BrokerError(
        'invalid',
        `stream ${name} does not take topic ${topic}; add it to the stream's subjects`,
      );
    return this.#note(await this.link.manager.streams.update(name, { subjects: [...subjects, topic] }));
  }

  async #look(name: string): Promise<StreamInfo | undefined> {
    try {
      return await this.link.manager.streams.info(name);
    } catch (error) {
      if (jetStreamCode(error) === JetStreamCode.STREAM_NOT_FOUND) return undefined;
      throw error;
    }
  }

  async #create(name: string, topic: string): Promise<StreamFacts> {
    const { replicas = 1, memoryStorage = false, streamMaxAge = DEFAULT_MAX_AGE_MS } = this.metadata;
    try {
      const info = await this.link.manager.streams.add({
        name,
        subjects: [topic],
        storage: memoryStorage ? StorageType.Memory : StorageType.File,
        num_replicas: replicas,
        max_age: nanos(streamMaxAge),
        duplicate_window: nanos(streamMaxAge === 0 ? DUPLICATES_MS : Math.min(DUPLICATES_MS, streamMaxAge)),
        metadata: { [MARK]: 'true' },
        ...(this.#since(11) && { allow_msg_ttl: true }),
      });
      return this.#note(info);
    } catch (error) {
      // Somebody else was faster, with other settings.
      const code = jetStreamCode(error);
      if (code !== JetStreamCode.STREAM_NAME_IN_USE && code !== JetStreamCode.SUBJECTS_OVERLAP) throw error;
      const info = await this.#look(name);
      if (info?.config.subjects.some((subject) => covers(subject, topic)) === true) return this.#note(info);
      throw new BrokerError(
        'failed',
        `stream ${name} cannot be created for topic ${topic}: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
  }

  #note({ config }: StreamInfo): StreamFacts {
    const facts = {
      name: config.name,
      persisted: config.storage === StorageType.File,
      expires: config.allow_msg_ttl === true,
    };
    remember(this.#facts, config.name, facts);
    return facts;
  }

  /** Whether the server is 2.`minor` or newer. */
  #since(minor: number): boolean {
    const [, major = 0, own = 0] =
      /^(\d+)\.(\d+)/.exec(this.link.connection.info?.version ?? '')?.map(Number) ?? [];
    return major > 2 || (major === 2 && own >= minor);
  }
}

/** @throws BrokerError if NATS could not take such a topic; `patterns` allows `*` and `>` */
export function checkTopic(topic: string, patterns = false): void {
  const wrong = (reason: string) => new BrokerError('invalid', `topic ${JSON.stringify(topic)}: ${reason}`);
  if (Buffer.byteLength(topic) > 255) throw wrong('expected at most 255 bytes');
  if (/[\s\p{Cc}]/u.test(topic)) throw wrong('expected no blanks');
  if (topic.split('.').includes('')) throw wrong('expected something before and after each dot');
  if (topic.startsWith('$') || topic.startsWith('_INBOX.')) throw wrong('NATS keeps such names for itself');
  if (!patterns && topic.split('.').some((token) => token === '*' || token === '>'))
    throw wrong('expected no * and no > as a whole part');
}

/** A name for a stream or a consumer: what they cannot hold becomes `_`, and a part of its hash tells it from others. */
export function nameFor(text: string): string {
  if (/^[\w-]{1,64}$/.test(text)) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return `${text.replace(/[^\w-]/g, '_').slice(0, 64)}-${hash}`;
}

/** Whether a stream's subject, which may have wildcards, takes every message of a topic. */
function covers(subject: string, topic: string): boolean {
  const pattern = subject.split('.');
  const tokens = topic.split('.');
  for (const [index, part] of pattern.entries()) {
    if (part === '>') return tokens.length > index;
    const token = tokens[index];
    if (token === undefined || token === '>' || (part !== '*' && part !== token)) return false;
  }
  return pattern.length === tokens.length;
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= KEPT) break;
    map.delete(oldest);
  }
}
