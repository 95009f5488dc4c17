import { pubsubConformance } from '../conformance/pubsub.js';
import { startKafka } from './kafka-server.js';

for (const partitions of [1, 3]) {
  const setup = partitions === 1 ? 'one partition' : `${partitions} partitions`;
  pubsubConformance({ backend: 'kafka', setup }, async () => {
    const server = await startKafka({
      'num.partitions': String(partitions),
      'message.max.bytes': String(8 * 1024 * 1024),
      'group.min.session.timeout.ms': '1000',
    });
    return {
      type: 'pubsub.kafka',
      metadata: {
        brokers: server.address,
        consumeRetryInterval: '300ms',
        heartbeatInterval: '300ms',
        sessionTimeout: '3s',
      },
      persisted: true,
      ordered: partitions === 1,
      restart: async () => {
        await server.kill();
        await server.restart();
      },
      stop: () => server.stop(),
    };
  });
}
