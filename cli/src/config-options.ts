import type { Notice, RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { UserError } from './errors.js';
import { text, wholeNumber } from './options.js';
import type { Option, Values } from './options.js';

/** Options that say which configuration is meant; the same for every command that reads one. */
export const CONFIG_OPTIONS: readonly Option[] = [
  {
    name: 'config',
    short: 'c',
    value: 'FILE',
    help: "layotto.yaml, or Layotto's JSON; without it the built-in default",
  },
  { name: 'resources-path', value: 'DIR', help: 'folder of Dapr component files' },
  { name: 'app-id', value: 'ID', help: "the app's id (app)" },
  { name: 'app-port', value: 'N', help: 'port the app serves on' },
  { name: 'port', value: 'N', help: 'port the runtime listens on (34904)' },
  { name: 'data-dir', value: 'DIR', help: 'folder for data, sockets and logs (./.layotto)' },
];

/** Everything found in a configuration; `config` only if there is no problem. */
export interface Checked {
  config?: RuntimeConfig;
  /** One line each: file, line, key, what was expected. */
  problems: string[];
  /** One line each: what was left out on purpose. */
  notices: string[];
}

/** Reads and checks the configuration that the options name. */
export async function checkConfig(values: Values): Promise<Checked> {
  // Loaded only where a configuration is read: both take long, and the bridge's command has its own.
  const { formatProblem, loadConfig } = await import('../../components-bridge/src/config/index.js');
  const { catalog } = await import('../../components-bridge/src/catalog.js');
  const result = await loadConfig({
    catalog,
    file: text(values, 'config'),
    resourcesPath: text(values, 'resources-path'),
    appId: text(values, 'app-id'),
    appPort: wholeNumber(values, 'app-port'),
    port: wholeNumber(values, 'port'),
    dataDir: text(values, 'data-dir'),
  });
  const notices = result.notices.map((notice: Notice) => formatProblem(notice));
  if ('config' in result) return { config: result.config, problems: [], notices };
  return { problems: result.problems.map(formatProblem), notices };
}

/**
 * Reads the configuration for a command that needs one.
 *
 * @throws UserError with every problem, a line each
 */
export async function readConfig(values: Values): Promise<{ config: RuntimeConfig; notices: string[] }> {
  const { config, problems, notices } = await checkConfig(values);
  if (config === undefined) throw new UserError(problems.join('\n'));
  return { config, notices };
}
