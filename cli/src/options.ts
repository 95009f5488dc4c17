import { parseArgs } from 'node:util';

import { UsageError, messageOf } from './errors.js';

/** One option of a command. */
export interface Option {
  /** Name after the two dashes. */
  name: string;
  /** Letter after one dash. */
  short?: string;
  /** What stands for the value in the help; a flag without a value has none. */
  value?: string;
  help: string;
}

/** What was given, by option name: a text, or true for a flag. */
export type Values = Readonly<Record<string, string | boolean | undefined>>;

const HELP: Option = { name: 'help', short: 'h', help: 'print this' };

/**
 * Reads a command's arguments. `--help` is understood everywhere.
 *
 * @param hint said when a word stands where only options may
 * @throws UsageError naming the argument that is wrong
 */
export function parseOptions(args: readonly string[], options: readonly Option[], hint = ''): Values {
  return parseArguments(args, options, { hint }).values;
}

/**
 * The same for a command that takes words beside its options.
 *
 * @param operands what those words are called, in order; one in brackets may be left out
 * @throws UsageError naming the argument that is wrong or missing
 */
export function parseArguments(
  args: readonly string[],
  options: readonly Option[],
  { operands = [], hint = '' }: { operands?: readonly string[]; hint?: string },
): { values: Values; words: readonly string[] } {
  const spec = Object.fromEntries(
    [...options, HELP].map(({ name, short, value }) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short && { short }) },
    ]),
  );
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options: spec, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's own words, without its hint on how to pass something that begins with a dash.
    throw new UsageError((messageOf(error).split('. ')[0] ?? '').replace(/\.$/, ''));
  }
  const words = parsed.positionals;
  const surplus = words[operands.length];
  if (surplus !== undefined) throw new UsageError(`Unexpected argument '${surplus}'${hint}`);
  const missing = operands.slice(words.length).find((operand) => !operand.startsWith('['));
  if (missing !== undefined && parsed.values.help !== true) throw new UsageError(`${missing} is missing`);
  return { values: parsed.values, words };
}

/** A text option, undefined if it was not given. */
export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  if (value === '') throw new UsageError(`--${name} needs a value`);
  return typeof value === 'string' ? value : undefined;
}

/** An option that is a whole number. */
export function wholeNumber(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new UsageError(`--${name} needs a whole number, not '${value}'`);
  return Number(value);
}

/** The options as the help shows them, aligned. */
export function describeOptions(options: readonly Option[]): string {
  const rows = [...options, HELP].map(({ name, short, value, help }) => {
    const left = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    return [left, help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`).join('\n');
}
