import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

/** How many modules a slot remembers, the serving one among them. */
const HISTORY = 10;

const pushedSchema = z.object({
  /** SHA-256 of the module's file, in hexadecimal digits. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** The module's name and version, if it says what it is. */
  name: z.string().optional(),
  version: z.string().optional(),
  /** When it was pushed, as ISO 8601. */
  at: z.string(),
  /** The plugin configuration it was pushed with, if any. */
  configuration: z.string().optional(),
  rootId: z.string().optional(),
  /** Which function it is, in a slot for functions. */
  function: z
    .object({
      id: z.string(),
      path: z.string().optional(),
      bodyBytes: z.number(),
      inFlight: z.number(),
      deadlineMs: z.number(),
    })
    .optional(),
  /** When it is rolled back by itself. */
  rollbackOnTrap: z.object({ traps: z.number(), withinMs: z.number() }).optional(),
});

/** A module that was pushed into a slot. */
export type Pushed = z.infer<typeof pushedSchema>;

/** By what a function is called, and its limits. */
export type FunctionSettings = NonNullable<Pushed['function']>;

const slotSchema = z.object({
  /** Oldest first; the last one serves. Before the first one there is what the slot has by itself. */
  history: z.array(pushedSchema).max(HISTORY),
  /** What last happened without anybody's asking, for people. */
  note: z.string().optional(),
});
const storeSchema = z.object({ schema: z.literal(1), slots: z.record(z.string(), slotSchema) });

type Slots = z.infer<typeof storeSchema>['slots'];

/** The pushed modules of a data folder: their files by checksum, and which of them serves in which slot. */
export class ModuleStore {
  readonly #folder: string;
  readonly #file: string;
  #slots: Slots;

  /**
   * @param dataDir the data folder
   * @param say told if what is there cannot be read; then there is nothing
   */
  constructor(dataDir: string, say: (line: string) => void) {
    this.#folder = join(dataDir, 'modules');
    this.#file = join(this.#folder, 'slots.json');
    this.#slots = {};
    if (!existsSync(this.#file)) return;
    try {
      this.#slots = storeSchema.parse(JSON.parse(readFileSync(this.#file, 'utf8'))).slots;
    } catch {
      say(`layotto: ${this.#file} cannot be read; pushed modules are left out`);
    }
  }

  /** The modules of a slot, oldest first; the last one serves. */
  history(slot: string): readonly Pushed[] {
    return this.#slots[slot]?.history ?? [];
  }

  note(slot: string): string | undefined {
    return this.#slots[slot]?.note;
  }

  /** The path of a module's file. */
  pathOf(sha256: string): string {
    return join(this.#folder, `${sha256}.wasm`);
  }

  has(sha256: string): boolean {
    return existsSync(this.pathOf(sha256));
  }

  /** Keeps a module's file, under its checksum. */
  keep(sha256: string, wasm: Uint8Array): void {
    if (this.has(sha256)) return;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const aside = `${this.pathOf(sha256)}.next`;
    writeFileSync(aside, wasm, { mode: 0o600 });
    renameSync(aside, this.pathOf(sha256));
  }

  /**
   * Sets the modules of a slot; the oldest are forgotten when there are too many. Files that no slot knows any more
   * are removed.
   */
  set(slot: string, history: readonly Pushed[], note?: string): void {
    const slots = { ...this.#slots };
    slots[slot] = { history: history.slice(-HISTORY), ...(note === undefined ? {} : { note }) };
    this.#slots = slots;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(`${this.#file}.next`, JSON.stringify({ schema: 1, slots }, null, 2), { mode: 0o600 });
    renameSync(`${this.#file}.next`, this.#file);
    this.sweep();
  }

  /** Removes the files that no slot knows. */
  sweep(): void {
    if (!existsSync(this.#folder)) return;
    const known = new Set(
      Object.values(this.#slots).flatMap(({ history }) => history.map((one) => one.sha256)),
    );
    for (const name of readdirSync(this.#folder)) {
      const sha256 = /^([0-9a-f]{64})\.wasm(?:\.next)?$/.exec(name)?.[1];
      if (sha256 !== undefined && !known.has(sha256)) rmSync(join(this.#folder, name), { force: true });
    }
  }
}
