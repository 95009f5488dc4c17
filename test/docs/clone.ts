import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { root } from './markdown.js';
import { DocumentSession } from './session.js';

/**
 * Every file of the project as a clone would have it, with the packages and what was built of the same sources, so that
 * `make install` and `make build` find nothing to do.
 */
function clone(folder: string): void {
  const list = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of list.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file));
  }
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  symlinkSync(join(root, '.tools'), join(folder, '.tools'));
  link('node_modules', folder);
}

/** Packages as they are; those that are folders of the project lead to the clone's. */
function link(path: string, folder: string): void {
  mkdirSync(join(folder, path));
  for (const name of readdirSync(join(root, path))) {
    const [from, to] = [join(root, path, name), join(folder, path, name)];
    if (lstatSync(from).isSymbolicLink()) symlinkSync(readlinkSync(from), to);
    else if (name.startsWith('@') || name === '.bin') link(join(path, name), folder);
    else symlinkSync(from, to);
  }
}

/** A clone in which a document is followed. */
export class ClonedSession {
  private constructor(
    readonly folder: string,
    readonly session: DocumentSession,
  ) {}

  /** @param port of the runtime that the document starts; the one before it is for metrics */
  static open(port: number): ClonedSession {
    const folder = mkdtempSync(join(tmpdir(), 'layotto-clone-'));
    clone(folder);
    const places = { dataDir: join(folder, '.layotto'), filesDir: folder, projectDir: folder };
    return new ClonedSession(folder, new DocumentSession({ port, ...places }));
  }

  async close(): Promise<void> {
    await this.session.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
