import { FUNCTION_ID_FORM, isFunctionId } from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { parseBytes, parseDuration } from '../../components-bridge/src/config/units.js';
import { UsageError, UserError } from './errors.js';
import type { FunctionSettings } from './module-store.js';
import { text, wholeNumber } from './options.js';
import type { Option, Values } from './options.js';

/** Limits of a function of which nothing else was said. */
const BODY_BYTES = 1024 * 1024;
const IN_FLIGHT = 100;
const BODY = { wanted: 'a size from 1 byte to 1GiB, such as 64KiB', most: 1024 ** 3 };
const DEADLINE = { wanted: 'a time from 1ms to 1h, such as 500ms', most: 3_600_000 };
const PATH = /^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255}$/;

/** What a function is called by, and its limits. What is left out stays as it was, or takes its default. */
export interface GivenSettings {
  id: string;
  /** Empty: no path any more. */
  path?: string | undefined;
  bodyBytes?: number | undefined;
  inFlight?: number | undefined;
  deadlineMs?: number | undefined;
}

/** The options that say {@link GivenSettings}. */
export const SETTINGS_OPTIONS: readonly Option[] = [
  { name: 'id', value: 'ID', help: 'by which it is called, in the header "id"' },
  { name: 'path', value: '/PATH', help: 'calls to this path, and below it, are its too' },
  { name: 'max-body', value: 'SIZE', help: 'longest body of a call (1MiB)' },
  { name: 'max-in-flight', value: 'N', help: 'calls at the same time (100)' },
  { name: 'deadline', value: 'TIME', help: 'how long a call may take (limits.deadline)' },
];

/** Reads {@link SETTINGS_OPTIONS}. @throws UsageError naming the option that is missing or wrong */
export function givenSettings(values: Values): GivenSettings {
  const id = text(values, 'id');
  if (id === undefined) throw new UsageError('--id is missing');
  const inFlight = wholeNumber(values, 'max-in-flight');
  if (inFlight === 0) throw new UsageError('--max-in-flight needs a number from 1');
  return {
    id,
    path: values['path'] === '' ? '' : text(values, 'path'),
    bodyBytes: measure(values, 'max-body', parseBytes, BODY),
    inFlight,
    deadlineMs: measure(values, 'deadline', parseDuration, DEADLINE),
  };
}

function measure(
  values: Values,
  name: string,
  parse: (value: string) => number | undefined,
  { wanted, most }: { wanted: string; most: number },
): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const found = parse(value);
  if (found === undefined || found < 1 || found > most)
    throw new UsageError(`--${name} needs ${wanted}, not '${value}'`);
  return found;
}

/**
 * What holds for a function.
 *
 * @param before what held for it until now
 * @throws UserError naming what is wrong
 */
export function functionSettings(
  given: GivenSettings,
  { messageBytes, deadlineMs }: RuntimeConfig['limits'],
  before?: FunctionSettings,
): FunctionSettings {
  const { id } = given;
  const path = given.path ?? before?.path ?? '';
  const settings = {
    id,
    ...(path === '' ? {} : { path }),
    bodyBytes: given.bodyBytes ?? before?.bodyBytes ?? Math.min(BODY_BYTES, messageBytes),
    inFlight: given.inFlight ?? before?.inFlight ?? IN_FLIGHT,
    deadlineMs: given.deadlineMs ?? before?.deadlineMs ?? deadlineMs,
  };
  if (!isFunctionId(id)) throw new UserError(`a function's id has ${FUNCTION_ID_FORM}; found '${id}'`);
  if (path !== '' && (!PATH.test(path) || (path !== '/' && path.endsWith('/'))))
    throw new UserError(
      `a function's path begins with "/", does not end in "/", and has at most 256 letters, digits and signs of a URL's path, without a query; found '${path}'`,
    );
  if (settings.bodyBytes > messageBytes)
    throw new UserError(
      `a body has at most ${messageBytes} bytes here; raise limits.message in layotto.yaml`,
    );
  return settings;
}
