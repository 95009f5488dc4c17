import { resolve } from 'node:path';
import { NATIVE_ACCESS, readAccess } from './access.js';
import { readCallees } from './callees.js';
import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { emptyDraft } from './draft.js';
import type { Draft, DraftComponent, DraftPrimitive, DraftSecretRef, DraftValue } from './draft.js';
import { appIdProblem, asAppIds } from './limits.js';
import { isPath, OwnPrimitiveError, readOwnPrimitive } from './own-primitive.js';
import { nativeSchema } from './native-schema.js';
import { readPolicy } from './policy.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { checkDocument, valueAt } from './schema.js';
import { readSchedules } from './schedules.js';
import { isNativeSecretRef, readNativeSecretRef } from './secret-refs.js';
import { readNativeSubscriptions } from './subscriptions.js';

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
  draft.schedules = readSchedules(document, findings);
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
  const { tokenFile, ...app } = found.app ?? {};
  draft.app = app;
  if (tokenFile !== undefined) draft.appTokenFile = resolve(folder, tokenFile);
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
