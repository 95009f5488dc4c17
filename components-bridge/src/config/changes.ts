import { isDeepStrictEqual } from 'node:util';

import type { CalleeAddress, CalleeConfig, EndpointConfig, RuntimeConfig } from './types.js';

/** A setting of a new configuration that a running process cannot take over. */
export interface Fixed {
  /** As in the file: `listen.port`. */
  key: string;
  now: unknown;
  wanted: unknown;
}

/** What a running process makes of a new configuration. */
export interface Changes {
  /** The running configuration with everything of the new one that can be taken over. */
  config: RuntimeConfig;
  /** What stays as it is until a restart. */
  fixed: Fixed[];
}

/**
 * Settings, besides the components, that can change at any time: those that only the filter heeds, because it takes a
 * new configuration at any time, and those that the bridge looks up for each call.
 */
export const FILTER_SETTINGS: readonly string[] = [
  'listen.hosts',
  'limits.cacheBytes',
  'lifecycle.apply',
  'policy',
];

/** Settings that filter and bridge heed and Envoy's own configuration does not need: a new bridge can have others. */
export const BRIDGE_SETTINGS: readonly string[] = ['limits.operations', 'limits.streams', 'limits.bytes'];

/** Whom the app calls, which a running Envoy takes over from whoever writes its files. */
export const CALLEES = 'callees';

/** Where the resolved configuration has another name for a setting than the file. */
const FILE_NAMES: Readonly<Record<string, string>> = {
  'limits.messageBytes': 'limits.message',
  'limits.deadlineMs': 'limits.deadline',
  appTokenFile: 'app.tokenFile',
};

/** Of these the new one is taken as it is: `mesh` concerns nothing that runs. */
const TAKEN_AS_IT_IS: readonly string[] = ['source', 'components', 'subscriptions', 'schedules', 'mesh'];

/**
 * Splits a new configuration into what can be taken over and what needs a restart. Components,
 * subscriptions and schedules always can.
 *
 * @param live the other settings that can
 */
export function changes(running: RuntimeConfig, wanted: RuntimeConfig, live: readonly string[]): Changes {
  const { source, components, mesh } = wanted;
  const config: RuntimeConfig = { ...running, source, components, ...(mesh === undefined ? {} : { mesh }) };
  setOrDelete(config, 'subscriptions', wanted.subscriptions);
  setOrDelete(config, 'schedules', wanted.schedules);
  const fixed: Fixed[] = [];
  const names = new Set([...Object.keys(running), ...Object.keys(wanted)]);
  for (const name of names) {
    if (TAKEN_AS_IT_IS.includes(name)) continue;
    const section = name as keyof RuntimeConfig;
    const [before, after] = [settings(section, running[section]), settings(section, wanted[section])];
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const [now, next] = [before.get(key), after.get(key)];
      if (isDeepStrictEqual(now, next)) continue;
      const inner = key.slice(name.length + 1);
      if (key === 'policy' || (name === CALLEES && live.includes(CALLEES)))
        setOrDelete(config, section, wanted[section]);
      else if (live.includes(key))
        Object.assign(config, { [name]: { ...(config[section] as object), [inner]: next } });
      else fixed.push({ key: FILE_NAMES[key] ?? key, now, wanted: next });
    }
  }
  return { config, fixed };
}

/** Whether two configurations mean the same, wherever their components were written. */
export function sameSettings(one: RuntimeConfig, other: RuntimeConfig): boolean {
  return isDeepStrictEqual(essence(one), essence(other));
}

function essence(config: RuntimeConfig): unknown {
  const { source: _source, mesh: _mesh, components, subscriptions = [], ...rest } = config;
  const withoutOrigin = ({ origin: _origin, ...other }: { origin: unknown }): unknown => other;
  return {
    ...rest,
    components: components.map(withoutOrigin),
    subscriptions: subscriptions.map(withoutOrigin),
  };
}

/** For people: the setting, what it is and what it would be. Headers of a place of the web may be secrets: they are not said. */
export function formatFixed({ key, now, wanted }: Fixed): string {
  const [from, to] = [shown(now), shown(wanted)];
  const what = from === to ? 'its headers or its rootCA' : `from ${from} to ${to}`;
  return `${key}: needs a restart to change ${what}; it stays as it is`;
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  const { endpoint, host, port } = value as Partial<CalleeConfig & CalleeAddress>;
  if (endpoint !== undefined) return urlOf(endpoint);
  if (host !== undefined && port !== undefined) return `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `{ ${Object.entries(value)
    .map(([key, inner]) => `${key}: ${shown(inner)}`)
    .join(', ')} }`;
}

function urlOf({ authority, path, tls }: EndpointConfig): string {
  return `${tls === undefined ? 'http' : 'https'}://${authority}${path}`;
}

function setOrDelete(config: RuntimeConfig, section: keyof RuntimeConfig, value: unknown): void {
  if (value === undefined) Reflect.deleteProperty(config, section);
  else Object.assign(config, { [section]: value });
}

/** A section's settings by key; a section that is a value is its own. */
function settings(section: string, value: unknown): Map<string, unknown> {
  // A policy is one whole: half of an old and half of a new one was never meant.
  if (section === 'policy' || typeof value !== 'object' || value === null) return new Map([[section, value]]);
  return new Map(Object.entries(value).map(([key, inner]) => [`${section}.${key}`, inner]));
}
