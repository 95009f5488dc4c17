/** Something the user can put right: shown as one line, without a stack trace. */
export class UserError extends Error {
  override name = 'UserError';

  /**
   * @param message what is wrong and what to do
   * @param exitCode of the whole command
   */
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
  }
}

/** The command line itself is wrong; exit code 2, as usual for that. */
export class UsageError extends UserError {
  override name = 'UsageError';

  constructor(message: string) {
    super(message, 2);
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
