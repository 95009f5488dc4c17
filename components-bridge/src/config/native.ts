import { resolve } from 'node:path';

import * as z from 'zod';

import { NATIVE_ACCESS, readAccess } from './access.js';
import { readCallees } from './callees.js';
import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { emptyDraft } from './draft.js';
import type { Draft, DraftComponent, DraftPrimitive, DraftSecretRef, DraftValue } from './draft.js';
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
import { isPath, OwnPrimitiveError, readOwnPrimitive } from './own-primitive.js';
import { readPolicy } from './policy.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { checkDocument, field, valueAt } from './schema.js';
import { isNativeSecretRef, readNativeSecretRef } from './secret-refs.js';
import { asTarget, isFunctionSlot, isSlotName, parseTrapLimit } from './slots.js';
import { readNativeSubscriptions } from './subscriptions.js';
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

/** The native form, `layotto.yaml`. */
const nativeSchema = z.strictObject({
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
});

/**
 * Reads the native form. Any value may be written `{env: NAME}`, which stands for that environment variable.
 *
 * @param folder the file's folder, against which its relative paths count
 * @param ownPrimitives whether components may have a path as their type
 * @returns what could be read; what could not is among the problems
 */
export function readNative(
  document: ConfigDocument,
  folder: string,
  env: NodeJS.ProcessEnv,
  ownPrimitives: boolean,
  findings: Findings,
): Draft {
  document.value = resolveEnv(document, document.value, [], env, findings);
  const found = checkDocument(document, nativeSchema, findings);
  const draft: Draft = { ...emptyDraft(), lineOf: (path) => document.lineOf(path) };
  const components = readComponents(document, ownPrimitives ? folder : undefined, findings);
  if (components !== undefined) draft.components = components;
  draft.subscriptions = readNativeSubscriptions(document, findings);
  const own = components?.flatMap((component) => component.own ?? []) ?? [];
  const policy = readPolicy(document, findings, operationsOf(own));
  if (policy !== undefined) draft.policy = policy;
  const callees = readCallees(document, findings);
  if (callees !== undefined) draft.callees = callees;
  if (found === undefined) {
    // The scopes of Dapr's files are checked against the id even if something else is wrong here.
    const id = document.textOf(['app', 'id']);
    if (id !== undefined && appIdProblem(id) === undefined) draft.app.id = id;
    return draft;
  }
  draft.app = { ...found.app };
  if (found.apps !== undefined) draft.apps = found.apps;
  draft.listen = { ...found.listen };
  draft.limits = {
    messageBytes: found.limits?.message,
    operations: found.limits?.operations,
    streams: found.limits?.streams,
    bytes: found.limits?.bytes,
    cacheBytes: found.limits?.cache,
    deadlineMs: found.limits?.deadline,
  };
  draft.envoy = { ...found.envoy };
  draft.modules = { ...found.modules };
  if (found.functions) draft.functions = found.functions;
  draft.outbound = found.outbound?.flatMap((one) => one ?? []);
  draft.lifecycle = { ...found.lifecycle };
  draft.tracing = { ...found.tracing };
  if (found.invoke) draft.invoke = { ...found.invoke };
  if (found.mesh) draft.mesh = { ...found.mesh };
  const socket = found.listen?.unixSocket;
  if (socket !== undefined) draft.listen.unixSocket = resolve(folder, socket);
  if (found.dataDir !== undefined) draft.dataDir = resolve(folder, found.dataDir);
  return draft;
}

/** Replaces every `{env: NAME}` by the variable's value. A missing variable is a problem. */
function resolveEnv(
  document: ConfigDocument,
  value: unknown,
  path: PropertyKey[],
  env: NodeJS.ProcessEnv,
  findings: Findings,
): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => resolveEnv(document, item, [...path, index], env, findings));
  if (!isRecord(value)) return value;
  const keys = Object.keys(value);
  const name = value['env'];
  if (keys.length === 1 && typeof name === 'string') {
    const found = env[name];
    if (found === undefined) {
      const message = `expected the environment variable ${name} to be set; set it or write the value here`;
      findings.problem(document.file, document.lineOf(path), keyText(path), message);
    }
    document.hide(path);
    document.setText(path, found ?? '');
    return found;
  }
  for (const key of keys) value[key] = resolveEnv(document, value[key], [...path, key], env, findings);
  return value;
}

function operationsOf(own: readonly DraftPrimitive[]): Record<string, string[]> {
  return Object.fromEntries(
    own.map(({ primitive, own }) => [primitive, own.operations.map(({ name }) => name)]),
  );
}

/** @param folder against which paths count; undefined: there may be none */
function readComponents(
  document: ConfigDocument,
  folder: string | undefined,
  findings: Findings,
): DraftComponent[] | undefined {
  const list = isRecord(document.value) ? document.value['components'] : undefined;
  if (!Array.isArray(list)) return undefined;
  const components: DraftComponent[] = [];
  for (const [index, item] of list.entries()) {
    const path = ['components', index];
    const type = document.textOf([...path, 'type']);
    if (!isRecord(item) || type === undefined || type === '') continue;
    const own = readOwn(document, path, folder, findings);
    if (own === 'wrong') continue;
    const secretRefs: DraftSecretRef[] = [];
    const access =
      item['access'] === undefined || item['access'] === null
        ? undefined
        : readAccess(document, [...path, 'access'], NATIVE_ACCESS, findings);
    const apps = asAppIds(item['apps']);
    components.push({
      name: document.textOf([...path, 'name']) ?? '',
      type,
      version: document.textOf([...path, 'version']) || 'v1',
      form: 'native',
      metadata: readMetadata(document, [...path, 'metadata'], findings, secretRefs),
      secretRefs,
      ...(access === undefined ? {} : { access }),
      ...(own === undefined ? {} : { own }),
      ...(apps === undefined ? {} : { apps }),
      file: document.file,
      line: document.lineOf(path),
      path: keyText(path),
      typePath: keyText([...path, 'type']),
      typeLine: document.lineOf([...path, 'type']),
    });
  }
  return components;
}

/** What a component's type leads to, if it is a path; `wrong` if that cannot be used, which has been reported. */
function readOwn(
  document: ConfigDocument,
  path: readonly PropertyKey[],
  folder: string | undefined,
  findings: Findings,
): DraftPrimitive | 'wrong' | undefined {
  const type = document.textOf([...path, 'type']) ?? '';
  const socket = document.textOf([...path, 'socket']) || undefined;
  const wrong = (key: string, message: string): 'wrong' => {
    findings.problem(document.file, document.lineOf([...path, key]), keyText([...path, key]), message);
    return 'wrong';
  };
  if (!isPath(type)) {
    if (socket === undefined) return undefined;
    return wrong('socket', 'only a component whose type is a path has a socket; remove it');
  }
  if (folder === undefined) {
    return wrong(
      'type',
      'a path is no type where one bridge serves several apps: what it leads to reaches all of them',
    );
  }
  try {
    return readOwnPrimitive(
      resolve(folder, type),
      socket === undefined ? undefined : resolve(folder, socket),
    );
  } catch (error) {
    if (error instanceof OwnPrimitiveError) return wrong('type', error.message);
    throw error;
  }
}

/**
 * Reads a map of metadata as text, numbers and switches as they were written.
 *
 * @param secretRefs gets the values that are kept in secret stores, where the form writes these in their place
 * @returns undefined if there is something else in its place; the caller reports that
 */
export function readMetadata(
  document: ConfigDocument,
  path: readonly PropertyKey[],
  findings: Findings,
  secretRefs?: DraftSecretRef[],
): DraftValue[] | undefined {
  const map = valueAt(document.value, path);
  if (map === undefined || map === null) return [];
  if (!isRecord(map)) return undefined;
  const values: DraftValue[] = [];
  for (const key of Object.keys(map)) {
    const inner = [...path, key];
    if (secretRefs !== undefined && isNativeSecretRef(map[key])) {
      const ref = readNativeSecretRef(document, inner, findings);
      if (ref !== undefined) secretRefs.push(ref);
      continue;
    }
    const missing = map[key] === undefined;
    const value = missing ? undefined : document.textOf(inner);
    const line = document.lineOf(inner);
    if (value === undefined && !missing) {
      const message = `expected text, a number, true or false, found ${describe(map[key])}`;
      findings.problem(document.file, line, keyText(inner), message);
    }
    values.push({ key, value, line, path: keyText(inner), hidden: document.isHidden(inner) });
  }
  return values;
}
