import { HttpClient } from '../../components-bridge/src/components/apollo/http.js';
import { OpenApi } from '../../components-bridge/src/components/apollo/open-api.js';
import { metadataFor, startApollo } from '../support/apollo-fixture.js';
import { configurationConformance } from './configuration.js';
import type { ConfigurationBackend } from './configuration.js';

const TYPE = 'configuration.apollo';
const GROUPS = ['layotto-it-a', 'layotto-it-b'];
/** What an Apollo can keep, as it is installed. */
const APOLLO = {
  defaults: { group: 'application', label: '' },
  groups: GROUPS,
  versions: false,
  longestContent: 20_000,
  anyKeys: false,
};

/** One whose config service can be cut off, while another one serves the same. */
async function standIn(): Promise<ConfigurationBackend> {
  const apollo = await startApollo({ configServices: 2 });
  apollo.announced = ({ url }) => [url];
  for (const group of GROUPS) apollo.createNamespace('shop', group);
  // With a backup it would answer while it is cut off, see test/fault/apollo.spec.ts.
  const settings = { namespace_name: ['application', ...GROUPS].join(','), is_backup_config: 'false' };
  const [near] = apollo.configServices;
  return {
    ...APOLLO,
    component: { type: TYPE, metadata: { ...metadataFor(apollo), ...settings } },
    connection: {
      cut: () => near?.stop(),
      restore: () => near?.start(),
      direct: { type: TYPE, metadata: { ...metadataFor(apollo, 1), ...settings } },
    },
    stop: () => apollo.stop(),
  };
}

/** The Apollo of APOLLO_META and APOLLO_OPENAPI, whose app is used for nothing else. */
async function given(meta: string): Promise<ConfigurationBackend> {
  const { APOLLO_APP_ID: appId = 'layotto-it', APOLLO_CLUSTER: cluster = 'default' } = process.env;
  const {
    APOLLO_OPENAPI: address = '',
    APOLLO_TOKEN: token = '',
    APOLLO_USER: user = 'apollo',
  } = process.env;
  const { APOLLO_ENV: env = 'DEV', APOLLO_SECRET: secret = '' } = process.env;
  const http = new HttpClient();
  const openApi = new OpenApi({ http, address, token, user, env, appId, cluster });
  for (const group of GROUPS) await openApi.createNamespace(group);
  http.close();
  const metadata = {
    address: meta,
    app_id: appId,
    cluster,
    secret,
    namespace_name: ['application', ...GROUPS].join(','),
    open_api_address: address,
    open_api_token: token,
    open_api_user: user,
    open_api_env: env,
    is_backup_config: 'false',
  };
  return { ...APOLLO, component: { type: TYPE, metadata }, noticeMs: 3_000, stop: async () => undefined };
}

const { APOLLO_META: meta } = process.env;
const setup = meta === undefined ? 'stand-in' : 'real';
configurationConformance({ backend: 'apollo', setup }, () => (meta === undefined ? standIn() : given(meta)));
