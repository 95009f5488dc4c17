import * as z from 'zod';
import { isRecord } from './document.js';
import { isDnsLabel, isDnsSubdomain, isLabelKey, isLabelValue, LABEL_FORM } from './kubernetes.js';
import {
  appIdProblem,
  asAppIds,
  asCollector,
  asCount,
  asHostName,
  asListenAddress,
  asListenHost,
  asLoopbackAddress,
  asNamespace,
  asPort,
  asShare,
  componentNameProblem,
} from './limits.js';
import { asInvokePattern } from './invoke.js';
import { field } from './schema.js';
import { asTarget, isFunctionSlot, isSlotName, parseTrapLimit } from './slots.js';
import { parseBytes, parseDuration } from './units.js';

const text = field('text (quote it if it looks like a number)', (value) =>
  typeof value === 'string' && value !== '' ? value : undefined,
);
const anyPort = (expected: string) => field(expected, (value) => asPort(value, 0));

function count(lowest: number, highest: number) {
  return field(`a whole number from ${lowest} to ${highest}`, (value) => asCount(value, lowest, highest));
}

function bytes(lowest: number, highest: number, shown: string) {
  return field(`a size ${shown}, such as 4MiB`, (value) => {
    const size = parseBytes(value);
    return size !== undefined && size >= lowest && size <= highest ? size : undefined;
  });
}

const apps = field('a list of app ids, such as [orders, billing]', asAppIds);

const app = z.strictObject({
  id: field(
    'an app id: 1 to 128 visible ASCII characters without "/" and "||", quoted if it looks like a number',
    (value) => (typeof value === 'string' && appIdProblem(value) === undefined ? value : undefined),
  ),
  port: anyPort("the app's port, from 1 to 65535, or 0 for none"),
  protocol: field('http or grpc', (value) => (value === 'http' || value === 'grpc' ? value : undefined)),
  group: field('the number of a group', (value) => asCount(value, 0, 2 ** 32 - 2)),
  namespace: field('the app\'s namespace: at most 63 lower-case letters, digits and "-"', asNamespace),
  tokenFile: text,
});

const listen = z.strictObject({
  host: field('an IP address to listen on, such as 127.0.0.1', asListenHost),
  port: field('a port from 1 to 65535', (value) => asPort(value, 1)),
  unixSocket: text,
  actuator: field('a port, or an IP address and a port such as 0.0.0.0:34999', (value) =>
    asListenAddress(value),
  ),
  proxy: field('a port, or an address of loopback and a port such as 127.0.0.1:15001', asLoopbackAddress),
  inbound: field('a port, or an IP address and a port such as 0.0.0.0:34905', (value) =>
    asListenAddress(value),
  ),
  hosts: field('a list of host names without ports, such as [runtime.local]', (value) => {
    if (!Array.isArray(value)) return undefined;
    const names = value.map(asHostName);
    return names.every((name) => name !== undefined) ? names : undefined;
  }),
});

const MIB = 1024 * 1024;
/** Places for functions, unless the file says otherwise. */
const FUNCTION_SLOTS = 8;

const limits = z.strictObject({
  message: bytes(1024, 64 * MIB, 'from 1KiB to 64MiB'),
  operations: count(1, 1_000_000),
  streams: count(1, 10_000),
  bytes: bytes(64 * 1024, 1024 * MIB, 'from 64KiB to 1GiB'),
  cache: bytes(64 * 1024, 1024 * MIB, 'from 64KiB to 1GiB'),
  deadline: field('a duration from 1ms to 1h with its unit, such as 15s or 500ms', (value) => {
    const milliseconds = parseDuration(value);
    return milliseconds !== undefined && milliseconds >= 1 && milliseconds <= 3_600_000
      ? milliseconds
      : undefined;
  }),
});

const envoy = z.strictObject({
  concurrency: count(1, 128),
  metricsPort: anyPort('a port from 1 to 65535, or 0 for no metrics'),
});

const modules = z.strictObject({
  slots: count(0, 16),
  rollbackOnTrap: field('a number of traps and a time, such as "3 in 60s"', parseTrapLimit),
});

const functionFields = z.strictObject({
  listen: field('a port, or an IP address and a port such as 127.0.0.1:2045', (value) =>
    asListenAddress(value),
  ),
  slots: count(1, 64),
});

const functions = functionFields.transform(({ listen, slots }, context) => {
  if (listen !== undefined) return { listen, slots: slots ?? FUNCTION_SLOTS };
  context.issues.push({ code: 'custom', message: 'expected listen, the port of functions', input: listen });
  return undefined;
});

const outboundFields = z.strictObject({
  name: field(
    'a name of small letters, digits and dashes that begins with a letter, such as orders',
    (value) =>
      typeof value === 'string' &&
      /^[a-z][a-z0-9-]{0,62}$/.test(value) &&
      !isSlotName(value) &&
      !isFunctionSlot(value)
        ? value
        : undefined,
  ),
  listen: field('a port, or an IP address and a port such as 127.0.0.1:2046', (value) =>
    asListenAddress(value),
  ),
  to: field('where the calls go, as HOST:PORT, such as orders.example:80', asTarget),
});

const outbound = outboundFields.transform(({ name, listen, to }, context) => {
  if (name !== undefined && listen !== undefined && to !== undefined) return { name, listen, to };
  context.issues.push({
    code: 'custom',
    message: 'expected a name, listen and to',
    input: { name, listen, to },
  });
  return undefined;
});

const lifecycle = z.strictObject({
  apply: field('true or false', (value) => (typeof value === 'boolean' ? value : undefined)),
});

const tracing = z.strictObject({
  otlp: field(
    "a collector's address as http://HOST:PORT, such as http://127.0.0.1:4318, without /v1/traces",
    asCollector,
  ),
  sampling: field('a number from 0 (no new traces) to 1 (all)', asShare),
});

const invoke = z.strictObject({
  pattern: field(
    'a cluster such as outbound|{port}||{app}.{namespace}.svc.cluster.local, or a host and port such as {app}.internal:8080, with {app} in it',
    asInvokePattern,
  ),
  port: field('a port from 1 to 65535', (value) => asPort(value, 1)),
});

const name = (what: string, fine: (value: string) => boolean) =>
  field(`${what}: lower-case letters, digits and "-"`, (value) =>
    typeof value === 'string' && fine(value) ? value : undefined,
  );

const mesh = z.strictObject({
  name: name('a Kubernetes name', isDnsSubdomain),
  namespace: name('a Kubernetes namespace', isDnsLabel),
  selector: field(
    `labels of the pods as a map of texts, such as { app: shop }; names and values have ${LABEL_FORM}`,
    (value) => {
      if (!isRecord(value) || Object.keys(value).length === 0) return undefined;
      const fine = Object.entries(value).every(
        ([key, label]) => isLabelKey(key) && typeof label === 'string' && isLabelValue(label),
      );
      return fine ? (value as Record<string, string>) : undefined;
    },
  ),
});

const component = z.strictObject({
  name: z.unknown().transform((value, context) => {
    const wrong = typeof value === 'string' ? componentNameProblem(value) : 'expected a name (text)';
    if (wrong !== undefined) context.issues.push({ code: 'custom', message: wrong, input: value });
    return String(value);
  }),
  type: z.string('expected a component type (text), such as state.redis'),
  socket: text,
  version: text,
  metadata: field('a map of settings', (value) => (isRecord(value) ? value : undefined)),
  apps,
  // Read by itself, because that says more of what is wrong with it.
  access: z.unknown().optional(),
});

/** The native form, `layotto.yaml`: its keys, and what each may hold. */
export const nativeSchema = z.strictObject({
  app: app.nullish(),
  apps,
  listen: listen.nullish(),
  dataDir: text,
  limits: limits.nullish(),
  envoy: envoy.nullish(),
  modules: modules.nullish(),
  functions: functions.nullish(),
  outbound: z.array(outbound).max(64).nullish(),
  lifecycle: lifecycle.nullish(),
  tracing: tracing.nullish(),
  // Read by itself, because that says more of what is wrong with it.
  callees: z.unknown().optional(),
  invoke: invoke.nullish(),
  // Read by itself, because that says more of what is wrong with it.
  policy: z.unknown().optional(),
  mesh: mesh.nullish(),
  components: z.array(component).nullish(),
  // As the policy.
  subscriptions: z.unknown().optional(),
  schedules: z.unknown().optional(),
});
