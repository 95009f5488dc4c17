import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import * as os from 'node:os';
import { basename, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { Secrets } from '../../components-bridge/src/telemetry/secrets.js';
import { EXTENSION_FILE, extensionFolder } from '../../envoy/bootstrap.js';
import { bootstrapFile, bridgeLog, envoyLog } from './data-files.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';
import { Running, RUNNING_OPTIONS } from './running.js';
import { statusOf } from './status.js';
import { tar } from './tar.js';

/** What `layotto debug bundle` understands. */
export const BUNDLE_OPTIONS: readonly Option[] = [
  ...RUNNING_OPTIONS,
  { name: 'output', short: 'o', value: 'FILE', help: 'archive to write (layotto-debug-TIME.tgz)' },
];

/** How much of the end of each log is taken. */
const LOG_BYTES = 4 * 1024 * 1024;

/** What is asked of Envoy's admin interface, by the name of the file it goes to. */
const ENVOY_PAGES = {
  'envoy-server-info.json': '/server_info',
  'envoy-config-dump.json': '/config_dump',
  'envoy-clusters.txt': '/clusters',
  'envoy-listeners.txt': '/listeners',
  'envoy-stats.txt': '/stats',
} as const;

/** Metadata that can be shown as it is: addresses, and what cannot be a secret by its form. */
const SHOWN_KEY = /^(redisHosts?|redisPort|redisType|sentinelMasterName|keyPrefix|path|endpoints|address)$/i;
const SHOWN_VALUE = /^(true|false|\d{1,6}(\.\d+)?(ms|s|m|h|KiB|MiB|GiB)?)$/i;
const SECRET_KEY = /pass|secret|token|credential|key$/i;

const REDACTED = '[redacted]';

/**
 * `layotto debug bundle`: everything that helps to find out what a running runtime does, in one archive. Secrets are
 * left out: of the components' metadata only what cannot be one is shown, of the headers of places of the web none, and
 * what is not shown is taken out of every other file as well.
 *
 * @throws UserError if nothing runs in the data folder
 */
export async function debugBundle(values: Values): Promise<number> {
  const running = Running.find(values);
  const at = new Date();
  const output = resolve(
    text(values, 'output') ?? `layotto-debug-${at.toISOString().replace(/[:.]/g, '-')}.tgz`,
  );
  const files = await collect(running);
  writeFileSync(output, gzipSync(tar(files, at)), { mode: 0o600 });
  console.log(`${output}: ${files.size} files. Look at what it holds before you give it to anybody.`);
  return 0;
}

async function collect(running: Running): Promise<Map<string, string>> {
  const { dataDir } = running;
  const secrets = new Secrets();
  secrets.addComponents(running.config.components);
  secrets.add(process.env['DAPR_API_TOKEN'] ?? '');
  const config = shown(running.config, secrets);
  const files = new Map<string, string>();
  const add = (name: string, content: string | undefined): void => {
    files.set(name, secrets.redact(content ?? 'no answer\n'));
  };
  add('configuration.json', JSON.stringify(config, null, 2));
  add('status.json', JSON.stringify(await statusOf(running), null, 2));
  add('host.json', JSON.stringify(host(dataDir), null, 2));
  add('bridge-health.json', await running.bridge('/health'));
  add('bridge-metrics.txt', await running.bridge('/metrics'));
  for (const [name, path] of Object.entries(ENVOY_PAGES)) add(name, await running.envoy(path));
  for (const file of [bridgeLog(dataDir), envoyLog(dataDir)]) add(basename(file), tail(file));
  const folder = extensionFolder(dataDir);
  for (const file of [bootstrapFile(folder), join(folder, EXTENSION_FILE)])
    add(`envoy-${basename(file)}`, tail(file));
  return files;
}

/** The configuration with what may be shown of metadata and headers; what may not is learnt as a secret. */
function shown(config: RuntimeConfig, secrets: Secrets): RuntimeConfig {
  const components = config.components.map((component) => {
    const metadata: Record<string, string> = {};
    for (const [key, value] of Object.entries(component.metadata)) {
      const plain = !SECRET_KEY.test(key) || /^keyPrefix$/i.test(key);
      const safe = plain && (SHOWN_KEY.test(key) || SHOWN_VALUE.test(value));
      if (!safe) secrets.add(value);
      metadata[key] = safe ? value : REDACTED;
    }
    return { ...component, metadata };
  });
  const callees = Object.entries(config.callees ?? {}).map(([name, callee]) => {
    const { endpoint } = callee;
    if (endpoint === undefined) return [name, callee] as const;
    const headers: Record<string, string> = {};
    for (const [header, value] of Object.entries(endpoint.headers)) {
      secrets.add(value);
      // As Envoy's configuration has it, where % begins a variable.
      secrets.add(value.replaceAll('%', '%%'));
      headers[header] = REDACTED;
    }
    return [name, { ...callee, endpoint: { ...endpoint, headers } }] as const;
  });
  return { ...config, components, ...(config.callees && { callees: Object.fromEntries(callees) }) };
}

function host(dataDir: string): object {
  return {
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    cpus: os.cpus().length,
    memoryBytes: { total: os.totalmem(), free: os.freemem() },
    loadAverage: os.loadavg(),
    uptimeSeconds: os.uptime(),
    dataDir: readdirSync(dataDir).map((name) => {
      const { size, mode, mtime } = statSync(join(dataDir, name));
      return { name, bytes: size, mode: (mode & 0o7777).toString(8), changed: mtime };
    }),
  };
}

/** The end of a file; undefined if it cannot be read. */
function tail(path: string): string | undefined {
  try {
    const bytes = readFileSync(path);
    return bytes.subarray(Math.max(0, bytes.length - LOG_BYTES)).toString('utf8');
  } catch {
    return undefined;
  }
}
