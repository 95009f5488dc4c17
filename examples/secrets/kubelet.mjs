/** Mounts a secret the way Kubernetes does: files behind the link `..data`, which a change turns to a new folder. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} folder where the secret is mounted
 * @param {Record<string, string>} entries
 */
export function mountSecret(folder, entries) {
  const version = `..${Date.now()}`;
  mkdirSync(join(folder, version), { recursive: true });
  for (const [key, value] of Object.entries(entries)) {
    writeFileSync(join(folder, version, key), value, { mode: 0o600 });
    rmSync(join(folder, key), { force: true });
    symlinkSync(join('..data', key), join(folder, key));
  }
  symlinkSync(version, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
}
