import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';

/** Looks whether a folder is there and may be read and written. @throws Error that names it and says why not */
export async function probeFolder(folder: string): Promise<void> {
  const { R_OK, W_OK, X_OK } = constants;
  if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is not a folder`);
  await access(folder, R_OK | W_OK | X_OK);
}
