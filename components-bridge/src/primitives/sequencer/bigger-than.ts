import { parseBiggerThan } from '../../config/sequences.js';
import { metadataValue } from '../../config/types.js';
import type { ComponentConfig } from '../../config/types.js';
import type { Component } from '../component.js';
import { reasonOf } from '../errors.js';
import { sequencerPrefix } from '../keys.js';
import type { KeyOwner } from '../keys.js';
import type { SequencerStore } from './sequencer-store.js';

/**
 * Before a sequencer serves its first call: sees to it that its ids are greater than `biggerThan` says. Components of
 * other primitives are left alone.
 *
 * @throws Error that names the key for which they are not
 */
export async function heedBiggerThan(
  config: ComponentConfig,
  component: Component,
  owner: KeyOwner,
): Promise<void> {
  if (config.primitive !== 'sequencer') return;
  const prefix = sequencerPrefix(config, owner);
  const least =
    parseBiggerThan(metadataValue(config.metadata, 'biggerThan') || '{}') ?? new Map<string, bigint>();
  for (const [key, value] of least) {
    await (component as SequencerStore).raise(prefix + key, value).catch((error: unknown) => {
      throw new Error(`biggerThan: ids of ${key} are not greater than ${value}: ${reasonOf(error)}`);
    });
  }
}
