import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { toolsDir } from '../../tools/get.mjs';
import { ApolloStandIn, TOKEN } from '../support/apollo/stand-in.js';
import { Child } from '../support/child.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Time for Maven on a machine that has nothing yet. */
const FETCH_MS = 150_000;

/** The clients' jars, fetched once. */
function jars(): string {
  const target = join(toolsDir(), 'apollo-java-2.4.0');
  if (existsSync(target)) return target;
  mkdirSync(toolsDir(), { recursive: true });
  const work = mkdtempSync(join(toolsDir(), '.apollo-java-'));
  const args = [
    '-q',
    '-B',
    '-f',
    here('pom.xml'),
    'dependency:copy-dependencies',
    `-DoutputDirectory=${work}`,
  ];
  const { status, stdout, stderr } = spawnSync('mvn', args, { encoding: 'utf8', timeout: FETCH_MS });
  if (status !== 0) {
    rmSync(work, { recursive: true, force: true });
    throw new Error(`mvn could not fetch Apollo's clients: ${stdout}${stderr}`);
  }
  renameSync(work, target);
  return target;
}

let classPath: string;
let dir: string;
let standIn: ApolloStandIn;

beforeAll(() => {
  classPath = join(jars(), '*');
}, FETCH_MS);

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'apollo-java-'));
  standIn = await ApolloStandIn.start({ delayMs: 100 });
  const { model } = standIn;
  model.createApp('shop', 'test');
  const main = model.namespace('shop', 'default', 'application');
  if (main === undefined) throw new Error('an app has the namespace application');
  model.createItem(main.id, { key: 'timeout', value: '100', comment: '', lineNum: 1 }, 'test');
  model.release(main, 'first', '', 'test');
});

afterEach(async () => {
  await standIn.stop();
  rmSync(dir, { recursive: true, force: true });
});

function run(secret?: string): Child {
  const properties = {
    'app.id': 'shop',
    env: 'DEV',
    'apollo.meta': standIn.meta,
    'apollo.cache-dir': dir,
    'file.encoding': 'UTF-8',
    ...(secret !== undefined && { 'apollo.access-key.secret': secret }),
  };
  const options = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
  const program = [here('ApolloClients.java'), standIn.openApi.url, TOKEN, 'shop'];
  return new Child('java', 'java', ['-cp', classPath, ...options, ...program]);
}

const linesOf = (child: Child): string[] => child.log.split('\n').filter((line) => !/SLF4J|^$/.test(line));

it.each(['without an access key', 'with an access key'])(
  "Apollo's own clients for Java work with the stand-in, %s",
  async (keys) => {
    const secret = keys === 'with an access key' ? 'df23df3f59884980844ff3dada30fa97' : undefined;
    if (secret !== undefined) standIn.model.createAccessKey('shop', secret, 'test').enabled = true;
    const child = run(secret);
    const code = await child.exited;
    expect({ code, lines: linesOf(child) }).toEqual({
      code: 0,
      lines: [
        'read 100',
        'MODIFIED timeout 100 200',
        'ADDED greeting@$v1 null héllo',
        'items 1',
        'DELETED timeout 200 null',
        'namespaces created',
      ],
    });
  },
  120_000,
);
