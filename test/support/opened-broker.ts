import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { catalog } from '../../components-bridge/src/catalog.js';
import type {
  Broker,
  IncomingMessage,
  Outcome,
  Published,
} from '../../components-bridge/src/primitives/pubsub/broker.js';
import { eventually } from './wait.js';

/** A broker component as the registry opens it, and what it said of itself. */
export interface OpenedBroker {
  broker: Broker;
  /** `ready`, or why it is down. */
  reports: string[];
  /** What it logged, a JSON object per line. */
  log: string[];
  close(): Promise<void>;
}

/** Opens a component of the catalog. @throws what the component throws */
export async function openBroker(
  type: string,
  metadata: Record<string, string>,
  { appId = 'app' }: { appId?: string } = {},
): Promise<OpenedBroker> {
  const entry = catalog.find((one) => one.type === type);
  if (entry === undefined) throw new Error(`no type ${type}`);
  const dataDir = await mkdtemp(join(tmpdir(), 'broker-'));
  const reports: string[] = [];
  const log: string[] = [];
  const module = await entry.load();
  try {
    const broker = (await module.open({
      name: 'events',
      appId,
      version: 'v1',
      metadata,
      dataDir,
      log: pino({ level: 'debug' }, { write: (line: string) => void log.push(line) }),
      report: (status, reason) => void reports.push(status === 'ready' ? 'ready' : (reason ?? 'down')),
      invalidate: () => undefined,
    })) as Broker;
    const close = async (): Promise<void> => {
      await broker.close();
      await rm(dataDir, { recursive: true, force: true });
    };
    return { broker, reports, log, close };
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
}

/** What a subscriber got. */
export class Inbox {
  readonly messages: IncomingMessage[] = [];

  /** @param answer what becomes of each; by default all are acknowledged */
  constructor(
    private readonly answer: (message: IncomingMessage) => Outcome | Promise<Outcome> = () => 'ack',
  ) {}

  readonly receive = async (message: IncomingMessage): Promise<Outcome> => {
    this.messages.push(message);
    return this.answer(message);
  };

  get texts(): string[] {
    return this.messages.map(({ data }) => Buffer.from(data).toString());
  }

  /** Waits until it has had these, in any order, and nothing else. */
  async holds(...texts: string[]): Promise<void> {
    await eventually(
      `the subscriber has ${texts.join(', ')}`,
      () => {
        if (this.texts.length < texts.length) throw new Error(`it has ${this.texts.join(', ')}`);
        return true;
      },
      { timeoutMs: 20_000 },
    );
    expect([...this.texts].sort()).toEqual([...texts].sort());
  }
}

/** Publishes texts. @throws what became of one of them, if it was not published */
export async function publishTexts(broker: Broker, topic: string, ...texts: string[]): Promise<Published[]> {
  const messages = texts.map((text) => ({
    data: Buffer.from(text),
    contentType: 'text/plain',
    metadata: {},
  }));
  return (await broker.publish(topic, messages)).map((outcome) => {
    if (outcome instanceof Error) throw outcome;
    return outcome;
  });
}
