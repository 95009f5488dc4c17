import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startNats } from '../support/nats-server.js';
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

pubsubConformance({ backend: 'nats', setup: 'one server' }, async () => {
  const server = await startNats({ config: 'max_payload: 8MB' });
  return {
    type: 'pubsub.jetstream',
    metadata: { natsURL: server.url, ackWait: '1s', redeliverInterval: '300ms' },
    persisted: true,
    restart: async () => {
      await server.kill();
      await server.restart();
    },
    stop: () => server.stop(),
  };
});
