import { envoyProblems } from '../../envoy/module-info.js';
import type { ModuleInfo } from '../../envoy/module-info.js';
import { readModuleFile } from './module-file.js';
import type { Option, Values } from './options.js';
import { aligned } from './table.js';

export const MODULE_INSPECT_OPTIONS: readonly Option[] = [{ name: 'json', help: 'print everything as JSON' }];

/**
 * `layotto module inspect FILE`: what a module is, and whether Envoy can run it.
 *
 * @returns 0 if nothing keeps Envoy from running it, else 1
 * @throws UserError if there is no module
 */
export async function moduleInspect(values: Values, [path = '']: readonly string[]): Promise<number> {
  const { info } = readModuleFile(path);
  const problems = envoyProblems(info);
  console.log(values['json'] === true ? JSON.stringify({ ...info, problems }, null, 2) : describe(info));
  if (values['json'] !== true) for (const problem of problems) console.log(`problem: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

function describe(info: ModuleInfo): string {
  const { section } = info;
  const rows: [string, string][] = [];
  if (section !== undefined) {
    rows.push(['module', `${section.name} ${section.version}`]);
    section.primitives.forEach(({ name, doors }, i) =>
      rows.push([i === 0 ? 'primitives' : '', `${name} (${doors.join(', ')})`]),
    );
    rows.push(['protocol', String(section.protocol)]);
    section.services.forEach((service, i) => rows.push([i === 0 ? 'services' : '', service]));
  } else {
    const why = info.sectionProblem ?? 'it says nothing of itself';
    rows.push(['module', `unknown: no section layotto.module (${why})`]);
  }
  rows.push(['abi', info.abi.length === 0 ? 'none' : `proxy-wasm ${info.abi.join(', ')}`]);
  rows.push(['size', `${info.bytes} bytes`], ['sha256', info.sha256]);
  info.imports.forEach(({ name }, i) => rows.push([i === 0 ? 'capabilities' : '', name]));
  return aligned(rows);
}
