// The sequencer primitive: everything a module needs to serve it.

import { Router } from '../../dialects/router';
import { IdRuns } from './id-runs';
import { installLayottoSequencer } from './layotto-grpc';

/** Enters the sequencer behind its door. */
export function installSequencer(router: Router): void {
  installLayottoSequencer(router, new IdRuns());
}
