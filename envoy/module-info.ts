import { createHash } from 'node:crypto';

import { z } from 'zod';

/** The custom section in which a module says what it is. The build writes it. */
export const MODULE_SECTION = 'layotto.module';
/** Largest module that is read. */
export const MOST_MODULE_BYTES = 64 * 1024 * 1024;

/** Longest list of any kind in a section, and the longest word: nothing real comes near. */
const word = z.string().min(1).max(256);
const words = z.array(word).max(512);

const sectionSchema = z.object({
  /** Version of this form. A reader takes only those it knows. */
  schema: z.literal(1),
  name: word,
  version: word,
  /** It is a function. */
  function: z.literal(true).optional(),
  /** Version of the session's protocol that the module speaks with the bridge. */
  protocol: z.number().int().nonnegative(),
  /** What it serves, and behind which doors: `layotto_grpc`, `dapr_grpc`, `dapr_http`, `json`. */
  primitives: z.array(z.object({ name: word, doors: words })).max(256),
  /** Full names of the bridge's services that it calls, for example `layotto.bridge.v1.State`. */
  services: words,
  /** Functions of the host that it calls: what Envoy's `capability_restriction_config` must allow. */
  capabilities: words,
});

/** What a module says of itself. */
export type ModuleSection = z.infer<typeof sectionSchema>;

/** What can be seen of a module without running it. */
export interface ModuleInfo {
  bytes: number;
  /** SHA-256 of the file, in hexadecimal digits. */
  sha256: string;
  /** Versions of the proxy-wasm ABI that it is for, such as `0.2.1`. */
  abi: string[];
  /** Functions of the host that it calls, such as `{ module: 'env', name: 'proxy_log' }`, in the order of the file. */
  imports: { module: string; name: string }[];
  /** Functions that the host may call. */
  exports: string[];
  /** What it says of itself; a module that was not built here says nothing. */
  section?: ModuleSection;
  /** Why what it says cannot be read. */
  sectionProblem?: string;
}

/** Says in one sentence why a file is no module. */
export class ModuleError extends Error {}

interface Described {
  module?: string;
  name: string;
  kind: string;
}

/** The part of the WebAssembly API that is needed here; TypeScript has it only in the library of the DOM. */
const { Module } = (
  globalThis as unknown as {
    WebAssembly: {
      Module: {
        new (bytes: Uint8Array): object;
        imports(module: object): (Described & { module: string })[];
        exports(module: object): Described[];
        customSections(module: object, name: string): ArrayBuffer[];
      };
    };
  }
).WebAssembly;

const ABI = /^proxy_abi_version_(\d+)_(\d+)_(\d+)$/;

/**
 * Reads a module's ABI, imports, exports and section.
 *
 * @throws ModuleError if the bytes are not a WebAssembly module that this machine can compile
 */
export function readModule(bytes: Uint8Array): ModuleInfo {
  if (bytes.length > MOST_MODULE_BYTES)
    throw new ModuleError(`it has ${bytes.length} bytes; the largest module has ${MOST_MODULE_BYTES}`);
  if (Buffer.from(bytes.subarray(0, 4)).toString('latin1') !== '\0asm')
    throw new ModuleError('it is not WebAssembly: it does not begin with \\0asm');
  let module;
  try {
    module = new Module(bytes);
  } catch (error) {
    const said = error instanceof Error ? error.message.replace(/^WebAssembly\.Module\(\): /, '') : '';
    throw new ModuleError(`it is not valid WebAssembly: ${said}`);
  }
  const functions = <Entry extends Described>(entries: Entry[]): Entry[] =>
    entries.filter(({ kind }) => kind === 'function');
  const exports = functions(Module.exports(module)).map(({ name }) => name);
  return {
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    abi: exports.flatMap((name) => ABI.exec(name)?.slice(1).join('.') ?? []),
    imports: functions(Module.imports(module)).map(({ module: from, name }) => ({ module: from, name })),
    exports,
    ...readSection(Module.customSections(module, MODULE_SECTION)),
  };
}

function readSection(found: readonly ArrayBuffer[]): Pick<ModuleInfo, 'section' | 'sectionProblem'> {
  const [first, ...more] = found;
  if (first === undefined) return {};
  if (more.length > 0) return { sectionProblem: `it has ${found.length} of them` };
  let said: unknown;
  try {
    said = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(first));
  } catch {
    return { sectionProblem: 'it is not JSON' };
  }
  const { schema } = (said ?? {}) as { schema?: unknown };
  if (typeof schema === 'number' && schema !== 1)
    return { sectionProblem: `it is written in version ${schema} of the form, and this layotto reads 1` };
  const read = sectionSchema.safeParse(said);
  if (read.success) return { section: read.data };
  const [issue] = read.error.issues;
  return { sectionProblem: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unreadable'}` };
}

/** Prefix and names of the functions that Envoy offers to modules of ABI 0.2.1, without `proxy_`. */
const HOST_FUNCTIONS = new Set(
  [
    'add_header_map_value call_foreign_function clear_route_cache close_stream continue_stream define_metric',
    'dequeue_shared_queue done enqueue_shared_queue get_buffer_bytes get_buffer_status',
    'get_current_time_nanoseconds get_header_map_pairs get_header_map_size get_header_map_value get_log_level',
    'get_metric get_property get_shared_data get_status grpc_call grpc_cancel grpc_close grpc_send grpc_stream',
    'http_call increment_metric log record_metric register_shared_queue remove_header_map_value',
    'replace_header_map_value resolve_shared_queue send_local_response set_buffer_bytes set_effective_context',
    'set_header_map_pairs set_property set_shared_data set_tick_period_milliseconds',
  ]
    .flatMap((line) => line.split(' '))
    .map((name) => `proxy_${name}`),
);
/** Of WASI: these do something; most others exist and fail. */
const WASI_FUNCTIONS = new Set(
  [
    'args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise fd_allocate',
    'fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get',
    'fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read',
    'fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write path_create_directory path_filestat_get',
    'path_filestat_set_times path_link path_open path_readlink path_remove_directory path_rename path_symlink',
    'path_unlink_file poll_oneoff proc_exit proc_raise random_get sched_yield sock_recv sock_send sock_shutdown',
  ].flatMap((line) => line.split(' ')),
);
const WASI_MODULES = new Set(['wasi_snapshot_preview1', 'wasi_unstable']);
const MEMORY = ['proxy_on_memory_allocate', 'malloc'];

/**
 * What keeps Envoy from running a module, one sentence each; empty if nothing does that can be seen.
 *
 * The export rules are those of Envoy's proxy-wasm host, which looks for them when it makes a VM.
 */
export function envoyProblems(info: ModuleInfo): string[] {
  const problems: string[] = [];
  if (info.abi.length === 0) {
    problems.push(
      'it does not export proxy_abi_version_0_2_1, so it is no proxy-wasm module; build it with a proxy-wasm SDK',
    );
  } else if (!info.abi.includes('0.2.1')) {
    problems.push(`it is for proxy-wasm ABI ${info.abi.join(', ')}; build it for 0.2.1`);
  }
  if (!MEMORY.some((name) => info.exports.includes(name)))
    problems.push('it does not export proxy_on_memory_allocate, so Envoy can hand it nothing');
  if (!info.exports.includes('proxy_on_context_create'))
    problems.push('it does not export proxy_on_context_create, so Envoy cannot start a stream in it');
  const strange = info.imports.filter((imported) => !envoyHas(imported));
  for (const { module, name } of strange.slice(0, 5))
    problems.push(`it imports ${module}.${name}, which Envoy does not have`);
  if (strange.length > 5) problems.push(`and ${strange.length - 5} more functions that Envoy does not have`);
  return problems;
}

function envoyHas({ module, name }: ModuleInfo['imports'][number]): boolean {
  if (module === 'env') return HOST_FUNCTIONS.has(name) || name === 'emscripten_notify_memory_growth';
  return WASI_MODULES.has(module) && WASI_FUNCTIONS.has(name);
}

/** What a bridge says of itself, as far as modules need it. */
export interface BridgeOffer {
  version: string;
  /** Version of the session's protocol. */
  protocol: number;
  /** Full names of its services. */
  services: readonly string[];
}

/** What a module needs and a bridge does not have, one sentence each. A module that says nothing needs nothing. */
export function bridgeProblems({ section }: ModuleInfo, bridge: BridgeOffer): string[] {
  if (section === undefined) return [];
  const { name, version, protocol, services } = section;
  const module = `${name} ${version}`;
  if (protocol !== bridge.protocol) {
    return [
      `${module} speaks protocol ${protocol}, the bridge (${bridge.version}) ${bridge.protocol}; take a module and a bridge of the same release`,
    ];
  }
  return services
    .filter((service) => !bridge.services.includes(service))
    .map((service) => {
      const fix = service.startsWith('layotto.bridge.')
        ? 'start a bridge that has it, or take another module'
        : 'add a component of that primitive to layotto.yaml first';
      return `${module} needs ${service}, which the bridge (${bridge.version}) does not have; ${fix}`;
    });
}
