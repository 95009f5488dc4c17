import { BRIDGE_OPTIONS, bridge } from './bridge.js';
import { CHECK_OPTIONS, check } from './check.js';
import { BUNDLE_OPTIONS, debugBundle } from './debug-bundle.js';
import { CONFIG_OPTIONS } from './config-options.js';
import { BOOTSTRAP_OPTIONS, bootstrap } from './envoy.js';
import { UsageError, UserError } from './errors.js';
import {
  FUNCTION_BUILD_OPTIONS,
  FUNCTION_LIST_OPTIONS,
  FUNCTION_PUSH_OPTIONS,
  functionBuild,
  functionList,
  functionPush,
  functionRemove,
  functionRollback,
} from './function-commands.js';
import { functionTest, NEW_FUNCTION_OPTIONS, newFunction } from './function-new.js';
import { MANIFESTS_OPTIONS, manifests } from './manifests.js';
import {
  MODULE_LIST_OPTIONS,
  MODULE_PUSH_OPTIONS,
  moduleList,
  modulePush,
  moduleRemove,
  moduleRollback,
} from './module-commands.js';
import { MODULE_INSPECT_OPTIONS, moduleInspect } from './module-inspect.js';
import { ENVOYFILTER_OPTIONS, MESH_OPTIONS, envoyfilter, trafficextension, wasmplugin } from './mesh.js';
import { describeOptions, parseArguments } from './options.js';
import type { Option, Values } from './options.js';
import { primitiveBuild } from './primitive-build.js';
import { NEW_PRIMITIVE_OPTIONS, newPrimitive } from './primitive-new.js';
import { primitiveTest } from './primitive-test.js';
import { RUN_OPTIONS, run } from './run.js';
import { RUNNING_OPTIONS } from './running.js';
import { STATUS_OPTIONS, status } from './status.js';
import { version } from './version.js';

interface Command {
  /** The words that call it, and what may follow them. */
  usage: string;
  summary: string;
  options: readonly Option[];
  /** Words that it takes beside its options; one in brackets may be left out. */
  operands?: readonly string[];
  /** Whether `-- COMMAND …` may follow. */
  takesCommand?: boolean;
  /** @param words the operands, or what follows the dashes */
  run: (values: Values, words: readonly string[]) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    usage: 'run [options] [-- COMMAND …]',
    summary: 'start the runtime, and COMMAND beside it',
    options: RUN_OPTIONS,
    takesCommand: true,
    run,
  },
  check: {
    usage: 'check [options]',
    summary: 'say everything that is wrong with a configuration',
    options: [...CONFIG_OPTIONS, ...CHECK_OPTIONS],
    run: check,
  },
  bridge: {
    usage: 'bridge [options]',
    summary: 'run the bridge alone, for an Envoy that runs elsewhere',
    options: BRIDGE_OPTIONS,
    run: bridge,
  },
  'envoy bootstrap': {
    usage: 'envoy bootstrap [options]',
    summary: 'print the configuration of a standalone Envoy',
    options: [...CONFIG_OPTIONS, ...BOOTSTRAP_OPTIONS],
    run: bootstrap,
  },
  'envoy envoyfilter': {
    usage: 'envoy envoyfilter [options]',
    summary: 'print the EnvoyFilter for the sidecars of a mesh',
    options: [...CONFIG_OPTIONS, ...ENVOYFILTER_OPTIONS],
    run: envoyfilter,
  },
  'envoy trafficextension': {
    usage: 'envoy trafficextension [options]',
    summary: 'print the same as TrafficExtensions and services (Istio 1.30 or newer)',
    options: [...CONFIG_OPTIONS, ...MESH_OPTIONS],
    run: trafficextension,
  },
  'envoy wasmplugin': {
    usage: 'envoy wasmplugin [options]',
    summary: 'print the same as a WasmPlugin and what it needs beside it',
    options: [...CONFIG_OPTIONS, ...MESH_OPTIONS],
    run: wasmplugin,
  },
  'envoy manifests': {
    usage: 'envoy manifests --form FORM [options]',
    summary: 'print what runs the bridge in a cluster',
    options: MANIFESTS_OPTIONS,
    run: manifests,
  },
  status: {
    usage: 'status [options]',
    summary: 'how a running runtime does; exits with 1 if something needs a look',
    options: STATUS_OPTIONS,
    run: status,
  },
  'module push': {
    usage: 'module push [options] FILE',
    summary: 'put a module into a running runtime, while it serves',
    options: MODULE_PUSH_OPTIONS,
    operands: ['FILE'],
    run: modulePush,
  },
  'module list': {
    usage: 'module list [options]',
    summary: 'print which modules a running runtime has, and had before',
    options: MODULE_LIST_OPTIONS,
    run: moduleList,
  },
  'module rollback': {
    usage: 'module rollback [options] [SLOT]',
    summary: 'have the module serve again that served before the last push',
    options: RUNNING_OPTIONS,
    operands: ['[SLOT]'],
    run: moduleRollback,
  },
  'module remove': {
    usage: 'module remove [options] SLOT',
    summary: 'take every pushed module out of a slot',
    options: RUNNING_OPTIONS,
    operands: ['SLOT'],
    run: moduleRemove,
  },
  'module inspect': {
    usage: 'module inspect [options] FILE',
    summary: 'print what a module is, of a file or of a folder in OCI layout',
    options: MODULE_INSPECT_OPTIONS,
    operands: ['FILE'],
    run: moduleInspect,
  },
  'new primitive': {
    usage: 'new primitive [options] NAME',
    summary:
      "write a primitive of one's own that works, to be changed: filter, .proto file, bridge, and their tests",
    options: NEW_PRIMITIVE_OPTIONS,
    operands: ['NAME'],
    run: newPrimitive,
  },
  'new function': {
    usage: 'new function [options] NAME',
    summary: 'write a function that works, to be changed, and its test',
    options: NEW_FUNCTION_OPTIONS,
    operands: ['NAME'],
    run: newFunction,
  },
  'function build': {
    usage: 'function build [options] FILE.ts',
    summary: 'compile a function to a module',
    options: FUNCTION_BUILD_OPTIONS,
    operands: ['FILE.ts'],
    run: functionBuild,
  },
  'function test': {
    usage: 'function test FOLDER',
    summary: "run a function's tests, in a runtime with a real Envoy",
    options: [],
    operands: ['FOLDER'],
    run: functionTest,
  },
  'function push': {
    usage: 'function push [options] --id ID FILE.wasm',
    summary: 'put a function into a running runtime, while it serves',
    options: FUNCTION_PUSH_OPTIONS,
    operands: ['FILE.wasm'],
    run: functionPush,
  },
  'function list': {
    usage: 'function list [options]',
    summary: 'print which functions a running runtime has, and had before',
    options: FUNCTION_LIST_OPTIONS,
    run: functionList,
  },
  'function rollback': {
    usage: 'function rollback [options] ID',
    summary: 'have the version of a function serve again that served before',
    options: RUNNING_OPTIONS,
    operands: ['ID'],
    run: functionRollback,
  },
  'function remove': {
    usage: 'function remove [options] ID',
    summary: 'take a function out of a running runtime',
    options: RUNNING_OPTIONS,
    operands: ['ID'],
    run: functionRemove,
  },
  'primitive build': {
    usage: 'primitive build FOLDER',
    summary: "build a primitive of one's own: its module, and what its bridge half needs",
    options: [],
    operands: ['FOLDER'],
    run: primitiveBuild,
  },
  'primitive test': {
    usage: 'primitive test FOLDER',
    summary: 'build it, and run the tests in its folders',
    options: [],
    operands: ['FOLDER'],
    run: primitiveTest,
  },
  'debug bundle': {
    usage: 'debug bundle [options]',
    summary: 'put what support needs of a running runtime into one archive, without secrets',
    options: BUNDLE_OPTIONS,
    run: debugBundle,
  },
  version: { usage: 'version', summary: 'print the versions of everything', options: [], run: version },
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const message = error instanceof UsageError ? `${error.message} (see layotto --help)` : error.message;
    for (const line of message.split('\n')) console.error(/^\s/.test(line) ? line : `layotto: ${line}`);
    return error.exitCode;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [first = '--help', second = ''] = args;
  if (first === '--help' || first === '-h' || first === 'help') return overview();
  if (first === '--version') return version();
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
  const { values, words } = parseArguments(own, command.options, { ...command, hint });
  if (values.help === true) return help(command);
  const app = dashes < 0 ? [] : rest.slice(dashes + 1);
  if (dashes >= 0 && app.length === 0) throw new UsageError('a command must follow --');
  return command.run(values, command.takesCommand ? app : words);
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

function help({ usage, summary, options }: Command): number {
  console.log(`Usage: layotto ${usage}\n\n${summary[0]?.toUpperCase()}${summary.slice(1)}.\n`);
  console.log(`Options:\n${describeOptions(options)}`);
  return 0;
}
