import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';

import { eventually } from '../wait.js';
import { ApolloStandIn } from './stand-in.js';

/** What is used of `ctrip-apollo`, which has no types. */
interface Namespace extends EventEmitter {
  ready(): Promise<void>;
  get(key: string): string | undefined;
  config(): Record<string, string>;
}
interface Cluster {
  namespace(name: string): Namespace;
  enableUpdateNotification(enable: boolean): Cluster;
}
type Apollo = (options: { host: string; appId: string }) => { cluster(name: string): Cluster };

const apollo = createRequire(import.meta.url)('ctrip-apollo') as Apollo;

it('the npm client ctrip-apollo reads from the stand-in, and hears of changes', async () => {
  const standIn = await ApolloStandIn.start({ holdMs: 2_000 });
  const { model } = standIn;
  model.createApp('shop', 'test');
  const main = model.namespace('shop', 'default', 'application');
  if (main === undefined) throw new Error('an app has the namespace application');
  const item = model.createItem(main.id, { key: 'timeout', value: '100', comment: '', lineNum: 1 }, 'test');
  model.release(main, 'first', '', 'test');
  // An unknown cluster falls back to the default one.
  const cluster = apollo({ host: standIn.meta, appId: 'shop' }).cluster('nowhere');
  try {
    const namespace = cluster.namespace('application');
    await namespace.ready();
    expect(namespace.config()).toEqual({ timeout: '100' });
    const changes: unknown[] = [];
    namespace.on('change', (change) => changes.push(change));
    for (const value of ['200', '300']) {
      model.updateItem(item, value, 'test');
      model.release(main, value, '', 'test');
      await eventually('the change is heard of', () => namespace.get('timeout') === value);
    }
    expect(changes).toEqual([
      expect.objectContaining({ key: 'timeout', oldValue: '100', newValue: '200' }),
      expect.objectContaining({ key: 'timeout', oldValue: '200', newValue: '300' }),
    ]);
  } finally {
    cluster.enableUpdateNotification(false);
    await standIn.stop();
  }
});
