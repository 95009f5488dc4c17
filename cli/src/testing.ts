/**
 * For tests of a primitive of one's own: a runtime with the primitive in it, real Envoy and real bridge. Tests that
 * `layotto primitive test` runs have it as `layotto-envoy/testing`.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMethod } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials } from '@grpc/grpc-js';

import { readDescription } from '../../components-bridge/src/config/own-primitive.js';
import type { Description } from '../../components-bridge/src/config/own-primitive.js';
import type * as Ports from '../../tools/free-port.mjs';
import { findInstallation } from './installation.js';

const START_MS = 30_000;
const CALL_MS = 10_000;

/** How a runtime for tests is started. */
export interface TestOptions {
  /** Metadata of the component. */
  metadata?: Record<string, string>;
  /** Where a process serves the bridge half; absent: the folder's module does. */
  socket?: string;
  /** What else is configured, as in layotto.yaml. */
  config?: Record<string, unknown>;
}

/** What an HTTP call got. */
export interface HttpAnswer {
  status: number;
  /** The body as JSON, or as text if it is none. */
  body: unknown;
}

/** A runtime with one component of the primitive. */
export class TestRuntime {
  /** The component's name. */
  readonly component = 'tested';
  readonly #grpc: Client;

  constructor(
    readonly port: number,
    private readonly description: Description,
    private readonly process_: ChildProcess,
    private readonly folder: string,
  ) {
    this.#grpc = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  /** Calls a method of the primitive's service. @throws ServiceError with `code` and `details` */
  grpc(method: string, request: Record<string, unknown>): Promise<Record<string, unknown>> {
    return callGrpc(this.#grpc, this.description, method, request);
  }

  /** Calls an HTTP route. */
  async http(method: string, path: string, body?: unknown): Promise<HttpAnswer> {
    return callHttp(this.port, method, path, body);
  }

  /** Calls a method behind the JSON door. */
  json(method: string, request: Record<string, unknown>): Promise<HttpAnswer> {
    return this.http('POST', `/v1.0-layotto/${this.description.primitive}/${method}`, request);
  }

  async stop(): Promise<void> {
    this.#grpc.close();
    if (this.process_.exitCode === null && this.process_.signalCode === null) {
      this.process_.kill('SIGTERM');
      await once(this.process_, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * Starts a runtime with a component of the primitive, and its module pushed into a spare slot.
 *
 * @param place folder of a primitive that was built
 * @throws Error with what `layotto` said, if it does not start
 */
export async function startRuntime(place: string | URL, options: TestOptions = {}): Promise<TestRuntime> {
  const primitive = place instanceof URL ? fileURLToPath(place) : place;
  const description = readDescription(join(primitive, 'bridge'));
  const folder = mkdtempSync(join(tmpdir(), 'layotto-test-'));
  const { metadata = {}, socket, config = {} } = options;
  const component = {
    name: 'tested',
    type: join(primitive, 'bridge'),
    ...(socket === undefined ? {} : { socket }),
    metadata,
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'layotto.yaml'), JSON.stringify({ ...config, components: [component] }));
  const { root } = findInstallation();
  // Loaded by path, because it stands outside of what is compiled.
  const { freePort } = (await import(pathToFileURL(join(root, 'tools/free-port.mjs')).href)) as typeof Ports;
  const port = await freePort();
  const layotto = join(root, 'cli/bin/layotto.js');
  const data = join(folder, 'data');
  const args = ['run', '-c', join(folder, 'layotto.yaml'), '--port', String(port), '--metrics-port', '0'];
  const child = spawn(process.execPath, [layotto, ...args, '--data-dir', data], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const runtime = new TestRuntime(port, description, child, folder);
  try {
    await untilReady(child);
    const [module] = readdirSync(join(primitive, 'filter/gen')).filter((file) => file.endsWith('.wasm'));
    const file = join(primitive, 'filter/gen', module ?? 'no module; build it first');
    await promisify(execFile)(process.execPath, [
      ...[layotto, 'module', 'push', file, '--name', 'slot-1', '--data-dir', data],
    ]);
    return runtime;
  } catch (error) {
    await runtime.stop();
    throw error;
  }
}

async function untilReady(child: ChildProcess): Promise<void> {
  if (child.stderr === null) return;
  const timer = setTimeout(() => child.kill('SIGTERM'), START_MS);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    if (!line.includes('ready in')) continue;
    clearTimeout(timer);
    child.stderr.resume();
    return;
  }
  clearTimeout(timer);
  throw new Error(`layotto run did not start:\n${said.join('\n')}`);
}

/** An HTTP call to a runtime. */
export async function callHttp(
  port: number,
  method: string,
  path: string,
  body?: unknown,
): Promise<HttpAnswer> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(CALL_MS),
  });
  const said = await answer.text();
  try {
    return { status: answer.status, body: JSON.parse(said) as unknown };
  } catch {
    return { status: answer.status, body: said };
  }
}

/** A gRPC call of a method that a primitive's folder describes. @throws ServiceError */
export function callGrpc(
  client: Client,
  { service, descriptors }: Description,
  name: string,
  request: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const set = fromBinary(FileDescriptorSetSchema, Buffer.from(descriptors, 'base64'));
  const methods: readonly DescMethod[] = createFileRegistry(set).getService(service)?.methods ?? [];
  const method = methods.find((one) => one.name === name);
  if (method === undefined) throw new Error(`${service} has no method ${name}`);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `/${service}/${name}`,
      (message: Record<string, unknown>) =>
        Buffer.from(toBinary(method.input, create(method.input, message))),
      (bytes) => fromBinary(method.output, bytes) as unknown as Record<string, unknown>,
      request,
      { deadline: Date.now() + CALL_MS },
      (error, answer) =>
        error === null && answer !== undefined ? resolve(answer) : reject(error ?? new Error('no answer')),
    );
  });
}
