/** The Apollo of the environment, or one that stands in for it. */

/** Where an Apollo is that is given; all but the first two have defaults. */
const NAMES = ['APOLLO_META', 'APOLLO_OPENAPI', 'APOLLO_TOKEN', 'APOLLO_APP_ID', 'APOLLO_USER', 'APOLLO_ENV'];

/**
 * @returns what it is, its environment variables, a way to change an item, and, if it is ours to stop, ways to send
 *   it away and bring it back
 */
export async function openApollo() {
  return process.env.APOLLO_META ? given() : standIn();
}

function given() {
  const env = { APOLLO_APP_ID: 'layotto-it', APOLLO_USER: 'apollo', APOLLO_ENV: 'DEV', APOLLO_SECRET: '' };
  for (const name of NAMES) env[name] = process.env[name] ?? env[name];
  if (!env.APOLLO_OPENAPI || !env.APOLLO_TOKEN)
    throw new Error('set APOLLO_OPENAPI and APOLLO_TOKEN beside it');
  env.APOLLO_SECRET = process.env.APOLLO_SECRET ?? '';
  return {
    what: `the one at ${env.APOLLO_META}`,
    env,
    change: (key, value) => changeThroughPortal(env, key, value),
    close: async () => undefined,
  };
}

async function standIn() {
  const { ApolloStandIn, ENV, TOKEN, USER } = await import('../../dist/tools/apollo/stand-in.js');
  const apollo = await ApolloStandIn.start();
  apollo.createApp('shop');
  const env = {
    APOLLO_META: apollo.meta,
    APOLLO_OPENAPI: apollo.portal.url,
    APOLLO_TOKEN: TOKEN,
    APOLLO_APP_ID: 'shop',
    APOLLO_USER: USER,
    APOLLO_ENV: ENV,
    APOLLO_SECRET: '',
  };
  return {
    what: 'a stand-in in this process, because APOLLO_META is not set',
    env,
    change: (key, value) => changeThroughPortal(env, key, value),
    away: () => apollo.stopConfigServices(),
    back: () => apollo.startConfigServices(),
    close: () => apollo.stop(),
  };
}

/** Changes an item and releases it, as somebody does in the portal. */
async function changeThroughPortal({ APOLLO_OPENAPI, APOLLO_TOKEN, APOLLO_USER, ...env }, key, value) {
  const namespace =
    `${APOLLO_OPENAPI}/openapi/v1/envs/${env.APOLLO_ENV}/apps/${env.APOLLO_APP_ID}` +
    `/clusters/default/namespaces/application`;
  const send = async (method, path, body) => {
    const headers = { authorization: APOLLO_TOKEN, 'content-type': 'application/json;charset=UTF-8' };
    const answer = await fetch(`${namespace}${path}`, { method, headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  const by = { dataChangeCreatedBy: APOLLO_USER, dataChangeLastModifiedBy: APOLLO_USER };
  await send('PUT', `/items/${encodeURIComponent(key)}?createIfNotExists=true`, { key, value, ...by });
  await send('POST', '/releases', { releaseTitle: 'by hand', releasedBy: APOLLO_USER });
}
