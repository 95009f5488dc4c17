import { DELIVERIES, deliveryGaps, formatGap } from '../../envoy/istio/delivery.js';
import type { Delivery } from '../../envoy/istio/delivery.js';
import { checkConfig } from './config-options.js';
import { UsageError, UserError } from './errors.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

export const CHECK_OPTIONS: readonly Option[] = [
  { name: 'delivery', value: 'FORM', help: `also say what this form cannot serve: ${DELIVERIES.join(', ')}` },
];

/**
 * `layotto check`: every problem of a configuration on standard output, a line each with file, line, key and what was
 * expected; with a form of delivery also what that cannot serve of it.
 *
 * @returns 0 if it can be used, else 1
 */
export async function check(values: Values): Promise<number> {
  const delivery = deliveryOf(text(values, 'delivery'));
  const { config, problems, notices } = await checkConfig(values);
  for (const problem of problems) console.log(problem);
  for (const notice of notices) console.log(`notice: ${notice}`);
  if (config === undefined) {
    throw new UserError(problems.length === 1 ? '1 problem' : `${problems.length} problems`);
  }
  const components = config.components.map(({ name, type }) => `${name} (${type})`);
  console.log(`${config.source}: valid; components: ${components.join(', ') || 'none'}`);
  if (delivery === undefined) return 0;
  const gaps = deliveryGaps(config, delivery);
  for (const gap of gaps) console.log(`${delivery}: ${formatGap(gap)}`);
  if (!gaps.some(({ missing }) => missing)) console.log(`${delivery}: every door is served`);
  return 0;
}

function deliveryOf(form: string | undefined): Delivery | undefined {
  const found = DELIVERIES.find((one) => one === form);
  if (form !== undefined && found === undefined)
    throw new UsageError(`--delivery needs one of ${DELIVERIES.join(', ')}, not '${form}'`);
  return found;
}
