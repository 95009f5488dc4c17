import type { Message, PartitionerArgs } from 'kafkajs';

import { BrokerError } from '../../primitives/pubsub/broker.js';
import { partitionNumberOf } from './records.js';

/**
 * Which partition a message goes to: the one it names, else by its key, else one after the other. It stays with it when
 * the message is sent again, and is known afterwards: brokers do not tell which message got which offset.
 */
export class Partitions {
  readonly #chosen = new WeakMap<Message, number>();
  #turn = Math.floor(Math.random() * 1_000);

  /** For the client, which takes a function. */
  readonly choose = ({ topic, partitionMetadata, message }: PartitionerArgs): number => {
    const known = this.#chosen.get(message);
    if (known !== undefined) return known;
    const partition = this.#of(topic, message, partitionMetadata);
    this.#chosen.set(message, partition);
    return partition;
  };

  /** The partition of a message that was sent; -1 of another one. */
  of(message: Message): number {
    return this.#chosen.get(message) ?? -1;
  }

  #of(topic: string, message: Message, all: PartitionerArgs['partitionMetadata']): number {
    const named = partitionNumberOf(message);
    if (named !== undefined) {
      if (named < all.length) return named;
      throw new BrokerError(
        'invalid',
        `partitionNumber ${named}: topic ${topic} has ${all.length} partitions`,
      );
    }
    if (message.key !== null && message.key !== undefined) return byKey(Buffer.from(message.key), all.length);
    const led = all.filter(({ leader }) => leader >= 0);
    const among = led.length > 0 ? led : all;
    return among[this.#turn++ % among.length]?.partitionId ?? 0;
  }
}

/** As Dapr's client does it, so that publishers of both kinds agree: FNV-1a of 32 bits, taken as a signed number. */
export function byKey(key: Uint8Array, partitions: number): number {
  let hash = 0x811c9dc5;
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  return Math.abs((hash | 0) % partitions);
}
