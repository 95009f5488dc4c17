import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Folders that hold nothing of the project's own. */
const FOREIGN = new Set(['node_modules', 'dist', '.git', '.tools', '.layotto', '.results']);

/** Every Markdown file of the project. */
export function markdownFiles(folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return FOREIGN.has(entry.name) ? [] : markdownFiles(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** A document, read from the project. */
export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** A fenced block. */
export interface Block {
  /** Line of the fence, from 1. */
  line: number;
  /** The word behind the fence, such as `sh`. */
  language: string;
  text: string;
  /**
   * The comment above it, such as `run` for `<!-- run -->`; empty if there is none. It must be the last thing before
   * the block, blank lines apart.
   */
  mark: string;
}

/** The fenced blocks of a document, in order. */
export function blocksOf(document: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  let mark = '';
  let indent = /^/;
  for (const [index, line] of document.split('\n').entries()) {
    // In a list, blocks and comments stand below the text of their item.
    const fence = /^ *```(\w*)$/.exec(line);
    if (open !== undefined) {
      if (fence !== null) {
        blocks.push(open);
        open = undefined;
        mark = '';
      } else {
        open.text += `${line.replace(indent, '')}\n`;
      }
    } else if (fence !== null) {
      open = { line: index + 1, language: fence[1] ?? '', text: '', mark };
      indent = new RegExp(`^${/^ */.exec(line)?.[0] ?? ''}`);
    } else if (line !== '') {
      mark = /^ *<!-- (.+) -->$/.exec(line)?.[1] ?? '';
    }
  }
  if (open !== undefined) throw new Error(`the block in line ${open.line} is not closed`);
  return blocks;
}

/** The rows of every table below a heading, up to the next heading of any level; without the header rows. */
export function tableBelow(document: string, heading: string): string[][] {
  const lines = document.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  if (start < 0) throw new Error(`there is no heading "${heading}"`);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line));
  const rows = (end < 0 ? rest : rest.slice(0, end))
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()));
  const rulers = rows.flatMap((cells, index) =>
    cells.every((cell) => /^:?-+:?$/.test(cell)) ? [index] : [],
  );
  return rows.filter((_, index) => !rulers.includes(index) && !rulers.includes(index + 1));
}

/** What a cell says in code style: `a` for "`a`", or undefined. */
export function codeOf(cell: string | undefined): string | undefined {
  return /^`([^`]+)`/.exec(cell ?? '')?.[1];
}

/** A link to a file of the project. */
export interface Link {
  line: number;
  target: string;
}

/** The links of a document that do not lead to other sites. */
export function relativeLinks(document: string): Link[] {
  const links: Link[] = [];
  let fenced = false;
  for (const [index, line] of document.split('\n').entries()) {
    if (line.startsWith('```')) fenced = !fenced;
    if (fenced) continue;
    for (const [, target = ''] of line.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^()\s]+)\)/g)) {
      if (!/^[a-z]+:/i.test(target)) links.push({ line: index + 1, target });
    }
  }
  return links;
}

/** The anchors that a document's headings make, as GitHub does. */
export function anchorsOf(document: string): Set<string> {
  const headings = document.split('\n').filter((line) => /^#+ /.test(line));
  return new Set(
    headings.map((line) =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** What a guide has its reader do. */
export interface Step {
  line: number;
  /** `step`: run it; `begin`: start it; `says`: wait for it; `keep`: write it to the file `name`. */
  kind: string;
  name: string;
  block: Block;
  /** What it prints, if the guide says so. */
  expected: string | undefined;
}

/** What a guide has its reader do, in order; a block without a mark is only shown. */
export function stepsOf(blocks: readonly Block[]): Step[] {
  return blocks.flatMap((block, index) => {
    const [, kind, name = ''] = /^(step|begin|says|keep)(?:: (\S+))?$/.exec(block.mark) ?? [];
    const next = blocks[index + 1];
    const expected = next?.mark === 'output' ? next.text : undefined;
    return kind === undefined ? [] : [{ line: block.line, kind, name, block, expected }];
  });
}
