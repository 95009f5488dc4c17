import type { Environment } from '@marcbachmann/cel-js';

/** Bounds of one expression: how it is written, and how large it is when it is read. */
const LONGEST_RULE = 4_096;
const LIMITS = {
  maxAstNodes: 1_000,
  maxDepth: 50,
  maxListElements: 200,
  maxMapEntries: 50,
  maxCallArguments: 16,
};

/** Whether an event fits a rule. Never throws: what an event does not have fits nothing. */
export type Fits = (event: Record<string, unknown>) => boolean;

let environment: Promise<Environment> | undefined;

/**
 * Reads a routing rule: an expression of CEL (Common Expression Language) over `event`, the CloudEvent, such as
 * `event.type == "order.created" && event.data.total > 100`. What evaluates it is loaded with the first rule.
 *
 * @returns what tells whether an event fits, or what is wrong with the rule
 */
export async function readRule(match: string): Promise<Fits | { problem: string }> {
  if (match.length > LONGEST_RULE)
    return { problem: `expected at most ${LONGEST_RULE} characters, found ${match.length}` };
  environment ??= loadEnvironment();
  const cel = await environment;
  try {
    const rule = cel.parse(match);
    const { valid, type, error } = rule.check();
    if (!valid) return { problem: firstLine(error?.message) };
    if (type !== 'bool' && type !== 'dyn')
      return { problem: `expected an expression that is true or false, found one that is a ${type}` };
    return (event) => {
      try {
        return rule({ event }) === true;
      } catch {
        return false;
      }
    };
  } catch (error) {
    return { problem: firstLine((error as Error).message) };
  }
}

async function loadEnvironment(): Promise<Environment> {
  const cel = await import('@marcbachmann/cel-js');
  return new cel.Environment({ homogeneousAggregateLiterals: false, limits: LIMITS }).registerVariable(
    'event',
    'map',
  );
}

/** What follows it shows the place with spaces, which a log line has no use for. */
function firstLine(message = ''): string {
  return `not an expression of CEL over "event": ${message.split('\n', 1)[0]}`;
}
