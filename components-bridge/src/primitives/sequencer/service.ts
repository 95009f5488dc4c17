import { create, toBinary } from '@bufbuild/protobuf';

import { segmentStep } from '../../config/sequences.js';
import * as pb from '../../gen/layotto/bridge/v1/sequencer_pb.js';
import { Backends } from '../backends.js';
import type { Wording } from '../backends.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import { sequencerPrefix, storedKey } from '../keys.js';
import type { KeyOwner } from '../keys.js';
import type { ComponentRegistry } from '../registry.js';
import type { ComponentSlot } from '../slot.js';
import { SequencerError } from './sequencer-store.js';
import type { SequencerStore } from './sequencer-store.js';

export interface SequencerServiceOptions extends KeyOwner {
  registry: ComponentRegistry;
  /** Counts what sequencers are asked; by default for nobody. */
  backends?: Backends;
}

/** What a sequencer is asked to do, as metrics and traces name it. */
type Asking = 'next' | 'segment';

/** A sequencer, held for one call, and the stored key. */
interface Target {
  slot: ComponentSlot;
  key: string;
}

/** The sequencer primitive: canonical messages in, calls on sequencers, canonical messages out. */
export class SequencerService implements Service {
  readonly name = pb.Sequencer.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly #backends: Backends;

  constructor(private readonly options: SequencerServiceOptions) {
    this.#backends = options.backends ?? new Backends();
    this.handlers = new Map<string, Handler>([
      [`${this.name}/GetNextId`, (payload, call) => this.#next(payload, call)],
      [`${this.name}/GetSegment`, (payload, call) => this.#segment(payload, call)],
    ]);
  }

  /** Each id is asked of the backend, so that WEAK ones are in order too. */
  async #next(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, key, options } = decode(pb.GetNextIdRequestSchema, payload);
    const { WEAK, STRONG } = pb.SequencerOptions_AutoIncrement;
    const increment = options?.increment ?? WEAK;
    if (increment !== WEAK && increment !== STRONG) throw invalid('options.Increment is illegal');
    const target = this.#target(storeName, key, 'next');
    const nextId = await target.slot.use(() =>
      this.#ask(call, target, 'next', (store) => store.next(target.key)),
    );
    return toBinary(
      pb.GetNextIdResponseSchema,
      create(pb.GetNextIdResponseSchema, { nextId: String(nextId) }),
    );
  }

  /** A run of as many ids as the component is configured to give at a time, or of one. */
  async #segment(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { storeName, key } = decode(pb.GetSegmentRequestSchema, payload);
    const target = this.#target(storeName, key, 'segment');
    const { slot } = target;
    const { from, count } = await slot.use(async () => {
      const step = segmentStep(slot.config) ?? 1;
      const segment = step === 1 ? undefined : await this.#run(call, target, step);
      if (segment !== undefined) return { from: segment, count: step };
      return { from: await this.#ask(call, target, 'next', (store) => store.next(target.key)), count: 1 };
    });
    const response = create(pb.GetSegmentResponseSchema, { from, to: from + BigInt(count) - 1n });
    return toBinary(pb.GetSegmentResponseSchema, response);
  }

  /** The first of so many ids; undefined if the sequencer gives no runs, or has fewer left. */
  #run(call: Call, target: Target, count: number): Promise<bigint | undefined> {
    return this.#ask(call, target, 'segment', async (store) => {
      try {
        return await store.segment?.(target.key, count);
      } catch (error) {
        if (error instanceof SequencerError && error.kind === 'exhausted') return undefined;
        throw error;
      }
    });
  }

  #target(storeName: string, key: string, operation: Asking): Target {
    const slot = this.options.registry.find('sequencer', storeName);
    if (slot === undefined) {
      const message = `Sequencer store ${storeName} not found`;
      throw this.#backends.unknown(operation, new OperationError(Code.INVALID_ARGUMENT, message));
    }
    if (key === '') throw invalid(`Key is empty in sequencer store ${storeName}`);
    return { slot, key: storedKey(sequencerPrefix(slot.config, this.options), key) };
  }

  #ask<Result>(
    call: Call,
    { slot }: Target,
    operation: Asking,
    perform: (store: SequencerStore) => Promise<Result>,
  ): Promise<Result> {
    return this.#backends.ask(call, slot, operation, perform, WORDING);
  }
}

function invalid(message: string): OperationError {
  return new OperationError(Code.INVALID_ARGUMENT, message);
}

function notReady({ config }: ComponentSlot, reason: string): OperationError {
  return new OperationError(Code.UNAVAILABLE, `sequencer store ${config.name} is not ready: ${reason}`);
}

/** How failures are told to the filter. */
const WORDING: Wording = {
  notReady: (slot) => notReady(slot, slot.reason),
  failure: (error, slot) => {
    if (!(error instanceof SequencerError)) return error;
    switch (error.kind) {
      case 'unavailable':
        return notReady(slot, error.message);
      case 'exhausted':
        return new OperationError(Code.OUT_OF_RANGE, error.message);
      case 'failed':
        return new OperationError(Code.INTERNAL, error.message);
    }
  },
};
