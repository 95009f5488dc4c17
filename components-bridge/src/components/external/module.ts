import { createRequire, register } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { create, toBinary } from '@bufbuild/protobuf';
import type { Message } from '@bufbuild/protobuf';

import { HALF, halfFiles } from '../../config/half-files.js';
import type { HalfFile } from '../../config/half-files.js';
import type { Call } from '../../primitives/call.js';
import type { ComponentContext } from '../../primitives/component.js';
import { Code, OperationError, reasonOf } from '../../primitives/errors.js';
import type {
  ExternalComponent,
  ExternalRequest,
  ExternalSettings,
} from '../../primitives/external/component.js';
import { readMethods } from '../../primitives/external/methods.js';
import { failureOf } from '../../primitives/external/service.js';

/** Calls that a module has not settled, at most: what never answers is not waited for, but held. */
const MOST_OPEN = 1024;

/** How long loading and opening may take. */
const OPEN_MS = 10_000;

/**
 * Node keeps what it has loaded by its URL, so what a half imports by a path gets the half's own digest: another content
 * is another module throughout. Node runs such hooks in a thread of their own.
 */
const HOOKS = `
  export async function resolve(specifier, context, next) {
    const found = await next(specifier, context);
    const digest = /[?&]half=([0-9a-f]+)/.exec(context.parentURL ?? '')?.[1];
    if (digest === undefined || !/^\\.{0,2}\\//.test(specifier) || !found.url.startsWith('file:')) return found;
    const url = new URL(found.url);
    url.searchParams.set('half', digest);
    return { ...found, url: url.href };
  }`;
let hooked = false;

const require = createRequire(import.meta.url);

/**
 * Node keeps modules of CommonJS by their paths, whoever imports or requires them: those are loaded anew. Not left to the
 * import, because Node gives what a module exports of another one, whose place it knows from before, as empty then.
 */
function loadAnew(files: readonly HalfFile[]): void {
  const { cache } = require;
  const loaded = files.map(({ path }) => path).filter((path) => path in cache);
  for (const path of loaded) Reflect.deleteProperty(cache, path);
  for (const path of loaded) {
    try {
      require(path);
    } catch {
      // The import says what is wrong with it.
    }
  }
}

/** What a module's methods are told of a call. */
interface ModuleCall {
  /** The app that calls, and its SPIFFE id if it has one. */
  appId: string;
  spiffeId: string;
  /** The caller's W3C trace context; empty if there is none. */
  traceparent: string;
  /** Milliseconds that are left until the caller gives up. */
  timeLeftMs: number;
}

type Method = (request: Message, call: ModuleCall) => unknown;

/** What a module's `open` resolves with. */
interface Opened {
  methods: Record<string, Method>;
  probe?: () => Promise<void>;
  close?: () => Promise<void>;
}

/**
 * Loads the module in a folder, which runs in the bridge's own process, with everything that the bridge may do.
 *
 * @throws Error that says what is missing or failed
 */
export async function open({ own }: ExternalSettings, context: ComponentContext): Promise<ExternalComponent> {
  const methods = readMethods(own);
  const file = join(own.folder, HALF);
  const url = pathToFileURL(file);
  url.searchParams.set('half', own.digest);
  const files = halfFiles(own.folder);
  loadAnew(files);
  if (!hooked && files.length > 1) {
    hooked = true;
    register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
  }
  const { name, appId, dataDir, metadata } = context;
  const report: ComponentContext['report'] = (status, reason) => context.report(status, reason);
  const log = (line: string): void =>
    context.log.info({ said: String(line).slice(0, 1024) }, 'its module says');
  const told = { name, appId, dataDir, metadata: { ...metadata }, log, report, error };
  const opened = await within(OPEN_MS, file, async () => {
    const loaded = (await import(url.href)) as { open?: (told: object) => Promise<Opened> };
    if (typeof loaded.open !== 'function') throw new Error(`${file} exports no function "open"`);
    return loaded.open(told);
  });
  const missing = [...methods.keys()].filter((method) => typeof opened?.methods?.[method] !== 'function');
  if (missing.length > 0) {
    await opened?.close?.();
    throw new Error(`what "open" of ${file} returns has no methods ${missing.join(', ')}`);
  }
  let open = 0;
  return {
    perform: async ({ method, message }, call) => {
      if (open >= MOST_OPEN) {
        const text = `${open} calls have not been answered by its module`;
        throw new OperationError(Code.RESOURCE_EXHAUSTED, text);
      }
      open++;
      try {
        return await perform(opened.methods[method.name] as Method, method, message, call);
      } finally {
        open--;
      }
    },
    ...(opened.probe === undefined ? {} : { probe: () => opened.probe?.() ?? Promise.resolve() }),
    close: async () => opened.close?.(),
  };
}

async function perform(
  method: Method,
  { output }: ExternalRequest['method'],
  message: Message,
  call: Call,
): Promise<Uint8Array> {
  let answer: unknown;
  try {
    answer = await method(message, {
      appId: call.caller.app,
      spiffeId: call.caller.spiffe,
      traceparent: call.traceparent,
      timeLeftMs: Math.max(0, call.deadline - performance.now()),
    });
  } catch (failure) {
    throw failureOf((failure as { code?: unknown } | undefined)?.code, reasonOf(failure)) ?? failure;
  }
  try {
    if (answer !== undefined && (typeof answer !== 'object' || answer === null))
      throw new TypeError(`it is ${answer === null ? 'null' : `a ${typeof answer}`}`);
    return toBinary(output, create(output, answer as Record<string, unknown>));
  } catch (failure) {
    throw new OperationError(Code.INTERNAL, `its answer is no ${output.name}: ${reasonOf(failure)}`);
  }
}

/** A failure that callers understand. @param code a name of google.rpc.Code */
function error(code: string, message: string): Error {
  const failure = failureOf(code, message);
  if (failure === undefined) throw new TypeError(`there is no code ${code}; take a name of google.rpc.Code`);
  return failure;
}

async function within<Result>(limitMs: number, file: string, work: () => Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${file} did not open within ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
