import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * For before anything else is loaded; `giveBackStartUp` ends the second.
 *
 * - V8's space for new objects stays at the size it starts with, two halves of 1 MiB, instead of growing to two of 16:
 *   what calls leave behind is short-lived, and a process that was busy once keeps the space. Objects made before this
 *   are not counted.
 * - Nothing is compiled: what runs at the start runs once, and the compilers' own pages and what they make of it would
 *   be 5 MiB of an idle bridge.
 *
 * A V8 that does not know a setting says so and goes on.
 */
export function startSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-opt');
  setFlagsFromString('--no-sparkplug');
}

/**
 * Collects and gives back what loading the programs has left: a third of the heap, which V8 would keep until the heap
 * has grown by half. Takes some 20 ms in which nothing is served, so it is for when the components have been opened.
 * From here on what runs often is compiled.
 */
export function giveBackStartUp(): void {
  // V8 has no other way to ask for it. What is exposed is only seen by contexts that are made meanwhile.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  setFlagsFromString('--compact-on-every-full-gc');
  collect();
  setFlagsFromString('--no-compact-on-every-full-gc');
  setFlagsFromString('--opt');
  setFlagsFromString('--sparkplug');
}
