/** Why an Apollo did not answer as it should. */
export type ApolloFailureKind =
  /** It cannot be reached, or answers nonsense: another server, or a later try, may do better. */
  | 'away'
  /** It refused; asking again does not help. */
  | 'refused';

export class ApolloFailure extends Error {
  override name = 'ApolloFailure';

  constructor(
    readonly kind: ApolloFailureKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Whether another server, or a later try, may do better. */
export function isAway(error: unknown): boolean {
  return error instanceof ApolloFailure && error.kind === 'away';
}
