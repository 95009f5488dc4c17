import type { Consumer } from 'kafkajs';

import { BrokerError } from '../../primitives/pubsub/broker.js';
import { kafkaType } from './failure.js';

/** How often, and in what pauses, a topic is looked for that the brokers are to create. */
const CREATION_TRIES = 50;
const CREATION_MS = 60;

/**
 * Tells a consumer its topic; one that is missing is created by the brokers, which takes a moment.
 *
 * @throws BrokerError if they do not create topics; or what the client throws
 */
export async function subscribeTo(consumer: Consumer, topic: string, fromBeginning: boolean): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await consumer.subscribe({ topics: [topic], fromBeginning });
      return;
    } catch (error) {
      if (kafkaType(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error;
      const reason = `topic ${topic} does not exist, and the brokers do not create it`;
      if (tries === CREATION_TRIES) throw new BrokerError('failed', reason, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, CREATION_MS));
  }
}

/** @throws BrokerError if Kafka could not have such a topic */
export function checkTopic(topic: string): void {
  if (/^[\w.-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..') return;
  const expected = 'expected letters, digits, dots, dashes and underscores, at most 249';
  throw new BrokerError('invalid', `topic ${JSON.stringify(topic)}: ${expected}`);
}
