import { checkConfig } from './config-options.js';
import { UserError } from './errors.js';
import type { Values } from './options.js';

/**
 * `layotto check`: every problem of a configuration on standard output, a line each with file, line, key and what was
 * expected.
 *
 * @returns 0 if it can be used, else 1
 */
export async function check(values: Values): Promise<number> {
  const { config, problems, notices } = await checkConfig(values);
  for (const problem of problems) console.log(problem);
  for (const notice of notices) console.log(`notice: ${notice}`);
  if (config === undefined) {
    throw new UserError(problems.length === 1 ? '1 problem' : `${problems.length} problems`);
  }
  const components = config.components.map(({ name, type }) => `${name} (${type})`);
  console.log(`${config.source}: valid; components: ${components.join(', ') || 'none'}`);
  return 0;
}
