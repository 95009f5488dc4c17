/** Topics that are remembered, and types of content of each. */
const MOST_TOPICS = 1_000;
const MOST_TYPES = 8;
const LONGEST_TYPE = 256;

/** What was published to one topic. */
export interface PublishedTopic {
  readonly pubsub: string;
  readonly topic: string;
  /** Types of the data in CloudEvents, oldest first; some of them if there are many. */
  readonly types: readonly string[];
  /** Types of payloads without an envelope, in the same way. */
  readonly rawTypes: readonly string[];
}

/** Remembers what the app has published to, since the bridge began. */
export class PublishedTopics {
  readonly #topics = new Map<
    string,
    { pubsub: string; topic: string; types: string[]; rawTypes: string[] }
  >();

  get all(): PublishedTopic[] {
    return [...this.#topics.values()];
  }

  add(pubsub: string, topic: string, type: string, raw: boolean): void {
    const id = JSON.stringify([pubsub, topic]);
    let known = this.#topics.get(id);
    if (known === undefined) {
      if (this.#topics.size === MOST_TOPICS) return;
      known = { pubsub, topic, types: [], rawTypes: [] };
      this.#topics.set(id, known);
    }
    const types = raw ? known.rawTypes : known.types;
    if (types.length < MOST_TYPES && type.length <= LONGEST_TYPE && !types.includes(type)) types.push(type);
  }
}
