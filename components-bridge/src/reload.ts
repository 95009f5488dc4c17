import type { Logger } from 'pino';

import { changes, FILTER_SETTINGS, formatFixed, sameSettings } from './config/changes.js';
import type { RuntimeConfig } from './config/types.js';
import type { Applied } from './primitives/registry.js';
import type { Bridge } from './server/bridge.js';

/** How long new settings may take to be ready before it is said that the old ones go on serving. */
const APPLY_WAIT_MS = 6_000;

export interface ReloadOptions {
  bridge: Pick<Bridge, 'apply'>;
  /** What the bridge was started with. */
  running: RuntimeConfig;
  /** Reads the configuration again; throws what is wrong with it, a line each. */
  load: () => Promise<RuntimeConfig>;
  log: Logger;
}

/** Takes over a configuration that was edited, as far as that goes without a restart. */
export class Reloads {
  #running: RuntimeConfig;
  #latest = 0;

  constructor(private readonly options: ReloadOptions) {
    this.#running = options.running;
  }

  /** Reads the configuration again and takes over what has changed. One that is wrong changes nothing. Never throws. */
  async reload(): Promise<void> {
    const { bridge, load, log } = this.options;
    const turn = ++this.#latest;
    let wanted: RuntimeConfig;
    try {
      wanted = await load();
    } catch (error) {
      for (const problem of (error as Error).message.split('\n'))
        log.error({ problem }, 'wrong configuration');
      log.error('the configuration is wrong; everything stays as it is');
      return;
    }
    if (turn !== this.#latest) return;
    const { config, fixed } = changes(this.#running, wanted, FILTER_SETTINGS);
    for (const one of fixed) log.warn(formatFixed(one));
    if (sameSettings(config, this.#running)) {
      log.info('nothing in the configuration changes what is running');
      return;
    }
    this.#running = config;
    logApplied(await bridge.apply(config, { removeOthers: true, waitMs: APPLY_WAIT_MS }), log);
  }
}

/** Says what became of each component. */
export function logApplied(applied: readonly Applied[], log: Logger): void {
  for (const { name, outcome, reason } of applied) {
    const facts = reason === undefined ? { component: name } : { component: name, reason };
    if (outcome === 'kept') log.warn(facts, 'the old settings go on serving; the new ones are tried on');
    else if (outcome !== 'unchanged') log.info(facts, `component ${outcome}`);
  }
}
