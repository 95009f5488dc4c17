/** Installs the npm packages of the lock file with `npm ci`, unless just these are installed already. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './lib/tree.mjs';

const OLDEST_NODE = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  console.error(`Node ${process.versions.node} is too old: install Node ${OLDEST_NODE.join('.')} or newer`);
  process.exit(1);
}
if (!isInstalled()) {
  console.log('installing npm packages ...');
  const started = Date.now();
  const command = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', command, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (error) console.error(`npm could not be started: ${error.message}`);
  if (status !== 0) process.exit(1);
  console.log(`installed npm packages in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** Compares what is to be installed with npm's own note of what is. */
function isInstalled() {
  const wanted = packagesOf('package-lock.json');
  const present = packagesOf('node_modules/.package-lock.json');
  if (!wanted || !present) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    // The first entry is the project itself; workspaces stand there as folders and as links.
    if (!path.includes('node_modules/') || entry.link) continue;
    const found = present[path];
    // npm leaves out optional packages that are for other systems.
    if (!found ? !entry.optional : found.version !== entry.version || found.integrity !== entry.integrity)
      return false;
  }
  return true;
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}
