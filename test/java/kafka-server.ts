import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import kafkajs from 'kafkajs';

import { kafkaCommand } from '../../tools/kafka/server.mjs';
import { Child } from '../support/child.js';
import { freePorts } from '../support/ports.js';
import { eventually } from '../support/wait.js';

/** A running Kafka of one node. */
export interface KafkaServer {
  /** Where clients go, host:port. */
  address: string;
  /** Ends it as a crash would; its folder stays. */
  kill(): Promise<void>;
  /** Starts it again on its ports and folder, having been killed. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

type Settings = Record<string, string>;

/**
 * Starts a server of its own on 127.0.0.1. Where its jars are stands in KAFKA_CLASSPATH, by scripts/test-java.mjs.
 *
 * @param settings of server.properties, or what makes them of the ports
 */
export async function startKafka(
  settings: Settings | ((port: number, controllerPort: number) => Settings) = {},
): Promise<KafkaServer> {
  const classPath = process.env['KAFKA_CLASSPATH'];
  if (!classPath) throw new Error('KAFKA_CLASSPATH is not set: this runs by `make test-java`');
  const dir = await mkdtemp(join(tmpdir(), 'kafka-'));
  const [port = 0, controllerPort = 0] = await freePorts(2);
  const address = `127.0.0.1:${port}`;
  const options = {
    ...{ port, controllerPort },
    settings: typeof settings === 'function' ? settings(port, controllerPort) : settings,
  };
  const launch = async (): Promise<Child> => {
    const [command, args] = await kafkaCommand(classPath, join(dir, 'server'), options);
    const child = new Child('kafka', command, args);
    const answers = eventually('Kafka answers', () => answersAt(address), {
      timeoutMs: 60_000,
      everyMs: 200,
    });
    await Promise.race([answers, child.exited.then(() => Promise.reject(new Error(child.tail())))]);
    return child;
  };
  let server = await launch().catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });
  const kill = async (): Promise<void> => {
    server.signal('SIGKILL');
    await server.exited;
  };
  return {
    address,
    kill,
    restart: async () => {
      server = await launch();
    },
    stop: async () => {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function answersAt(address: string): Promise<boolean> {
  const kafka = new kafkajs.Kafka({
    brokers: [address],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 0 },
  });
  const admin = kafka.admin();
  try {
    await admin.connect();
    return (await admin.describeCluster()).brokers.length === 1;
  } finally {
    await admin.disconnect();
  }
}
