import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { tinyModule } from '../../test/support/tiny-module.js';
import { readModuleFile } from './module-file.js';
import { tar } from './tar.js';

const wasm = tinyModule();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layotto-module-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes an OCI layout with one layer; returns the path of that layer's blob. */
function layout(mediaType: string, layer: Uint8Array): string {
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  const blob = (content: Uint8Array | string): { digest: string; path: string } => {
    const hex = createHash('sha256').update(content).digest('hex');
    const path = join(folder, 'blobs/sha256', hex);
    writeFileSync(path, content);
    return { digest: `sha256:${hex}`, path };
  };
  const { digest, path } = blob(layer);
  const manifest = blob(JSON.stringify({ layers: [{ mediaType, digest }] }));
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ manifests: [{ digest: manifest.digest }] }));
  return path;
}

test('a file', () => {
  const path = join(folder, 'x.wasm');
  writeFileSync(path, wasm);
  expect(Buffer.from(readModuleFile(path).wasm)).toEqual(Buffer.from(wasm));
});

test.each([
  ['the module itself', 'application/vnd.module.wasm.content.layer.v1+wasm', wasm],
  [
    'an archive',
    'application/vnd.oci.image.layer.v1.tar+gzip',
    gzipSync(tar(new Map([['plugin.wasm', wasm]]), new Date(0))),
  ],
  [
    'an archive of docker',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    gzipSync(tar(new Map([['./plugin.wasm', wasm]]), new Date(0))),
  ],
])('an OCI layout whose layer is %s', (_what, mediaType, layer) => {
  layout(mediaType, layer);
  expect(Buffer.from(readModuleFile(folder).wasm)).toEqual(Buffer.from(wasm));
});

test('what is wrong is named', () => {
  expect(() => readModuleFile(folder)).toThrow(
    `${folder}: it is a folder, and no whole OCI layout: index.json: no such file; give a module's file`,
  );
  layout('application/vnd.oci.image.layer.v1.tar', tar(new Map([['else', wasm]]), new Date(0)));
  expect(() => readModuleFile(folder)).toThrow(/has no layer with a module/);
  writeFileSync(layout('application/vnd.module.wasm.content.layer.v1+wasm', wasm), 'changed');
  expect(() => readModuleFile(folder)).toThrow(/is damaged/);
  rmSync(join(folder, 'blobs'), { recursive: true });
  expect(() => readModuleFile(folder)).toThrow(/no whole OCI layout: blobs.*for there is no folder/);
});

test('a path that leads nowhere is named with its option and the folder that is missing', () => {
  const said = (path: string, option?: string): unknown => {
    try {
      return readModuleFile(join(folder, path), option);
    } catch (error) {
      return (error as Error).message.replaceAll(folder, 'DIR');
    }
  };
  writeFileSync(join(folder, 'file'), '');
  expect(said('none.wasm')).toBe('DIR/none.wasm: no such file');
  expect(said('a/b/none.wasm', 'module-copy')).toBe(
    '--module-copy DIR/a/b/none.wasm: no such file, for there is no folder DIR/a',
  );
  expect(said('file/none.wasm')).toBe('DIR/file/none.wasm: a part of this path is a file, not a folder');
});
