import type { ConfigurationBackend } from '../../conformance/configuration.js';
import { TcpProxy } from '../../conformance/tcp-proxy.js';
import { ApolloStandIn, ENV, TOKEN } from './stand-in.js';
import type { StandInOptions } from './stand-in.js';

export const APP = 'shop';
/** Namespaces beside `application`. */
const GROUPS = ['blue', 'green.properties'];

/** A stand-in with an app in it. */
export async function startApollo(options: StandInOptions = {}): Promise<ApolloStandIn> {
  const standIn = await ApolloStandIn.start(options);
  standIn.model.createApp(APP, 'test');
  for (const group of GROUPS) standIn.model.createAppNamespace(APP, group, false, 'test');
  return standIn;
}

/** Metadata of a store that reads from a meta service and writes to the stand-in. */
export function metadataFor({ meta, openApi }: ApolloStandIn, address = meta): Record<string, string> {
  return {
    address,
    app_id: APP,
    namespace_name: ['application', ...GROUPS].join(','),
    open_api_address: openApi.url,
    open_api_token: TOKEN,
    open_api_user: 'tester',
    open_api_env: ENV,
  };
}

/**
 * Apollo for the conformance suite: a real one if APOLLO_META names its meta service and APOLLO_OPENAPI its portal,
 * with APOLLO_TOKEN, APOLLO_USER, APOLLO_APP, APOLLO_SECRET, APOLLO_ENV, and in APOLLO_GROUPS two namespaces of that
 * app; else the stand-in.
 *
 * @param metadata added to the store's
 */
export async function apolloBackend(metadata: Record<string, string> = {}): Promise<ConfigurationBackend> {
  const real = process.env.APOLLO_META;
  const shape = {
    defaults: { group: 'application', label: '' },
    anyKeys: false,
    // Apollo numbers releases of namespaces, not items.
    versions: false,
    // By default.
    longest: 20_000,
    // A real server looks for releases each second.
    noticeMs: 3_000,
  };
  if (real !== undefined) {
    const groups = (process.env.APOLLO_GROUPS ?? GROUPS.join(',')).split(',');
    const { APOLLO_APP, APOLLO_OPENAPI, APOLLO_TOKEN, APOLLO_USER, APOLLO_SECRET, APOLLO_ENV } = process.env;
    const of = {
      address: real,
      app_id: APOLLO_APP ?? APP,
      namespace_name: ['application', ...groups].join(','),
      open_api_address: APOLLO_OPENAPI ?? '',
      open_api_token: APOLLO_TOKEN ?? '',
      open_api_user: APOLLO_USER ?? 'apollo',
      open_api_env: APOLLO_ENV ?? ENV,
      ...(APOLLO_SECRET !== undefined && { secret: APOLLO_SECRET }),
    };
    const component = { type: 'configuration.apollo', metadata: { ...of, ...metadata } };
    return { ...shape, component, groups, stop: async () => undefined };
  }
  const standIn = await startApollo({ delayMs: 200 });
  const port = Number(new URL(standIn.meta).port);
  const proxy = await TcpProxy.start(port);
  const far = `http://127.0.0.1:${proxy.port}`;
  // A second server of the same content, whose meta service knows only the way that can be cut.
  const front = await ApolloStandIn.start({ announce: [far] }, standIn.model);
  const component = (address: string): ConfigurationBackend['component'] => {
    return { type: 'configuration.apollo', metadata: { ...metadataFor(standIn, address), ...metadata } };
  };
  const withoutCache = metadata.is_backup_config === 'false';
  return {
    ...shape,
    component: component(withoutCache ? front.meta : standIn.meta),
    groups: GROUPS,
    ...(withoutCache && {
      connection: {
        cut() {
          proxy.pointAt(0);
          proxy.cut();
        },
        restore: () => proxy.pointAt(port),
        direct: component(standIn.meta),
      },
    }),
    async stop() {
      await proxy.stop();
      await front.stop();
      await standIn.stop();
    },
  };
}
