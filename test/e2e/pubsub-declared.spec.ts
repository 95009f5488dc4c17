import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { HttpApp } from '../support/http-app.js';
import { http1 } from '../support/http1.js';
import { CommandLab } from '../support/layotto.js';
import { eventually } from '../support/wait.js';

const LAYOTTO_YAML = `
components:
  - { name: pubsub, type: pubsub.embedded, metadata: { redeliverInterval: 100ms } }
subscriptions:
  - pubsub: pubsub
    topic: orders
    routes:
      rules:
        - { match: 'event.type == "order.urgent"', path: /urgent }
        - { match: "event.data.total > 100", path: /large }
      default: /orders
    deadLetterTopic: orders-dead
    maxDeliveries: 2
  - { pubsub: pubsub, topic: orders-dead, route: /dead }
  - pubsub: pubsub
    topic: clicks
    route: /clicks
    bulk: { maxMessages: 3, maxAwait: 5s }
  - { pubsub: pubsub, topic: elsewhere, route: /elsewhere, apps: [other] }
`;

/** Dapr's resources, in both of their versions. */
const FIRST = `
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: { name: first }
spec: { pubsubname: pubsub, topic: first, route: /first }
scopes: [shop]
---
apiVersion: dapr.io/v1alpha1
kind: Subscription
metadata: { name: scoped }
spec: { pubsubname: pubsub, topic: scoped, route: /scoped }
scopes: [other]
`;
const numbered = (path: string): string => `
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: { name: numbered }
spec:
  pubsubname: pubsub
  topic: numbered
  routes: { rules: [{ match: event.data.n < 0, path: /never }], default: ${path} }
`;

let lab: CommandLab;
let app: HttpApp;

beforeAll(async () => {
  lab = await CommandLab.open();
  // It has no word about subscriptions.
  app = await HttpApp.open();
  app.subscriptions = undefined;
  await app.start();
  mkdirSync(join(lab.folder, 'resources'));
  lab.file('layotto.yaml', LAYOTTO_YAML);
  lab.file('resources/first.yaml', FIRST);
  lab.file('resources/numbered.yaml', numbered('/numbered'));
  const options = ['-c', 'layotto.yaml', '--resources-path', 'resources', '--app-id', 'shop'];
  await lab.ready(lab.run([], { options: [...options, '--app-port', String(app.port)] }));
});

afterAll(async () => {
  await lab?.close();
  await app?.stop();
});

async function publish(topic: string, data: unknown, query = ''): Promise<void> {
  const { status } = await http1({ port: lab.port }, 'POST', `/v1.0/publish/pubsub/${topic}${query}`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(data),
  });
  expect(status).toBe(204);
}

const dataAt = (path: string): unknown[] => app.told(path).map(({ json }) => json['data']);

test('what the configuration subscribes an app to comes to its routes', async () => {
  await publish('orders', 'urgent', '?metadata.cloudevent.type=order.urgent');
  await publish('orders', { total: 101 });
  await publish('orders', { total: 1 });
  await publish('first', 1);
  for (const n of [1, 2, 3]) await publish('clicks', n);
  await eventually('all have come', () => app.calls.length === 5);
  expect(dataAt('/urgent')).toEqual(['urgent']);
  expect(dataAt('/large')).toEqual([{ total: 101 }]);
  expect(dataAt('/orders')).toEqual([{ total: 1 }]);
  expect(dataAt('/first')).toEqual([1]);
  expect(app.told('/clicks')[0]?.json['entries']).toHaveLength(3);
  app.answer = ({ path }) => ({ status: path === '/orders' ? 500 : 200 });
  await publish('orders', 'hopeless');
  await eventually('it is given up', () => app.told('/dead').length === 1);
  expect(dataAt('/orders').slice(1)).toEqual(['hopeless', 'hopeless']);
  app.answer = () => ({});
});

test('the metadata tell of it, and not of what is for other apps', async () => {
  const { body } = await http1({ port: lab.port }, 'GET', '/v1.0/metadata');
  const { subscriptions } = JSON.parse(body) as { subscriptions: { topic: string; type: string }[] };
  expect(subscriptions.map(({ topic, type }) => `${topic} ${type}`).sort()).toEqual(
    ['clicks', 'first', 'numbered', 'orders', 'orders-dead'].map((topic) => `${topic} DECLARATIVE`),
  );
});

test('an edit is taken over while events come, and none is lost', async () => {
  const total = 200;
  let published = 0;
  const publishing = (async () => {
    for (; published < total; published++) await publish('numbered', { n: published });
  })();
  await eventually('some have come', () => app.told('/numbered').length > 20);
  lab.file('resources/numbered.yaml', numbered('/edited'));
  lab.file('resources/added.yaml', FIRST.replaceAll('first', 'added'));
  await publishing;
  await eventually('the edit is in use', async () => {
    await publish('numbered', { n: total });
    await publish('added', 1);
    return app.told('/edited').length > 0 && app.told('/added').length > 0;
  });
  await eventually('all have come', () => {
    const came = [...dataAt('/numbered'), ...dataAt('/edited')].map((data) => (data as { n: number }).n);
    return new Set(came).size === total + 1;
  });
});
