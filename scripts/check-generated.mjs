/** Checks that the generated code is what the .proto files say: generates it aside and compares. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';

import { filesUnder, root } from './lib/tree.mjs';

const aside = mkdtempSync(join(tmpdir(), 'layotto-generated-'));
try {
  const bin = join(root, 'node_modules/.bin');
  const { status, error } = spawnSync(join(bin, 'buf'), ['generate', '--output', aside], {
    cwd: root,
    // buf looks for its plugins on the path.
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) {
    console.error(`buf generate failed${error ? `: ${error.message}` : ''}`);
    process.exitCode = 1;
  } else {
    compare();
  }
} finally {
  rmSync(aside, { recursive: true, force: true });
}

function compare() {
  const fresh = filesUnder(relative(root, aside), () => true).map((file) =>
    relative(aside, join(root, file)),
  );
  // Every folder that a plugin writes to is its own: what lies there without having been generated is left over.
  const outputs = [...readFileSync(join(root, 'buf.gen.yaml'), 'utf8').matchAll(/^\s*out:\s*(\S+)/gm)];
  const kept = outputs.flatMap(([, folder]) => filesUnder(folder, () => true));
  const different = fresh.filter((file) => !same(join(aside, file), join(root, file)));
  const leftOver = kept.filter((file) => !fresh.includes(file));
  for (const file of different)
    console.error(`${file}: differs from what the .proto files say; run "make generate"`);
  for (const file of leftOver)
    console.error(`${file}: no .proto file makes it any more; run "make generate"`);
  if (fresh.length === 0) console.error('buf generate made no files');
  if (different.length + leftOver.length > 0 || fresh.length === 0) process.exitCode = 1;
}

function same(a, b) {
  return existsSync(b) && readFileSync(a).equals(readFileSync(b));
}
