import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { asCount } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { valueAt } from './schema.js';
import { FUNCTION_ID_FORM, isFunctionId } from './slots.js';
import { hint } from './suggest.js';
import { readTiming } from './timing.js';
import type { RuntimeConfig, ScheduleConfig } from './types.js';

type Path = readonly PropertyKey[];

/** A schedule, and where it stands. */
export interface DraftSchedule extends ScheduleConfig {
  path: Path;
  document: ConfigDocument;
}

const KEYS = [
  'name',
  'function',
  'schedule',
  'timezone',
  'route',
  'data',
  'contentType',
  'concurrency',
  'once',
];

/** How many a configuration may have, and what each may say. */
const MOST = 1_000;
const LONGEST_NAME = 64;
const LONGEST_DATA = 64 * 1024;
const MOST_AT_ONCE = 100;

/** Reads `schedules` of the native form. */
export function readSchedules(document: ConfigDocument, findings: Findings): DraftSchedule[] {
  const path = ['schedules'];
  const list = valueAt(document.value, path);
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list) || list.length > MOST) {
    const found = Array.isArray(list) ? `${list.length}` : describe(list);
    const message = `expected a list of at most ${MOST} schedules, found ${found}`;
    findings.problem(document.file, document.lineOf(path), keyText(path), message);
    return [];
  }
  return list.flatMap((value: unknown, index) => readOne(document, value, index, findings));
}

/** None if it is wrong, which has been reported. */
function readOne(
  document: ConfigDocument,
  value: unknown,
  index: number,
  findings: Findings,
): DraftSchedule[] {
  const path: Path = ['schedules', index];
  let fine = true;
  const problem = (at: Path, message: string): void => {
    fine = false;
    const inner = [...path, ...at];
    findings.problem(document.file, document.lineOf(inner), keyText(inner), message);
  };
  if (!isRecord(value)) {
    problem([], `expected a map with function and schedule, found ${describe(value)}`);
    return [];
  }
  for (const key of Object.keys(value))
    if (!KEYS.includes(key)) problem([key], `unknown key; ${hint(key, KEYS)}`);
  const text = (key: string): string | undefined => document.textOf([...path, key]) || undefined;
  const name = text('name') ?? `schedules[${index}]`;
  if (name.length > LONGEST_NAME || !/^[\x21-\x7e]+$/.test(name))
    problem(['name'], `expected at most ${LONGEST_NAME} visible characters, found ${describe(name)}`);
  const called = text('function') ?? '';
  if (!isFunctionId(called))
    problem(
      ['function'],
      `expected a function's id, ${FUNCTION_ID_FORM}; found ${describe(value['function'])}`,
    );
  const schedule = text('schedule') ?? '';
  if (schedule === '')
    problem(['schedule'], `expected fields of cron or "@every 5s", found ${describe(value['schedule'])}`);
  const timezone = text('timezone');
  if (timezone !== undefined && !isTimezone(timezone))
    problem(['timezone'], `expected a time zone such as Europe/Vienna, found ${describe(timezone)}`);
  const route = text('route') ?? '/';
  if (!/^\/?[\x21-\x7e]{0,1024}$/.test(route))
    problem(['route'], `expected a path, found ${describe(route)}`);
  const data = text('data') ?? '';
  if (Buffer.byteLength(data) > LONGEST_DATA)
    problem(['data'], `expected a text of at most ${LONGEST_DATA} bytes, found ${Buffer.byteLength(data)}`);
  const contentType = text('contentType') ?? 'text/plain; charset=utf-8';
  if (!/^[\x20-\x7e]{1,256}$/.test(contentType))
    problem(['contentType'], `expected a content type, found ${describe(contentType)}`);
  const written = value['concurrency'] ?? 1;
  const concurrency = asCount(written, 1, MOST_AT_ONCE);
  if (concurrency === undefined)
    problem(['concurrency'], `expected a whole number from 1 to ${MOST_AT_ONCE}, found ${describe(written)}`);
  const once = text('once');
  if (once === undefined && value['once'] !== undefined && value['once'] !== null)
    problem(['once'], `expected the name of a lock component, found ${describe(value['once'])}`);
  if (!fine) return [];
  return [
    {
      ...{ name, function: called, schedule, data, contentType },
      ...(timezone === undefined ? {} : { timezone }),
      route: route.startsWith('/') ? route : `/${route}`,
      concurrency: concurrency ?? 1,
      ...(once === undefined ? {} : { once }),
      ...{ path, document },
    },
  ];
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** Checks schedules against each other and against the rest, and when they are due. */
export async function checkSchedules(
  drafts: readonly DraftSchedule[],
  { functions, components }: Pick<RuntimeConfig, 'functions' | 'components'>,
  findings: Findings,
): Promise<ScheduleConfig[]> {
  const checked: ScheduleConfig[] = [];
  for (const { path, document, ...one } of drafts) {
    const problem = (key: string, message: string): void =>
      findings.problem(document.file, document.lineOf([...path, key]), keyText([...path, key]), message);
    if (functions === undefined) problem('function', 'there are no functions here; add functions.listen');
    if (checked.some(({ name }) => name === one.name))
      problem('name', `expected a name of its own, found ${one.name} a second time`);
    const locks = components.flatMap(({ primitive, name }) => (primitive === 'lock' ? [name] : []));
    if (one.once !== undefined && !locks.includes(one.once))
      problem('once', `there is no lock component ${describe(one.once)}; ${hint(one.once, locks)}`);
    const timing = await readTiming(one.schedule, one.timezone);
    if ('problem' in timing) problem('schedule', timing.problem);
    checked.push(one);
  }
  return checked;
}
