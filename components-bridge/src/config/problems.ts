import type { Notice, Problem } from './types.js';

/** Collects what is wrong and what is left out, so that one run of `check` shows everything. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly notices: Notice[] = [];

  problem(file: string, line: number, key: string, message: string): void {
    this.problems.push({ file, line, key, message });
  }

  notice(file: string, line: number, key: string, message: string): void {
    this.notices.push({ file, line, key, message });
  }
}

/** One line for people: `layotto.yaml:3: listen.port: expected a port …`. Works for notices too. */
export function formatProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}` : problem.file;
  return [place, problem.key, problem.message].filter((part) => part !== '').join(': ');
}

/** Writes a path as people write it: `components[0].metadata.redisHost`. */
export function keyText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text;
}

/** Says what a value is, short enough for a message. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'an empty value';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
