/** The codes of google.rpc.Code that the bridge uses; the numbers go over the session as they are. */
export enum Code {
  CANCELLED = 1,
  UNKNOWN = 2,
  INVALID_ARGUMENT = 3,
  DEADLINE_EXCEEDED = 4,
  NOT_FOUND = 5,
  ALREADY_EXISTS = 6,
  PERMISSION_DENIED = 7,
  RESOURCE_EXHAUSTED = 8,
  FAILED_PRECONDITION = 9,
  ABORTED = 10,
  OUT_OF_RANGE = 11,
  UNIMPLEMENTED = 12,
  INTERNAL = 13,
  UNAVAILABLE = 14,
  UNAUTHENTICATED = 16,
}

/** Why an operation failed, as the filter hears it. The filter's door puts its API's own prefix in front. */
export class OperationError extends Error {
  override name = 'OperationError';

  constructor(
    readonly code: Code,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The text of whatever was thrown. */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown.message !== '') return thrown.message;
  // A failed connection to a name with several addresses: the message is empty, the parts say why.
  if (thrown instanceof AggregateError) return thrown.errors.map(reasonOf).join('; ');
  return (thrown as NodeJS.ErrnoException).code ?? thrown.name;
}
