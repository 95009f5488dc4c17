import { CONFIG_OPTIONS } from './config-options.js';
import { UsageError, UserError } from './errors.js';
import { describeOptions, parseArguments } from './options.js';
import type { Option, Values } from './options.js';
import { RUNNING_OPTIONS } from './running.js';

/** What a command understands and does. Loaded only for the command that is meant: all of them together take long. */
interface Action {
  options: readonly Option[];
  /** @param words the operands, or what follows the dashes */
  run: (values: Values, words: readonly string[]) => Promise<number>;
}

interface Command {
  /** The words that call it, and what may follow them. */
  usage: string;
  summary: string;
  /** Words that it takes beside its options; one in brackets may be left out. */
  operands?: readonly string[];
  /** Whether `-- COMMAND …` may follow. */
  takesCommand?: boolean;
  load: () => Promise<Action>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    usage: 'run [options] [-- COMMAND …]',
    summary: 'start the runtime, and COMMAND beside it',
    takesCommand: true,
    load: () => import('./run.js').then((of) => ({ options: of.RUN_OPTIONS, run: of.run })),
  },
  check: {
    usage: 'check [options]',
    summary: 'say everything that is wrong with a configuration',
    load: () =>
      import('./check.js').then((of) => ({
        options: [...CONFIG_OPTIONS, ...of.CHECK_OPTIONS],
        run: of.check,
      })),
  },
  bridge: {
    usage: 'bridge [options]',
    summary: 'run the bridge alone, for an Envoy that runs elsewhere',
    load: () => import('./bridge.js').then((of) => ({ options: of.BRIDGE_OPTIONS, run: of.bridge })),
  },
  'envoy bootstrap': {
    usage: 'envoy bootstrap [options]',
    summary: 'print the configuration of a standalone Envoy',
    load: () =>
      import('./envoy.js').then((of) => ({
        options: [...CONFIG_OPTIONS, ...of.BOOTSTRAP_OPTIONS],
        run: of.bootstrap,
      })),
  },
  'envoy envoyfilter': {
    usage: 'envoy envoyfilter [options]',
    summary: 'print the EnvoyFilter for the sidecars of a mesh',
    load: () =>
      import('./mesh.js').then((of) => ({
        options: [...CONFIG_OPTIONS, ...of.ENVOYFILTER_OPTIONS],
        run: of.envoyfilter,
      })),
  },
  'envoy slot': {
    usage: 'envoy slot --slot SLOT [options]',
    summary: 'print the resource that puts a module or a function into a slot there',
    load: () =>
      import('./mesh-slot.js').then((of) => ({
        options: [...CONFIG_OPTIONS, ...of.SLOT_OPTIONS],
        run: of.slot,
      })),
  },
  'envoy trafficextension': {
    usage: 'envoy trafficextension [options]',
    summary: 'print the same as TrafficExtensions and services (Istio 1.30 or newer)',
    load: () =>
      import('./mesh.js').then((of) => ({
        options: [...CONFIG_OPTIONS, ...of.TRAFFICEXTENSION_OPTIONS],
        run: of.trafficextension,
      })),
  },
  'envoy wasmplugin': {
    usage: 'envoy wasmplugin [options]',
    summary: 'print the same as a WasmPlugin and what it needs beside it',
    load: () =>
      import('./mesh.js').then((of) => ({
        options: [...CONFIG_OPTIONS, ...of.MESH_OPTIONS],
        run: of.wasmplugin,
      })),
  },
  'envoy manifests': {
    usage: 'envoy manifests --form FORM [options]',
    summary: 'print what runs the bridge in a cluster',
    load: () => import('./manifests.js').then((of) => ({ options: of.MANIFESTS_OPTIONS, run: of.manifests })),
  },
  status: {
    usage: 'status [options]',
    summary: 'how a running runtime does; exits with 1 if something needs a look',
    load: () => import('./status.js').then((of) => ({ options: of.STATUS_OPTIONS, run: of.status })),
  },
  'module push': {
    usage: 'module push [options] FILE',
    summary: 'put a module into a running runtime, while it serves',
    operands: ['FILE'],
    load: () =>
      import('./module-commands.js').then((of) => ({ options: of.MODULE_PUSH_OPTIONS, run: of.modulePush })),
  },
  'module list': {
    usage: 'module list [options]',
    summary: 'print which modules a running runtime has, and had before',
    load: () =>
      import('./module-commands.js').then((of) => ({ options: of.MODULE_LIST_OPTIONS, run: of.moduleList })),
  },
  'module rollback': {
    usage: 'module rollback [options] [SLOT]',
    summary: 'have the module serve again that served before the last push',
    operands: ['[SLOT]'],
    load: () =>
      import('./module-commands.js').then((of) => ({ options: RUNNING_OPTIONS, run: of.moduleRollback })),
  },
  'module remove': {
    usage: 'module remove [options] SLOT',
    summary: 'take every pushed module out of a slot',
    operands: ['SLOT'],
    load: () =>
      import('./module-commands.js').then((of) => ({ options: RUNNING_OPTIONS, run: of.moduleRemove })),
  },
  'module inspect': {
    usage: 'module inspect [options] FILE',
    summary: 'print what a module is, of a file or of a folder in OCI layout',
    operands: ['FILE'],
    load: () =>
      import('./module-inspect.js').then((of) => ({
        options: of.MODULE_INSPECT_OPTIONS,
        run: of.moduleInspect,
      })),
  },
  'new primitive': {
    usage: 'new primitive [options] NAME',
    summary:
      "write a primitive of one's own that works, to be changed: filter, .proto file, bridge, and their tests",
    operands: ['NAME'],
    load: () =>
      import('./primitive-new.js').then((of) => ({
        options: of.NEW_PRIMITIVE_OPTIONS,
        run: of.newPrimitive,
      })),
  },
  'new function': {
    usage: 'new function [options] NAME',
    summary: 'write a function that works, to be changed, and its test',
    operands: ['NAME'],
    load: () =>
      import('./function-new.js').then((of) => ({ options: of.NEW_FUNCTION_OPTIONS, run: of.newFunction })),
  },
  'function build': {
    usage: 'function build [options] FILE.ts',
    summary: 'compile a function to a module',
    operands: ['FILE.ts'],
    load: () =>
      import('./function-commands.js').then((of) => ({
        options: of.FUNCTION_BUILD_OPTIONS,
        run: of.functionBuild,
      })),
  },
  'function test': {
    usage: 'function test FOLDER',
    summary: "run a function's tests, in a runtime with a real Envoy",
    operands: ['FOLDER'],
    load: () => import('./function-new.js').then((of) => ({ options: [], run: of.functionTest })),
  },
  'function push': {
    usage: 'function push [options] --id ID FILE.wasm',
    summary: 'put a function into a running runtime, while it serves',
    operands: ['FILE.wasm'],
    load: () =>
      import('./function-commands.js').then((of) => ({
        options: of.FUNCTION_PUSH_OPTIONS,
        run: of.functionPush,
      })),
  },
  'function list': {
    usage: 'function list [options]',
    summary: 'print which functions a running runtime has, and had before',
    load: () =>
      import('./function-commands.js').then((of) => ({
        options: of.FUNCTION_LIST_OPTIONS,
        run: of.functionList,
      })),
  },
  'function rollback': {
    usage: 'function rollback [options] ID',
    summary: 'have the version of a function serve again that served before',
    operands: ['ID'],
    load: () =>
      import('./function-commands.js').then((of) => ({ options: RUNNING_OPTIONS, run: of.functionRollback })),
  },
  'function remove': {
    usage: 'function remove [options] ID',
    summary: 'take a function out of a running runtime',
    operands: ['ID'],
    load: () =>
      import('./function-commands.js').then((of) => ({ options: RUNNING_OPTIONS, run: of.functionRemove })),
  },
  'primitive build': {
    usage: 'primitive build FOLDER',
    summary: "build a primitive of one's own: its module, and what its bridge half needs",
    operands: ['FOLDER'],
    load: () => import('./primitive-build.js').then((of) => ({ options: [], run: of.primitiveBuild })),
  },
  'primitive test': {
    usage: 'primitive test FOLDER',
    summary: 'build it, and run the tests in its folders',
    operands: ['FOLDER'],
    load: () => import('./primitive-test.js').then((of) => ({ options: [], run: of.primitiveTest })),
  },
  'debug bundle': {
    usage: 'debug bundle [options]',
    summary: 'put what support needs of a running runtime into one archive, without secrets',
    load: () =>
      import('./debug-bundle.js').then((of) => ({ options: of.BUNDLE_OPTIONS, run: of.debugBundle })),
  },
  version: {
    usage: 'version',
    summary: 'print the versions of everything',
    load: () => import('./version.js').then((of) => ({ options: [], run: of.version })),
  },
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const message = error instanceof UsageError ? `${error.message} (see layotto --help)` : error.message;
    for (const line of message.split('\n')) console.error(/^(\s|$)/.test(line) ? line : `layotto: ${line}`);
    return error.exitCode;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [first = '--help', second = ''] = args;
  if (first === '--help' || first === '-h' || first === 'help') return overview();
  if (first === '--version') return (await import('./version.js')).version();
  const name = Object.keys(COMMANDS).find((words) => words === first || words === `${first} ${second}`);
  const command = name === undefined ? undefined : COMMANDS[name];
  if (name === undefined || command === undefined) {
    const group = Object.keys(COMMANDS).some((words) => words.startsWith(`${first} `));
    if (group && ['', '--help', '-h'].includes(second)) return overview(first);
    throw new UsageError(`there is no command '${group ? `${first} ${second}` : first}'`);
  }
  const rest = args.slice(name.split(' ').length);
  const dashes = command.takesCommand ? rest.indexOf('--') : -1;
  const own = dashes < 0 ? rest : rest.slice(0, dashes);
  const hint = command.takesCommand ? '; the command to run goes after --' : '';
  const { options, run } = await command.load();
  const { values, words } = parseArguments(own, options, { ...command, hint });
  if (values.help === true) return help(command, options);
  const app = dashes < 0 ? [] : rest.slice(dashes + 1);
  if (dashes >= 0 && app.length === 0) throw new UsageError('a command must follow --');
  return run(values, command.takesCommand ? app : words);
}

function overview(prefix = ''): number {
  const commands = Object.values(COMMANDS).filter(({ usage }) =>
    usage.startsWith(prefix === '' ? '' : `${prefix} `),
  );
  const width = Math.max(...commands.map(({ usage }) => usage.length));
  const words = prefix === '' ? 'COMMAND' : `${prefix} COMMAND`;
  console.log(`Usage: layotto ${words} [options]\n\nCommands:`);
  for (const { usage, summary } of commands) console.log(`  ${usage.padEnd(width)}  ${summary}`);
  console.log(`\n'layotto ${words} --help' prints a command's options.`);
  return 0;
}

function help({ usage, summary }: Command, options: readonly Option[]): number {
  console.log(`Usage: layotto ${usage}\n\n${summary[0]?.toUpperCase()}${summary.slice(1)}.\n`);
  console.log(`Options:\n${describeOptions(options)}`);
  return 0;
}
