import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

import { Code } from '../../components-bridge/src/primitives/errors.js';
import { Rooms } from '../support/rooms.js';
import { eventually } from '../support/wait.js';
import { FileCalls, fileConformance } from './file.js';
import { refused } from './state-client.js';

const UPLOADS = '.layotto-uploads';

fileConformance({ backend: 'local', setup: 'a folder' }, async () => {
  const rootPath = await mkdtemp(join(tmpdir(), 'files-'));
  return {
    component: { type: 'file.local', metadata: { rootPath } },
    unfinished: async () => (await readdir(join(rootPath, UPLOADS))).length,
    stop: () => rm(rootPath, { recursive: true, force: true }),
  };
});

describe('file.local', () => {
  let folder: string;
  let root: string;
  let rooms: Rooms;
  let files: FileCalls;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'files-'));
    root = join(folder, 'root');
    await mkdir(root);
    rooms = await Rooms.open([{ name: 'files', type: 'file.local', metadata: { rootPath: root } }]);
    files = new FileCalls(rooms);
  });

  afterEach(async () => {
    await rooms.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('leaves nothing of uploads that are under way when it is closed', async () => {
    const unfinished = (): Promise<string[]> => readdir(join(root, UPLOADS));
    for (let count = 0; count < 20; count++) files.begin(`f${count}`, 'x');
    await eventually('they are under way', async () => (await unfinished()).length === 20);
    await rooms.registry.close();
    expect(await unfinished()).toEqual([]);
    expect(await readdir(root)).toEqual([UPLOADS]);
  });

  it('leaves its folder by no link, and follows those that stay in it', async () => {
    await writeFile(join(folder, 'secret'), 'secret');
    await mkdir(join(folder, 'outside'));
    await symlink(join(folder, 'outside'), join(root, 'out'));
    await symlink(join(folder, 'secret'), join(root, 'link'));
    await mkdir(join(root, 'in'));
    await symlink('in', join(root, 'alias'));
    const invalid = { code: Code.INVALID_ARGUMENT };
    expect(await refused(files.begin('out/x', 'x').finish())).toMatchObject(invalid);
    expect(await refused(files.begin('out/deep/x', 'x').finish())).toMatchObject(invalid);
    expect(await refused(files.list('out'))).toMatchObject(invalid);
    expect(await refused(files.get('link'))).toMatchObject({
      ...invalid,
      message: 'get file fail,err: it is a symbolic link: link',
    });
    expect(await refused(files.meta('link'))).toMatchObject(invalid);
    expect(await readdir(join(folder, 'outside'))).toEqual([]);
    await files.put('alias/x', 'x');
    expect(await readFile(join(root, 'in/x'), 'utf8')).toBe('x');
    // A put takes the place of a link, and what it led to stays.
    await files.put('link', 'mine');
    expect(await readFile(join(folder, 'secret'), 'utf8')).toBe('secret');
    expect((await files.get('link')).toString()).toBe('mine');
  });

  it('does not open what is no file', async () => {
    await files.put('folder/file', 'x');
    const invalid = { code: Code.INVALID_ARGUMENT, message: 'it is a folder: folder' };
    expect(await refused(files.begin('folder', 'x').done)).toMatchObject(invalid);
    expect(await refused(files.meta('folder'))).toMatchObject(invalid);
    expect(await refused(files.get('folder'))).toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(await refused(files.get('folder/file/x'))).toMatchObject({ code: Code.NOT_FOUND });
    expect(await refused(files.begin('folder/file/x', 'x').finish())).toMatchObject({
      code: Code.NOT_FOUND,
      message: 'a part of the name is a file, not a folder: folder/file/x',
    });
    expect(await refused(files.delete('folder'))).toMatchObject({
      message: 'the folder is not empty: folder',
    });
    await files.delete('folder/file');
    await files.delete('folder');
    expect((await files.list('')).files).toEqual([]);
    expect(await refused(files.list(UPLOADS))).toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(await refused(files.begin(`${UPLOADS}/x`, 'x').done)).toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  });

  it('heeds FileMode and FileFlag of Layotto', async () => {
    const mode = async (name: string) => (await lstat(join(root, name))).mode & 0o777;
    await files.put('default', 'x');
    await files.put('decimal', 'x', { FileMode: '420', FileFlag: '577' });
    await files.put('octal', 'x', { fileMode: '0640' });
    expect([await mode('default'), await mode('decimal'), await mode('octal')]).toEqual([
      0o600, 0o644, 0o640,
    ]);
    expect((await files.meta('decimal')).response).toMatchObject({
      metadata: [{ key: 'FileMode', value: { value: ['420'] } }],
    });
    const put = (name: string, metadata: Record<string, string>) =>
      refused(files.begin(name, 'x', metadata).finish());
    const settings: Record<string, string>[] = [
      { FileMode: '644' },
      { FileMode: 'rw' },
      { FileFlag: 'O_RDWR' },
      { FileFlag: '1089' },
    ];
    for (const wrong of settings) {
      expect(await put('wrong', wrong)).toMatchObject({ code: Code.INVALID_ARGUMENT });
    }
    const exclusive = { FileFlag: String(0x40 | 0x80 | 1) };
    await files.put('new', 'x', exclusive);
    expect(await put('new', exclusive)).toMatchObject({ code: Code.ALREADY_EXISTS });
    expect(await put('absent', { FileFlag: '1' })).toMatchObject({ code: Code.NOT_FOUND });
    // Before the rest has come, where that can be known.
    const early = (name: string, FileFlag: string) => refused(files.begin(name, 'x', { FileFlag }).answer());
    expect(await early('new', exclusive.FileFlag)).toMatchObject({ code: Code.ALREADY_EXISTS });
    expect(await early('absent', '1')).toMatchObject({ code: Code.NOT_FOUND });
    await files.put('new', 'y', { FileFlag: '1' });
    // Of two at the same time only one can be the first.
    const [one, two] = [files.begin('race', '1', exclusive), files.begin('race', '2', exclusive)];
    const ends = await Promise.allSettled([one.finish(), two.finish()]);
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await readdir(join(root, UPLOADS))).toEqual([]);
  });

  it('removes at its start what a process that is gone has begun, and nothing else', async () => {
    await files.put('x', 'x');
    const uploads = join(root, UPLOADS);
    const host = encodeURIComponent(hostname());
    const names = {
      dead: `${host}.4194303.abc.0`,
      before: `${host}.${process.pid}.abc.0`,
      alive: `${host}.1.abc.0`,
      elsewhere: `another.7.abc.0`,
      forgotten: `another.8.abc.0`,
    };
    for (const name of Object.values(names)) await writeFile(join(uploads, name), '');
    await utimes(join(uploads, names.forgotten), 0, 0);
    const own = files.begin('mine', 'x');
    const next = await Rooms.open([{ name: 'files', type: 'file.local', metadata: { rootPath: root } }]);
    await next.close();
    const left = (await readdir(uploads)).filter((name) => name.includes('.abc.'));
    expect(left.sort()).toEqual([names.alive, names.elsewhere].sort());
    await own.finish();
    expect((await files.get('mine')).toString()).toBe('x');
  });

  it('lists a large folder in bounded memory', async () => {
    const large = join(root, 'large');
    await mkdir(large);
    const count = 5_000;
    for (let at = 0; at < count; at += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, i) => writeFile(join(large, String(at + i).padStart(6, '0')), '')),
      );
    }
    const names = await files.names('large', 700);
    expect([names.length, names[0], names.at(-1)]).toEqual([count, '000000', '004999']);
    expect([...names].sort()).toEqual(names);
    expect((await files.list('large', 1_000_000)).files).toHaveLength(count);
    expect((await files.list('large')).files).toHaveLength(1_000);
  });

  const unprivileged = process.getuid?.() !== 0;
  it('says what the system does not allow', async () => {
    await files.put('shut/file', 'x');
    if (unprivileged) {
      await chmod(join(root, 'shut'), 0o500);
      expect(await refused(files.begin('shut/new', 'x').finish())).toMatchObject({
        code: Code.PERMISSION_DENIED,
        message: 'permission denied: shut/new',
      });
      await chmod(join(root, 'shut'), 0o700);
    }
    const { failureOf } = await import('../../components-bridge/src/components/local/failure.js');
    const said = (code: string) => {
      const { failure, message } = failureOf(Object.assign(new Error('system'), { code }), 'a');
      return [failure, message];
    };
    expect(said('EACCES')).toEqual(['permission', 'permission denied: a']);
    expect(said('ENOSPC')).toEqual(['full', 'no space is left on the device: a']);
    expect(said('EDQUOT')).toEqual(['full', 'the disk quota is used up: a']);
    expect(said('EROFS')).toEqual(['permission', 'the file system is read-only: a']);
    expect(said('EIO')).toEqual(['failed', 'a: system']);
  });
});
