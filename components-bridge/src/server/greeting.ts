import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Logger } from 'pino';

import { HelloSchema } from '../gen/layotto/bridge/v1/session_pb.js';
import type { Hello } from '../gen/layotto/bridge/v1/session_pb.js';
import { reasonOf } from '../primitives/errors.js';
import { FrameError } from './frame.js';

/** Version of the session's protocol, as proto/layotto/bridge/v1/session.proto describes it. */
export const PROTOCOL = 1;

/** Longest text that a filter's word for itself takes in the log, in characters. */
const LONGEST_FACT = 128;

/** What a bridge says of itself. */
export interface BridgeFacts {
  name: string;
  version: string;
  /** Hash of its configuration. */
  configVersion: string;
}

/** What a filter said of itself, for the log. */
export interface FilterFacts {
  name: string;
  version: string;
  configVersion: string;
  appId: string;
  large: boolean;
  pair: string;
}

/** What a filter's hello says of it, as long as a line of the log can bear. */
export function factsOf({ name, version, configVersion, appId, large, pairId }: Hello): FilterFacts {
  const short = (text: string): string => text.slice(0, LONGEST_FACT);
  return {
    name: short(name),
    version: short(version),
    configVersion: short(configVersion),
    appId: short(appId),
    large,
    pair: pairId.toString(16),
  };
}

/** The bridge's HELLO. */
export class Greeting {
  #facts: BridgeFacts;
  #payload: Uint8Array;
  #services: readonly string[] = [];

  constructor(
    facts: BridgeFacts,
    private readonly log: Logger,
  ) {
    this.#facts = facts;
    this.#payload = this.#encode();
  }

  get payload(): Uint8Array {
    return this.#payload;
  }

  /** Full names of what the bridge serves. */
  set services(services: readonly string[]) {
    this.#services = services;
    this.#payload = this.#encode();
  }

  set configVersion(configVersion: string) {
    this.#facts = { ...this.#facts, configVersion };
    this.#payload = this.#encode();
  }

  /** Warns of a filter that runs with another configuration. */
  compare(filter: FilterFacts | undefined): void {
    if (filter === undefined || filter.configVersion === '') return;
    if (filter.configVersion === this.#facts.configVersion) return;
    this.log.warn({ filter, bridge: this.#facts }, 'filter and bridge have different configurations');
  }

  #encode(): Uint8Array {
    const said = { protocol: PROTOCOL, ...this.#facts, services: [...this.#services] };
    return toBinary(HelloSchema, create(HelloSchema, said));
  }
}

/** @throws FrameError if it cannot be read, or is of another protocol */
export function decodeHello(payload: Uint8Array): Hello {
  let hello: Hello;
  try {
    hello = fromBinary(HelloSchema, payload);
  } catch (error) {
    throw new FrameError(`the HELLO cannot be read: ${reasonOf(error)}`);
  }
  if (hello.protocol === PROTOCOL) return hello;
  throw new FrameError(`the filter speaks protocol ${hello.protocol}, this bridge ${PROTOCOL}`);
}
