// google.rpc.Code: the words in which a refusal or failure is said before a
// door spells it in its own API.

export enum Code {
  OK = 0,
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
  DATA_LOSS = 15,
  UNAUTHENTICATED = 16,
}

const NAMES: StaticArray<string> = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** A code's name; UNKNOWN for a number that is none. */
export function codeName(code: i32): string {
  return <u32>code < <u32>NAMES.length ? NAMES[code] : 'UNKNOWN';
}

/**
 * HTTP status for a code. DEADLINE_EXCEEDED is 408, because that is what Envoy
 * itself answers when a stream reaches its longest duration.
 */
export function httpStatusOf(code: i32): i32 {
  switch (code) {
    case Code.INVALID_ARGUMENT:
    case Code.OUT_OF_RANGE:
    case Code.FAILED_PRECONDITION:
      return 400;
    case Code.UNAUTHENTICATED:
      return 401;
    case Code.PERMISSION_DENIED:
      return 403;
    case Code.NOT_FOUND:
      return 404;
    case Code.DEADLINE_EXCEEDED:
    case Code.CANCELLED:
      return 408;
    case Code.ABORTED:
    case Code.ALREADY_EXISTS:
      return 409;
    case Code.RESOURCE_EXHAUSTED:
      return 429;
    case Code.UNIMPLEMENTED:
      return 501;
    case Code.UNAVAILABLE:
      return 503;
    default:
      return 500;
  }
}

/** The code that one of Envoy's own HTTP replies stands for. */
export function codeOfHttp(number: i32): i32 {
  if (number == 408 || number == 504) return Code.DEADLINE_EXCEEDED;
  if (number == 503) return Code.UNAVAILABLE;
  if (number == 429) return Code.RESOURCE_EXHAUSTED;
  return number >= 400 && number < 500 ? Code.INVALID_ARGUMENT : Code.INTERNAL;
}
