import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pubsubConformance } from './pubsub.js';

pubsubConformance({ backend: 'embedded', setup: 'one process' }, async () => {
  const path = await mkdtemp(join(tmpdir(), 'pubsub-'));
  return {
    type: 'pubsub.embedded',
    metadata: { path, redeliverInterval: '300ms' },
    persisted: true,
    stop: () => rm(path, { recursive: true, force: true }),
  };
});
