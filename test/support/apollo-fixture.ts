import { ApolloStandIn, TOKEN, USER } from '../../tools/apollo/stand-in.js';
import type { ApolloOptions } from '../../tools/apollo/stand-in.js';

export const APP = 'shop';

/** A stand-in with an app, and the metadata of a store on it. */
export async function startApollo(options: ApolloOptions = {}): Promise<ApolloStandIn> {
  const apollo = await ApolloStandIn.start({ holdMs: 5_000, ...options });
  apollo.createApp(APP);
  return apollo;
}

export function metadataFor(apollo: ApolloStandIn, service = 0): Record<string, string> {
  return {
    address: apollo.configServices[service]?.url ?? '',
    app_id: APP,
    open_api_address: apollo.portal.url,
    open_api_token: TOKEN,
    open_api_user: USER,
  };
}
