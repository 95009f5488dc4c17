import type { Component } from '../component.js';

/** The last id there can be: answers carry 64 bits with a sign. */
export const LAST_ID = 2n ** 63n - 1n;

/**
 * What a sequencer must do. Ids of a key are from 1 to `LAST_ID`; each is given once, whoever asks, also after a
 * restart of the bridge or of the backend. An id that is lost on its way to the caller is a gap.
 */
export interface SequencerStore extends Component {
  /**
   * An id that is greater than every id that was given for the key before the call.
   *
   * @param key the stored key, prefix included; not empty
   * @throws SequencerError
   */
  next(key: string): Promise<bigint>;

  /**
   * As many ids in a row, as if `next` had been called so often. Left out by stores that cannot do it in one step.
   *
   * @param count from 2
   * @returns the first of them
   * @throws SequencerError; then none was given
   */
  segment?(key: string, count: number): Promise<bigint>;

  /**
   * Sees to it that ids given from now on are greater than `least`; called for each key of `biggerThan` before the
   * component serves its first call. Ids that are greater already stay as they are.
   *
   * @throws SequencerError `failed` if they are not and the store cannot make them so: then the component is not ready
   */
  raise(key: string, least: bigint): Promise<void>;
}

export type SequencerErrorKind =
  /** The backend cannot be reached; an id may have been given and lost. */
  | 'unavailable'
  /** There are not so many ids left. */
  | 'exhausted'
  /** The backend refused. */
  | 'failed';

/** Why a store gave no id. The service maps the kind to the code that callers see. */
export class SequencerError extends Error {
  override name = 'SequencerError';

  constructor(
    readonly kind: SequencerErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The error of a key whose ids are used up. @param last the last one that was given */
export function exhausted(last: bigint): SequencerError {
  return new SequencerError(
    'exhausted',
    `its ids are used up: the last was ${last}, and none is above ${LAST_ID}`,
  );
}
