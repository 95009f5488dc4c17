import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import type { Target } from './http1.js';

const script = fileURLToPath(new URL('../bench/load.mjs', import.meta.url));

/** What a load generator does; see test/bench/load.mjs. */
export interface LoadOptions {
  target: Target;
  path: string;
  /** The whole request body, gRPC frame included. */
  body: Uint8Array;
  inflight?: number;
  connections?: number;
  seconds?: number;
  calls?: number;
  warmup?: number;
  pauseMs?: number;
  headers?: Record<string, string>;
}

/** What a load generator measured; times in milliseconds. */
export interface LoadResult {
  calls: number;
  failed: number;
  seconds: number;
  perSecond: number;
  p50: number;
  p99: number;
  max: number;
  /** Calls by gRPC status. */
  statuses: Record<string, number>;
}

/** Runs a load generator in a process of its own and gives what it measured. */
export async function load({ body, ...options }: LoadOptions): Promise<LoadResult> {
  const dir = await mkdtemp(join(tmpdir(), 'load-'));
  try {
    const bodyFile = join(dir, 'body');
    await writeFile(bodyFile, body);
    const child = new Child('load', process.execPath, [script, JSON.stringify({ ...options, bodyFile })]);
    const code = await child.exited;
    if (code !== 0) throw new Error(`the load generator failed\n${child.tail()}`);
    return JSON.parse(child.log.trimEnd().split('\n').at(-1) ?? '') as LoadResult;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
