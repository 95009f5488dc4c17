import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { eventually, sleep } from '../../../test/support/wait.js';
import { watchConfig } from './watch.js';
import type { ConfigSources } from './watch.js';

const EVERY_MS = 20;

describe('watchConfig', () => {
  let dir: string;
  let changes: number;
  let stop: () => void;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'watch-'));
    changes = 0;
    stop = () => undefined;
  });

  afterEach(async () => {
    stop();
    await rm(dir, { recursive: true, force: true });
  });

  /** Watches, and waits until what is there has been seen. */
  async function watch(sources: ConfigSources): Promise<void> {
    stop = watchConfig(sources, () => changes++, EVERY_MS);
    await sleep(5 * EVERY_MS);
  }

  const told = (times: number): Promise<boolean> =>
    eventually(`${times} changes are told`, () => changes === times);

  /** Long enough for a change to be told. */
  const settle = (): Promise<void> => sleep(10 * EVERY_MS);

  it('tells of a file that is written again, and of one that is renamed over it', async () => {
    const file = join(dir, 'c.yaml');
    await writeFile(file, 'one');
    await watch({ file });
    await settle();
    expect(changes).toBe(0);
    await writeFile(file, 'two');
    await told(1);
    await writeFile(join(dir, '.c.yaml.swp'), 'three');
    await rename(join(dir, '.c.yaml.swp'), file);
    await told(2);
    await settle();
    expect(changes).toBe(2);
  });

  it('tells once of what happens in several steps', async () => {
    const file = join(dir, 'c.yaml');
    await writeFile(file, 'one');
    await watch({ file });
    stop();
    // Slower looks than steps, whatever the machine does.
    stop = watchConfig({ file }, () => changes++, 300);
    await sleep(50);
    await rm(file);
    for (const text of ['t', 'tw', 'two']) await writeFile(file, text);
    await told(1);
    await sleep(700);
    expect(changes).toBe(1);
  });

  it('follows a link that is set anew, as a volume of Kubernetes does it', async () => {
    for (const name of ['v1', 'v2']) {
      await mkdir(join(dir, name));
      await writeFile(join(dir, name, 'c.yaml'), 'same');
    }
    await symlink('v1', join(dir, '..data'));
    await symlink('..data/c.yaml', join(dir, 'c.yaml'));
    await watch({ file: join(dir, 'c.yaml') });
    await symlink('v2', join(dir, 'next'));
    await rename(join(dir, 'next'), join(dir, '..data'));
    await told(1);
  });

  it('tells of component files that come, change and go, and of no others', async () => {
    await watch({ resourcesPath: dir });
    await writeFile(join(dir, 'notes.txt'), 'x');
    await settle();
    expect(changes).toBe(0);
    await writeFile(join(dir, 'a.yaml'), 'x');
    await told(1);
    await writeFile(join(dir, 'a.yaml'), 'xy');
    await told(2);
    await rm(join(dir, 'a.yaml'));
    await told(3);
    await rm(dir, { recursive: true });
    await told(4);
  });

  it('tells nothing after it was stopped', async () => {
    await watch({ file: join(dir, 'c.yaml') });
    stop();
    await writeFile(join(dir, 'c.yaml'), 'x');
    await settle();
    expect(changes).toBe(0);
  });
});
