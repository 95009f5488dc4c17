import { expectExample } from '../docs/example.js';

test('examples/pubsub-kafka runs to its end and says what its README shows', async () => {
  await expectExample('pubsub-kafka');
}, 180_000);
