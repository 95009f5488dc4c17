import { readFile, stat } from 'node:fs/promises';

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import type { Document, Node, Scalar, YAMLParseError } from 'yaml';

import type { Findings } from './problems.js';

/** A configuration file is a page or two; what is far beyond is a mistake or an attack. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Bounds what aliases can unfold to. */
const MAX_NODES = 100_000;
const MAX_DEPTH = 64;
/** Brackets open at once, or characters of indentation; no configuration comes near it. */
const MAX_WRITTEN_DEPTH = 500;
/** Each alias costs a search through the document. */
const MAX_ALIASES = 1000;

type Path = readonly PropertyKey[];

/** A YAML or JSON document (JSON is YAML 1.2) as plain values, with the line of each. */
export class ConfigDocument {
  /** Paths of values that came from the environment; messages must not repeat them. */
  readonly hidden = new Set<string>();
  readonly #lines = new Map<string, number>();
  readonly #texts = new Map<string, string>();
  value: unknown = undefined;

  constructor(
    /** The file's name as the user gave it. */
    readonly file: string,
    /** First line of the document. */
    readonly startLine: number,
  ) {}

  /** The line of the nearest written part of a path: its key, or else that of what holds it. */
  lineOf(path: Path): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(pathKey(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return this.startLine;
  }

  /**
   * A scalar's text: strings as they are, numbers and booleans as they were written (`0123` stays `0123`), an
   * empty value as ''. Undefined for maps, lists and absent values.
   */
  textOf(path: Path): string | undefined {
    return this.#texts.get(pathKey(path));
  }

  /** Records the line where a path's key (or list item) was written. */
  setLine(path: Path, line: number): void {
    this.#lines.set(pathKey(path), line);
  }

  setText(path: Path, text: string): void {
    this.#texts.set(pathKey(path), text);
  }

  isHidden(path: Path): boolean {
    return this.hidden.has(pathKey(path));
  }

  hide(path: Path): void {
    this.hidden.add(pathKey(path));
  }
}

/** A path as one map key. Parts cannot run together: JSON quotes them. */
function pathKey(path: Path): string {
  return JSON.stringify(path.map(String));
}

/** Is this a map (and not a list or a scalar)? */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a file as text. What cannot be read is a problem and gives undefined. */
export async function readText(path: string, shown: string, findings: Findings): Promise<string | undefined> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) {
      findings.problem(
        shown,
        0,
        '',
        'expected a file, found a folder; give a folder of Dapr components by --resources-path',
      );
      return undefined;
    }
    if (!info.isFile()) {
      findings.problem(shown, 0, '', 'expected a regular file');
      return undefined;
    }
    if (info.size > MAX_FILE_BYTES) {
      findings.problem(shown, 0, '', `expected at most ${MAX_FILE_BYTES} bytes, found ${info.size}`);
      return undefined;
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    findings.problem(shown, 0, '', readError(error));
    return undefined;
  }
}

/** Why a file or folder could not be read, for people. */
export function readError(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'no such file or folder; check the path';
  if (code === 'EACCES' || code === 'EPERM') return 'not readable: permission denied';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'expected UTF-8 text, found other bytes';
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** Parses every document of a file. Those with errors are reported and left out; empty ones are left out. */
export function parseText(text: string, file: string, findings: Findings): ConfigDocument[] {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  const documents: ConfigDocument[] = [];
  const deep = tooDeepAt(text);
  if (deep > 0) {
    findings.problem(
      file,
      deep,
      '',
      `expected a configuration, found values nested deeper than ${MAX_WRITTEN_DEPTH}`,
    );
    return documents;
  }
  let parsed: Document[];
  try {
    const result = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
    parsed = Array.isArray(result) ? result : [];
  } catch (error) {
    findings.problem(file, 1, '', `cannot be read as YAML or JSON: ${(error as Error).message}`);
    return documents;
  }
  for (const source of parsed) {
    for (const error of worthTelling(source.errors)) {
      findings.problem(file, lineAt(error.pos[0]), '', `cannot be read as YAML or JSON: ${error.message}`);
    }
    if (source.errors.length > 0 || source.contents === null) continue;
    const start = lineAt(source.contents.range?.[0] ?? 0);
    const document = new ConfigDocument(file, start);
    const reader = new Reader(document, source, lineAt);
    document.value = reader.read(source.contents, [], 0);
    for (const { line, message } of reader.errors) findings.problem(file, line, '', message);
    if (reader.errors.length === 0 && document.value !== null) documents.push(document);
  }
  return documents;
}

/**
 * The line at which a text may be nested deeper than the parser, which recurses, can follow; 0 if nowhere. Looks at
 * brackets, indentation and `- - -` alone, without the parser and without recursion: running out of stack inside it
 * can end the whole process.
 */
function tooDeepAt(text: string): number {
  let line = 1;
  let brackets = 0;
  let lead = 0;
  let leading = true;
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (char === '\n') {
      line++;
      lead = 0;
      leading = true;
      continue;
    }
    if (leading && (char === ' ' || char === '-' || char === '?' || char === ':')) lead++;
    else leading = false;
    if (char === '[' || char === '{') brackets++;
    else if ((char === ']' || char === '}') && brackets > 0) brackets--;
    if (brackets > MAX_WRITTEN_DEPTH || lead > MAX_WRITTEN_DEPTH) return line;
  }
  return 0;
}

/** One syntax error makes others follow, so only the first is told; keys written twice are each worth telling. */
function worthTelling(errors: readonly YAMLParseError[]): YAMLParseError[] {
  const first = errors.find((error) => error.code !== 'DUPLICATE_KEY');
  return errors.filter((error) => error === first || error.code === 'DUPLICATE_KEY');
}

/** A scalar as it was written; an empty one is ''. */
function scalarText(scalar: Scalar): string {
  if (typeof scalar.value === 'string') return scalar.value;
  if (scalar.value === null || scalar.value === undefined) return '';
  return scalar.source ?? String(scalar.value);
}

/** Turns one parsed document into plain values and notes the line and text of each. */
class Reader {
  readonly errors: { line: number; message: string }[] = [];
  #nodes = 0;
  #aliases = 0;
  #refused = false;

  constructor(
    readonly document: ConfigDocument,
    readonly source: Document,
    readonly lineAt: (offset: number) => number,
  ) {}

  read(node: unknown, path: Path, depth: number): unknown {
    const line = this.lineAt((node as Node | null)?.range?.[0] ?? 0);
    if (isAlias(node)) this.#aliases++;
    if (++this.#nodes > MAX_NODES || this.#aliases > MAX_ALIASES || depth > MAX_DEPTH)
      return this.#refuse(line);
    const target: unknown = isAlias(node) ? node.resolve(this.source) : node;
    if (isAlias(node) && target === undefined) {
      this.errors.push({ line, message: `there is no anchor for the alias *${node.source}` });
    }
    if (isMap(target)) {
      const map: Record<string, unknown> = {};
      for (const pair of target.items) {
        const key = isScalar(pair.key) ? scalarText(pair.key) : undefined;
        const keyLine = this.lineAt((pair.key as Node | null)?.range?.[0] ?? 0);
        if (key === undefined) {
          this.errors.push({ line: keyLine, message: 'expected a plain word as key, found a map or a list' });
          continue;
        }
        const inner = [...path, key];
        this.document.setLine(inner, keyLine);
        // defineProperty, because a key called __proto__ must become data like any other.
        const value = this.read(pair.value, inner, depth + 1);
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
        if (this.#refused) break;
      }
      return map;
    }
    if (isSeq(target)) {
      const list: unknown[] = [];
      for (const item of target.items) {
        const inner = [...path, list.length];
        this.document.setLine(inner, this.lineAt((item as Node | null)?.range?.[0] ?? 0));
        list.push(this.read(item, inner, depth + 1));
        if (this.#refused) break;
      }
      return list;
    }
    if (!isScalar(target)) return null;
    this.document.setText(path, scalarText(target));
    return target.value ?? null;
  }

  #refuse(line: number): null {
    const most = `${MAX_NODES} values and ${MAX_ALIASES} aliases, nested ${MAX_DEPTH} deep`;
    if (!this.#refused) this.errors.push({ line, message: `expected at most ${most}` });
    this.#refused = true;
    return null;
  }
}
