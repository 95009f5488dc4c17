import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Annotations } from './layout.js';

/** What images are made of, for their labels. */
export interface Source {
  version: string;
  licenses: string;
  /** When: of the commit or `SOURCE_DATE_EPOCH`, in RFC 3339; not the time of the build. */
  created: string;
  /** The commit, with `-dirty` if files differ from it; empty outside a repository. */
  revision: string;
  /** Where the sources are; empty if nobody says. */
  url: string;
}

/**
 * Reads package.json and the repository.
 *
 * @param env `SOURCE_DATE_EPOCH` in seconds, `SOURCE_REVISION` and `SOURCE_URL` say what a build outside a repository
 *   cannot know; they win
 * @throws Error if `SOURCE_DATE_EPOCH` is no number
 */
export function readSource(root: string, env: NodeJS.ProcessEnv): Source {
  const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
    license: string;
    repository?: { url?: string };
  };
  return {
    version: about.version,
    licenses: about.license,
    created: new Date(seconds(root, env) * 1_000).toISOString().replace('.000Z', 'Z'),
    revision: env['SOURCE_REVISION'] ?? revision(root),
    url: env['SOURCE_URL'] ?? about.repository?.url ?? '',
  };
}

function seconds(root: string, env: NodeJS.ProcessEnv): number {
  const given = env['SOURCE_DATE_EPOCH'];
  if (given === undefined) return Number(git(root, 'log', '-1', '--format=%ct') ?? 0);
  if (!/^\d{1,11}$/.test(given)) throw new Error(`SOURCE_DATE_EPOCH=${given} is not a time in seconds`);
  return Number(given);
}

function revision(root: string): string {
  const commit = git(root, 'rev-parse', 'HEAD');
  if (commit === undefined) return '';
  return git(root, 'status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit}-dirty`;
}

/** What git prints; undefined where there is no git or no repository. */
function git(root: string, ...args: string[]): string | undefined {
  try {
    return execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

/** The labels of an image, by their names in the OCI image specification (annotations.md). */
export function labelsOf(source: Source, title: string, description: string): Annotations {
  const prefix = 'org.opencontainers.image.';
  return {
    [`${prefix}title`]: title,
    [`${prefix}description`]: description,
    [`${prefix}version`]: source.version,
    [`${prefix}licenses`]: source.licenses,
    [`${prefix}created`]: source.created,
    ...(source.revision !== '' && { [`${prefix}revision`]: source.revision }),
    ...(source.url !== '' && { [`${prefix}source`]: source.url }),
  };
}
