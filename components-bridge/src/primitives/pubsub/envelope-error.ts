/** Why nothing can be put around what an app publishes. */
export class EnvelopeError extends Error {
  override name = 'EnvelopeError';

  /** @param kind `metadata`: a value in the metadata is none; `event`: what is said to be a CloudEvent is none */
  constructor(
    readonly kind: 'metadata' | 'event',
    message: string,
  ) {
    super(message);
  }
}
