/**
 * For tests of a primitive of one's own, and of functions: a runtime with the primitive or the functions in it, real
 * Envoy and real bridge. Tests that `layotto primitive test` and `layotto function test` run have it as
 * `layotto-envoy/testing`.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMethod } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials } from '@grpc/grpc-js';

import { readDescription } from '../../components-bridge/src/config/own-primitive.js';
import type { Description } from '../../components-bridge/src/config/own-primitive.js';
import { TestProcess } from './testing-process.js';

export { startFunctions } from './testing-functions.js';
export type { FunctionAnswer, TestFunctions } from './testing-functions.js';

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
    private readonly description: Description,
    private readonly process_: TestProcess,
  ) {
    this.#grpc = new Client(`127.0.0.1:${this.port}`, credentials.createInsecure());
  }

  get port(): number {
    return this.process_.port;
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

  stop(): Promise<void> {
    this.#grpc.close();
    return this.process_.stop();
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
  const { metadata = {}, socket, config = {} } = options;
  const component = {
    name: 'tested',
    type: join(primitive, 'bridge'),
    ...(socket === undefined ? {} : { socket }),
    metadata,
  };
  const started = await TestProcess.start({ ...config, components: [component] });
  const runtime = new TestRuntime(description, started);
  try {
    const [module] = readdirSync(join(primitive, 'filter/gen')).filter((file) => file.endsWith('.wasm'));
    const file = join(primitive, 'filter/gen', module ?? 'no module; build it first');
    await started.layotto('module', 'push', file, '--name', 'slot-1');
    return runtime;
  } catch (error) {
    await runtime.stop();
    throw error;
  }
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
