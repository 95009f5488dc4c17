import { fileURLToPath } from 'node:url';

import { Child } from '../support/child.js';
import { freePortWithMetrics } from '../support/ports.js';
import { read } from './markdown.js';

const script = fileURLToPath(new URL('../../scripts/example.mjs', import.meta.url));

/** What an example's README shows, a line each, without what differs from run to run. */
function shown(name: string): string[] {
  return read(`examples/${name}/README.md`)
    .split('\n')
    .filter((line) => line.startsWith('    ') && !line.includes('make example'))
    .map((line) => comparable(line));
}

/** Names of workers and numbers differ, and the width of what stands between. */
function comparable(line: string): string {
  return line
    .replace('less than ', '')
    .replace(/\d+/g, 'N')
    .replace(/\b(Ada|Bo)\b/g, 'NAME')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Runs an example: it has to come to its end, and to say what its README shows. */
export async function expectExample(name: string): Promise<void> {
  const child = new Child(name, process.execPath, [
    script,
    name,
    '--port',
    String(await freePortWithMetrics()),
  ]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`it ended with ${code}:\n${child.log}`);
  const said = child.log.split('\n').map(comparable);
  const lines = shown(name);
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines) expect(said).toContain(line);
}
