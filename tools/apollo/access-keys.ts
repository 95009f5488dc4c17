import { createHmac, timingSafeEqual } from 'node:crypto';

import type { Database } from './database.js';
import type { Exchange } from './exchange.js';

/** How old, or how far ahead, a signed request may be. */
const TOLERANCE_MS = 60_000;

/** Whether a request may read an app's configuration: always, unless the app has an access key that is enabled. */
export function mayRead({ request, target }: Exchange, appId: string, database: Database): boolean {
  const keys = database.accessKeys.filter((key) => key.appId === appId && key.enabled);
  if (keys.length === 0) return true;
  const { timestamp, authorization = '' } = request.headers;
  if (typeof timestamp !== 'string' || !/^\d+$/.test(timestamp)) return false;
  if (Math.abs(database.now().getTime() - Number(timestamp)) > TOLERANCE_MS) return false;
  return keys.some(({ secret }) => {
    const signature = createHmac('sha1', secret).update(`${timestamp}\n${target}`).digest('base64');
    const wanted = Buffer.from(`Apollo ${appId}:${signature}`);
    const given = Buffer.from(authorization);
    return wanted.length === given.length && timingSafeEqual(wanted, given);
  });
}
