import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { isRecord, parseText, readError, readText } from '../config/document.js';
import { asAppIds } from '../config/limits.js';
import { Findings, formatProblem } from '../config/problems.js';
import { signature } from '../config/watch.js';

/** Where a node's bridge learns of its apps. */
export interface AppSources {
  /** A folder with a file or a folder for each app. */
  apps?: string | undefined;
  /** A layotto.yaml for the apps that it lists under `apps`. */
  config?: string | undefined;
  /** Folder of Dapr component files for every app, as their scopes say. */
  resourcesPath?: string | undefined;
}

/** An app, and what it is configured by. */
export interface AppSource {
  /** What its folders and labels are called. Unique on the node. */
  name: string;
  /** Its configuration file; undefined if it has Dapr's component files only. */
  file?: string;
  /** Folders of component files. */
  resources: string[];
  /** The app's id is chosen by this, and not by the file. */
  appId?: string;
}

/** Every app that was found, and what was wrong while looking. */
export interface FoundApps {
  apps: AppSource[];
  problems: string[];
  /** False if a source could not be read: then an app that was not found may still be there. */
  complete: boolean;
}

/** Apps on one node, at most: each has listeners, connections and memory of its own. */
const MOST_APPS = 256;

/** What an app's folder may be called: also what Kubernetes calls things, and never a path. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

const CONFIG_FILE = /^layotto\.(?:ya?ml|json)$/i;
const RESOURCE_FILE = /\.ya?ml$/i;

/** Looks for apps. What is wrong with one keeps none of the others from being found. */
export async function findApps(sources: AppSources): Promise<FoundApps> {
  const found: FoundApps = { apps: [], problems: [], complete: true };
  const shared = sources.resourcesPath === undefined ? [] : [sources.resourcesPath];
  if (sources.config !== undefined) await listed(sources.config, shared, found);
  if (sources.apps !== undefined) await inFolder(sources.apps, shared, found);
  const surplus = found.apps.splice(MOST_APPS);
  if (surplus.length > 0)
    found.problems.push(`a node serves at most ${MOST_APPS} apps; ${surplus.length} more are left out`);
  return found;
}

/** Changes whenever an app's configuration does. */
export function appSignature({ file, resources }: AppSource): Promise<string> {
  return signature({ file, resourcesPath: resources });
}

/** The apps that a file lists, each with the whole file, of which it takes what is meant for it. */
async function listed(file: string, resources: string[], found: FoundApps): Promise<void> {
  const findings = new Findings();
  const text = await readText(resolve(file), file, findings);
  const [document] = text === undefined ? [] : parseText(text, file, findings);
  found.problems.push(...findings.problems.map(formatProblem));
  if (document === undefined) {
    found.complete = false;
    return;
  }
  const ids = isRecord(document.value) ? asAppIds(document.value['apps']) : undefined;
  if (ids === undefined) {
    found.complete = false;
    found.problems.push(
      `${file}: apps: expected a list of the app ids that it is for, such as [orders, billing]`,
    );
    return;
  }
  for (const id of ids) add({ name: id, appId: id, file, resources }, file, found);
}

async function inFolder(folder: string, shared: readonly string[], found: FoundApps): Promise<void> {
  let names: string[];
  try {
    // A mounted ConfigMap has names with a dot in front for its own business.
    names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    found.complete = false;
    found.problems.push(`${folder}: ${readError(error)}`);
    return;
  }
  for (const entry of names) {
    const path = join(folder, entry);
    const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() === true;
    if (isFolder) await appFolder(entry, path, shared, found);
    else if (/\.(?:ya?ml|json)$/i.test(entry)) {
      const name = entry.replace(/\.[^.]*$/, '');
      add({ name, file: path, resources: [...shared] }, path, found);
    }
  }
}

async function appFolder(
  name: string,
  path: string,
  shared: readonly string[],
  found: FoundApps,
): Promise<void> {
  const files = await readdir(path).catch(() => []);
  const [config, second] = files.filter((file) => CONFIG_FILE.test(file)).sort();
  if (second !== undefined) {
    found.problems.push(`${path}: expected one configuration, found ${config} and ${second}; keep one`);
    return;
  }
  const hasResources = files.some((file) => RESOURCE_FILE.test(file) && file !== config);
  const app: AppSource = { name, resources: hasResources ? [...shared, path] : [...shared] };
  if (config !== undefined) app.file = join(path, config);
  add(app, path, found);
}

function add(app: AppSource, where: string, found: FoundApps): void {
  const { name } = app;
  if (!NAME.test(name)) {
    const expected =
      'expected a name of at most 63 letters, digits, ".", "_" and "-", with a letter or digit at both ends';
    found.problems.push(`${where}: ${expected}, found ${JSON.stringify(name)}`);
  } else if (found.apps.some((other) => other.name === name)) {
    found.problems.push(`${where}: there is an app "${name}" already; give each a name of its own`);
  } else {
    found.apps.push(app);
  }
}
