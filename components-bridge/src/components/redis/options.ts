import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

import type { RedisOptions } from 'ioredis';

import { pemOf } from '../pem.js';
import type { RedisConnectionMetadata } from './metadata.js';

const DIAL_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 3_000;
/** More than the second that a replica takes at most to confirm for the first time. */
const STRONG_TIMEOUT_MS = 2_000;
/** Pause before reconnecting: the first, and by default the longest. It doubles with each try. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

const PORT = 6379;
const SENTINEL_PORT = 26379;

/** Where one server listens. */
export interface Endpoint {
  host: string;
  port: number;
}

/** How a Redis is connected to, with every default filled in and every file read. */
export interface RedisSettings {
  topology: 'node' | 'sentinel' | 'cluster';
  /** The server; or Sentinels; or nodes of a cluster. Never empty. */
  endpoints: Endpoint[];
  /** What Sentinels call the primary; empty without Sentinels. */
  primaryName: string;
  db: number;
  /** Accounts; empty values for none. */
  user: { name: string; password: string };
  sentinelUser: { name: string; password: string };
  /** Undefined: no TLS. */
  tls: ConnectionOptions | undefined;
  dialTimeoutMs: number;
  readTimeoutMs: number;
  /** Milliseconds before try number `attempt`, from 1, with jitter. */
  pauseMs: (attempt: number) => number;
  strong: StrongSettings;
}

/** What a write with STRONG consistency waits for. */
export interface StrongSettings {
  /** How many replicas; undefined: those that are connected. */
  replicas: number | undefined;
  timeoutMs: number;
}

/** @throws Error naming the metadata key of a file that cannot be read */
export async function settingsOf(metadata: RedisConnectionMetadata): Promise<RedisSettings> {
  const topology =
    metadata.failover === true ? 'sentinel' : metadata.redisType === 'cluster' ? 'cluster' : 'node';
  const defaultPort = metadata.redisPort ?? (topology === 'sentinel' ? SENTINEL_PORT : PORT);
  const longestPause = metadata.maxRetryBackoff ?? metadata.redisMaxRetryInterval ?? LONGEST_PAUSE_MS;
  return {
    topology,
    endpoints: (metadata.redisHost ?? metadata.redisHosts ?? []).map(({ host, port }) => {
      return { host, port: port ?? defaultPort };
    }),
    primaryName: metadata.sentinelMasterName ?? '',
    db: topology === 'cluster' ? 0 : (metadata.redisDB ?? metadata.db ?? 0),
    user: { name: metadata.redisUsername ?? '', password: metadata.redisPassword ?? '' },
    sentinelUser: { name: metadata.sentinelUsername ?? '', password: metadata.sentinelPassword ?? '' },
    tls: metadata.enableTLS === true ? await tlsOf(metadata) : undefined,
    dialTimeoutMs: metadata.dialTimeout || DIAL_TIMEOUT_MS,
    readTimeoutMs: metadata.readTimeout || READ_TIMEOUT_MS,
    pauseMs: (attempt) => {
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 16), Math.max(longestPause, 1));
      return Math.ceil(pause * (0.75 + Math.random() / 2));
    },
    strong: {
      replicas: metadata.strongReplicas,
      timeoutMs: metadata.strongTimeout || STRONG_TIMEOUT_MS,
    },
  };
}

async function tlsOf(metadata: RedisConnectionMetadata): Promise<ConnectionOptions> {
  const options: ConnectionOptions = {};
  const [ca, cert, key] = await Promise.all(
    (['caCert', 'clientCert', 'clientKey'] as const).map((name) => pemOf(name, metadata[name])),
  );
  if (ca !== undefined) options.ca = ca;
  if (cert !== undefined) options.cert = cert;
  if (key !== undefined) options.key = key;
  if (metadata.tlsServerName) options.servername = metadata.tlsServerName;
  if (metadata.insecureSkipTLSVerify === true) options.rejectUnauthorized = false;
  return options;
}

/** Options of a connection to one server of these settings. */
export function serverOptions(settings: RedisSettings, { host, port }: Endpoint): RedisOptions {
  const options = { ...commonOptions(settings), host, port };
  // TLS names a server by name only; certificates for addresses are checked without.
  if (settings.tls !== undefined)
    options.tls = isIP(host) === 0 ? { servername: host, ...settings.tls } : settings.tls;
  return options;
}

/** Options of a connection to one Sentinel, to hear what it announces. */
export function sentinelOptions(settings: RedisSettings, endpoint: Endpoint): RedisOptions {
  const options = serverOptions({ ...settings, db: 0, user: settings.sentinelUser }, endpoint);
  return { ...options, enableReadyCheck: false, autoResubscribe: false };
}

function commonOptions(settings: RedisSettings): RedisOptions {
  const options: RedisOptions = {
    db: settings.db,
    // RESP2 is enough, and every Redis speaks it.
    protocol: 2,
    disableClientInfo: true,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // With 0, what was in flight on a lost connection fails when it is lost, not when it is back.
    maxRetriesPerRequest: 0,
    // A server that does not close its side is not waited for.
    disconnectTimeout: 200,
    connectTimeout: settings.dialTimeoutMs,
    socketTimeout: settings.readTimeoutMs,
    retryStrategy: settings.pauseMs,
  };
  const { name, password } = settings.user;
  if (name !== '') options.username = name;
  if (password !== '') options.password = password;
  return options;
}
