/**
 * Files in a folder, put and got as streams through Envoy: a large one in little memory, a list by pages, and an upload
 * that breaks off and leaves nothing. Run it by `make example NAME=file`.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { Files } from './client.mjs';

const { EXAMPLE_DIR: folder, runtime_GRPC_HOST: host, runtime_GRPC_PORT: port } = process.env;
if (folder === undefined) {
  console.error('run it by: make example NAME=file');
  process.exit(1);
}

const MIB = 1024 * 1024;
const LARGE = 256 * MIB;
const files = new Files(`${host}:${port}`, 'album');
const say = (what, text) => console.log(`${`${what}:`.padEnd(22)}${text}`);

/** Resident memory of Envoy and of the bridge in MiB, as their metrics say. */
async function memory() {
  const read = async (path, metric) => {
    const answer = await fetch(`http://127.0.0.1:${Number(port) - 1}${path}`);
    const value = new RegExp(`^${metric}(?:{[^}]*})? (\\S+)$`, 'm').exec(await answer.text())?.[1];
    return Number(value) / MIB;
  };
  return {
    envoy: await read('/metrics', 'envoy_server_memory_allocated'),
    bridge: await read('/metrics/bridge', 'process_resident_memory_bytes'),
  };
}

/** A file of any length that is never in memory as a whole. @param hash gets what was made */
function* pattern(length, hash) {
  for (let at = 0; at < length; at += MIB) {
    const part = Buffer.alloc(Math.min(MIB, length - at), `${at} `);
    hash.update(part);
    yield part;
  }
}

async function digestOf(name) {
  const hash = createHash('sha256');
  for await (const part of files.get(name)) hash.update(part);
  return hash.digest('hex');
}

const names = Array.from({ length: 7 }, (_, i) => `photo-${i + 1}.jpg`);
for (const name of names) await files.put(`2024/${name}`, [Buffer.from(`this is ${name}`)]);
say('put', `${names.length} files in the folder 2024`);

const listed = [];
let pages = 0;
for (let marker = ''; marker !== undefined; pages++) {
  const page = await files.list('2024', 3, marker);
  listed.push(...page.names);
  marker = page.marker;
}
assert.deepEqual(listed, names);
say('listed', `${listed.length} names on ${pages} pages`);

const { size, lastModified } = await files.meta('2024/photo-1.jpg');
assert.equal(Number(size), 'this is photo-1.jpg'.length);
say('meta of one', `${size} bytes, changed ${lastModified.slice(0, 10)}`);

const before = await memory();
const hash = createHash('sha256');
await files.put('film.mp4', pattern(LARGE, hash));
assert.equal(await digestOf('film.mp4'), hash.digest('hex'));
const after = await memory();
say('put and got', `${LARGE / MIB} MiB, the same checksum`);
for (const process of ['envoy', 'bridge']) {
  const grown = after[process] - before[process];
  assert.ok(grown < 64, `${process} has grown by ${grown} MiB`);
  say(
    `memory of ${process}`,
    `${after[process].toFixed(0)} MiB, ${grown < 1 ? 'less than 1' : grown.toFixed(0)} MiB more`,
  );
}

function* broken() {
  yield* pattern(8 * MIB, createHash('sha256'));
  throw new Error('the camera was unplugged');
}
const old = await digestOf('2024/photo-1.jpg');
await assert.rejects(files.put('2024/photo-1.jpg', broken()), /unplugged/);
const unfinished = () => readdir(join(folder, '.layotto-uploads'));
for (let tries = 0; tries < 100 && (await unfinished()).length > 0; tries++) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
assert.deepEqual(await unfinished(), []);
assert.equal(await digestOf('2024/photo-1.jpg'), old);
say('broken upload', 'nothing left, the old file as it was');

await files.delete('film.mp4');
await assert.rejects(digestOf('film.mp4'), { code: 5 });
say('deleted', 'film.mp4; getting it is refused with NOT_FOUND');
await assert.rejects(digestOf('../layotto.yaml'), { code: 3 });
say('outside', '../layotto.yaml is refused with INVALID_ARGUMENT');
files.close();
