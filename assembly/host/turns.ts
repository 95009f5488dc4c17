// When garbage is collected in a module that is compiled with `--runtime minimal`.
//
// That runtime keeps no stack of references, which makes a module little more than
// half as large; but it must be told when to collect, and only when no function has
// an object that nothing else leads to. That is when the outermost callback returns.
// With any other runtime nothing of this is compiled in.

/** `ASC_RUNTIME` of `--runtime minimal`. */
const MINIMAL: i32 = 1;

/** Bytes that may become garbage until it is collected; a quarter of the memory, if that is more. */
const GARBAGE_BYTES: u32 = 128 * 1024;
/** The most callbacks until it is. */
const MOST_TURNS: u32 = 1024;
/** Of an object, in front of it. */
const OBJECT_HEADER: u32 = 20;

/** Callbacks under way: a host call that one makes may lead to another one before it returns. */
let depth: i32 = 0;
/** Callbacks since the last collection, and how many there may be. */
let turns: u32 = 0;
let limit: u32 = 1;
/** Pages of memory there were after the last one, and bytes that it has freed. */
let pages: i32 = 0;
let freed: u32 = 0;

/** A callback of the host begins. */
// @ts-ignore: decorator
@inline
export function turnBegins(): void {
  if (ASC_RUNTIME == MINIMAL) depth++;
}

/** It returns. */
// @ts-ignore: decorator
@inline
export function turnEnds(): void {
  if (ASC_RUNTIME == MINIMAL) ended();
}

function ended(): void {
  if (--depth != 0) return;
  if (++turns < limit && memory.size() <= pages) return;
  freed = 0;
  __collect();
  pages = memory.size();
  const most = max(GARBAGE_BYTES, (<u32>pages) << 14);
  // As many turns as make so much garbage, if they go on as they did.
  limit = <u32>min<u64>(MOST_TURNS, (<u64>turns * most) / max(1, freed));
  turns = 0;
}

/** The collector calls it for each object that it frees. */
// @ts-ignore: decorator
@global
export function __finalize(object: usize): void {
  if (ASC_RUNTIME == MINIMAL) freed += load<u32>(object - sizeof<u32>()) + OBJECT_HEADER;
}
