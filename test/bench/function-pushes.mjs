import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { freePorts } from '../../tools/free-port.mjs';
import { start } from './child.mjs';
import { section } from './function-slots.mjs';

const program = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));

/**
 * Pushes a function into a runtime that serves, again and again, each time by another id and as another module, so that
 * Envoy has it to compile.
 *
 * @param {{ dir: string, file: string, times: number }} options an empty folder, and the module
 * @returns {Promise<{ command: number, first: number }[]>} milliseconds from the start of `layotto function push` until it
 * has said that the function serves, and until a caller that tries all the time has its first answer of it
 */
export async function measurePushes({ dir, file, times }) {
  const [port, functionsPort] = await freePorts(2);
  const config = join(dir, 'layotto.yaml');
  const settings = {
    app: { id: 'bench' },
    listen: { port },
    envoy: { concurrency: 2, metricsPort: 0 },
    functions: { listen: functionsPort, slots: 8 },
    components: [{ name: 'statestore', type: 'state.embedded' }],
  };
  writeFileSync(config, JSON.stringify(settings));
  const data = ['--data-dir', join(dir, 'data')];
  const runtime = start('layotto run', process.execPath, [program, 'run', '-c', config, ...data], 'SIGTERM');
  const call = async (id) =>
    (await fetch(`http://127.0.0.1:${functionsPort}/?name=book1`, { headers: { id } }).catch(() => undefined))
      ?.text()
      .catch(() => undefined);
  try {
    while (!(await call('none'))?.startsWith('no function')) await pause(50);
    const results = [];
    for (let i = 0; i < times; i++) {
      const id = `pushed-${i}`;
      const own = join(dir, `${id}.wasm`);
      writeFileSync(own, Buffer.concat([readFileSync(file), section(id)]));
      const began = performance.now();
      const pushed = promisify(execFile)(process.execPath, [
        program,
        'function',
        'push',
        own,
        '--id',
        id,
        ...data,
      ]);
      const said = pushed.then(() => performance.now() - began);
      while (!(await call(id))?.startsWith('there is no book1')) await pause(1);
      results.push({ first: performance.now() - began, command: await said });
      await promisify(execFile)(process.execPath, [program, 'function', 'remove', id, ...data]);
    }
    return results;
  } finally {
    await runtime.stop();
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
