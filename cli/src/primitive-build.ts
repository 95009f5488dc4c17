import { execFile } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescFile, DescMethod } from '@bufbuild/protobuf';
import { CodeGeneratorRequestSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { CodeGeneratorRequest, CodeGeneratorResponse, FileDescriptorSet } from '@bufbuild/protobuf/wkt';
import { createFileRegistry } from '@bufbuild/protobuf';

import { DESCRIPTION, nameProblem } from '../../components-bridge/src/config/own-primitive.js';
import { UserError, messageOf } from './errors.js';
import { findInstallation } from './installation.js';
import type { Installation } from './installation.js';
import type { Values } from './options.js';

/** What a filter imports the sources in assembly/ from; the same as in a function. */
const LIBRARY = 'layotto';
/** A file that the compiler looks for in a package, after its name. */
const FROM_PACKAGE = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\/(.*)$/;

/** What building needs beside what running does. */
const TOOLS = [
  'assemblyscript',
  '@bufbuild/buf',
  '@bufbuild/protoplugin',
  '@solo-io/proxy-runtime',
  'as-wasi',
];

/** Those of them whose sources are compiled in. */
const SOURCES = ['@solo-io/proxy-runtime', 'as-wasi', '@assemblyscript/wasi-shim'];

/** The runtime's own files that a primitive's .proto file may import, or a process needs. */
const SHARED_PROTOS = ['layotto/bridge/v1/json.proto', 'layotto/bridge/v1/external.proto'];

interface Plugin {
  run(request: CodeGeneratorRequest): CodeGeneratorResponse;
}

interface JsonOperation {
  method: DescMethod;
  primitive: string;
  component: { proto: string } | undefined;
}

/** What a build made. */
export interface Built {
  name: string;
  module: string;
  description: string;
}

/** `layotto primitive build FOLDER`: what the filter half and the bridge half need of the .proto file, and the module. */
export async function primitiveBuild(_values: Values, [folder = '']: readonly string[]): Promise<number> {
  const { module, description } = await buildPrimitive(folder);
  console.log(`${module}\n${description}`);
  return 0;
}

/**
 * Builds a primitive of one's own. Nothing is written but `filter/gen` and the bridge half's description.
 *
 * @param folder with `filter`, `proto` and `bridge`
 * @throws UserError that says what is wrong with it
 */
export async function buildPrimitive(folder: string): Promise<Built> {
  const installation = findInstallation();
  const proto = protoOf(folder);
  for (const part of ['filter/index.ts', 'bridge'])
    if (!existsSync(join(folder, part))) throw new UserError(`there is no ${join(folder, part)}`);
  const require = createRequire(join(installation.root, 'package.json'));
  const missing = TOOLS.filter((name) => !resolves(require, name));
  if (missing.length > 0) {
    const wanted = missing.join(' ');
    throw new UserError(`building a primitive needs ${wanted}; run "npm install --save-dev ${wanted}"`);
  }
  const set = await compileProto(installation, require, proto);
  const operations = await operationsOf(installation, set, proto);
  const [first] = operations;
  if (first === undefined)
    throw new UserError(
      `${proto}: no method has the option (layotto.bridge.v1.json), so there is nothing to serve`,
    );
  const { primitive } = first;
  const generated = join(folder, 'filter/gen');
  rmSync(generated, { recursive: true, force: true });
  mkdirSync(generated, { recursive: true });
  await generate(installation, set, basename(proto), generated);
  const module = join(generated, `${primitive}.wasm`);
  await compileFilter(installation, require, join(folder, 'filter'), primitive, module);
  const description = join(folder, 'bridge', DESCRIPTION);
  writeFileSync(description, describe(set, operations, await openApiOf(installation, proto, operations)));
  return { name: primitive, module, description };
}

/** The one .proto file of a primitive. */
function protoOf(folder: string): string {
  const parts = join(folder, 'proto');
  const files = existsSync(parts) ? readdirSync(parts).filter((name) => name.endsWith('.proto')) : [];
  const [file, second] = files;
  if (file === undefined) throw new UserError(`there is no .proto file in ${parts}`);
  if (second !== undefined)
    throw new UserError(`${parts} has ${files.join(' and ')}; a primitive has one .proto file`);
  return join(parts, file);
}

function resolves(require: NodeJS.Require, name: string): boolean {
  return (require.resolve.paths(name) ?? []).some((path) => existsSync(join(path, name, 'package.json')));
}

/** The folder of an npm package. */
function packageFolder(require: NodeJS.Require, name: string): string {
  const found = (require.resolve.paths(name) ?? []).find((path) =>
    existsSync(join(path, name, 'package.json')),
  );
  return join(found ?? '', name);
}

/** @throws UserError with what the compiler says */
async function compileProto(
  { root }: Installation,
  require: NodeJS.Require,
  proto: string,
): Promise<FileDescriptorSet> {
  const work = mkdtempSync(join(tmpdir(), 'layotto-proto-'));
  try {
    for (const shared of SHARED_PROTOS) cpSync(join(root, 'proto', shared), join(work, shared));
    copyFileSync(proto, join(work, basename(proto)));
    const buf = join(packageFolder(require, '@bufbuild/buf'), 'bin/buf');
    try {
      await promisify(execFile)(process.execPath, [buf, 'build', '.', '-o', 'image.binpb'], { cwd: work });
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string };
      const said = stderr
        .trim()
        .split('\n')
        .map((line) => `${dirname(proto)}/${line}`);
      throw new UserError(stderr.trim() === '' ? messageOf(error) : said.join('\n'));
    }
    return fromBinary(FileDescriptorSetSchema, readFileSync(join(work, 'image.binpb')));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function plugin({ root }: Installation, name: string): Promise<{ plugin: Plugin }> {
  return import(pathToFileURL(join(root, 'proto/plugin', name)).href) as Promise<{ plugin: Plugin }>;
}

/**
 * The operations of a primitive, which must be alike enough to be served by one component.
 *
 * @throws UserError that says what is not
 */
async function operationsOf(
  { root }: Installation,
  set: FileDescriptorSet,
  proto: string,
): Promise<JsonOperation[]> {
  const url = pathToFileURL(join(root, 'proto/plugin/json-operations.mjs')).href;
  const { jsonOperations } = (await import(url)) as {
    jsonOperations: (files: DescFile[]) => JsonOperation[];
  };
  const files = [...createFileRegistry(set).files];
  const problem = (message: string): UserError => new UserError(`${proto}: ${message}`);
  let operations: JsonOperation[];
  try {
    operations = jsonOperations(files);
  } catch (error) {
    throw problem(messageOf(error));
  }
  const own = files
    .filter(({ proto: { name } }) => name === basename(proto))
    .flatMap(({ services }) => services);
  const [service, second] = own;
  if (service === undefined) throw problem('it has no service');
  if (second !== undefined) throw problem('a primitive has one service');
  const primitive = operations[0]?.primitive ?? '';
  for (const method of service.methods) {
    const operation = operations.find((one) => one.method === method);
    if (operation === undefined)
      throw problem(
        `${method.name} has no option (layotto.bridge.v1.json), which names its primitive and component`,
      );
    if (operation.primitive !== primitive)
      throw problem(`${method.name} is of another primitive than the others`);
    if (operation.component === undefined || operation.component.proto.includes('.'))
      throw problem(
        `${method.name}: its option json needs "component", a field of the request that names the component`,
      );
  }
  const taken = nameProblem(primitive, service.typeName);
  if (taken !== undefined) throw problem(taken);
  return operations;
}

/** Writes the codecs of the messages, and the JSON door's table. */
async function generate(
  installation: Installation,
  set: FileDescriptorSet,
  proto: string,
  folder: string,
): Promise<void> {
  const runs: [string, string[], string][] = [
    ['protoc-gen-as.mjs', [proto], `target=ts,wire=${LIBRARY}/wire`],
    [
      'protoc-gen-json-door.mjs',
      [SHARED_PROTOS[0] ?? '', proto],
      `target=ts,part=filter,dialects=${LIBRARY}/dialects`,
    ],
  ];
  for (const [name, fileToGenerate, parameter] of runs) {
    const { plugin: made } = await plugin(installation, name);
    const request = create(CodeGeneratorRequestSchema, { fileToGenerate, parameter, protoFile: set.file });
    const { file, error } = made.run(request);
    if (error) throw new UserError(`${proto}: ${error}`);
    for (const { name: file_, content } of file) writeFileSync(join(folder, file_), content);
  }
}

/** The operations' part of the document that describes the HTTP doors. */
async function openApiOf(
  { root }: Installation,
  proto: string,
  operations: readonly JsonOperation[],
): Promise<object> {
  const url = pathToFileURL(join(root, 'proto/plugin/openapi-document.mjs')).href;
  const { openApiPart } = (await import(url)) as {
    openApiPart: (operations: readonly JsonOperation[]) => object;
  };
  try {
    return openApiPart(operations);
  } catch (error) {
    throw new UserError(`${proto}: ${messageOf(error)}`);
  }
}

/** What the bridge must know of the primitive before anything of it is loaded. */
function describe(set: FileDescriptorSet, operations: readonly JsonOperation[], openapi: object): string {
  const [first] = operations;
  const files = set.file.map((file) => ({ ...file, sourceCodeInfo: undefined }));
  const bare = create(FileDescriptorSetSchema, { file: files });
  const description = {
    schema: 1,
    primitive: first?.primitive,
    service: first?.method.parent.typeName,
    operations: operations.map(({ method, component }) => ({
      name: method.name,
      component: component?.proto,
    })),
    descriptors: Buffer.from(toBinary(FileDescriptorSetSchema, bare)).toString('base64'),
    openapi,
  };
  return `${JSON.stringify(description, null, 2)}\n`;
}

interface Compiler {
  main: (
    args: string[],
    options: { readFile: (name: string, baseDir: string) => string | null },
  ) => Promise<{ error: Error | null; stderr: { toString(): string } }>;
}

/** @throws UserError with what the compiler says */
async function compileFilter(
  { root, version }: Installation,
  require: NodeJS.Require,
  folder: string,
  name: string,
  output: string,
): Promise<void> {
  const asc = join(packageFolder(require, 'assemblyscript'), 'dist/asc.js');
  const compiler = (await import(pathToFileURL(asc).href)) as Compiler;
  const aside = resolve(`${output}.${process.pid}`);
  const { optimizeLevel, shrinkLevel, runtime } = (
    JSON.parse(readFileSync(join(root, 'asconfig.json'), 'utf8')) as {
      targets: { release: Record<string, string> };
    }
  ).targets.release;
  const flags = [
    ...[
      '--baseDir',
      resolve(folder),
      '--outFile',
      aside,
      '--optimizeLevel',
      String(optimizeLevel),
      '--shrinkLevel',
      String(shrinkLevel),
    ],
    ...['--noAssert', '--runtime', String(runtime), '--use', `abort=~lib/${LIBRARY}/host/log/abort`],
    // The compiler colors what it says wherever CI is set; here it becomes an error's text.
    '--noColors',
  ];
  const { error, stderr } = await compiler.main(['index.ts', ...flags], {
    readFile: (file, baseDir) => {
      // Packages are where this one is: beside the folder, above it, or in a checkout elsewhere.
      const [, name = '', inner = ''] = FROM_PACKAGE.exec(file) ?? [];
      const packaged =
        name === LIBRARY
          ? join(root, 'assembly')
          : SOURCES.includes(name)
            ? packageFolder(require, name)
            : undefined;
      const path = packaged === undefined ? resolve(baseDir, file) : join(packaged, inner);
      return existsSync(path) ? readFileSync(path, 'utf8') : null;
    },
  });
  try {
    if (error !== null)
      throw new UserError(`${stderr.toString().trim()}\n${join(folder, 'index.ts')}: ${error.message}`);
    const url = pathToFileURL(join(root, 'tools/module-section.mjs')).href;
    const { withSection } = (await import(url)) as {
      withSection: (wasm: Uint8Array, name: string, version: string) => Uint8Array;
    };
    writeFileSync(aside, withSection(readFileSync(aside), name, version));
    renameSync(aside, output);
  } finally {
    rmSync(aside, { force: true });
  }
}
