import { createHmac } from 'node:crypto';

/**
 * The headers that prove that a request comes from somebody who has an app's access key: base64 of the HMAC-SHA1 of
 * time, newline, path and query, as Apollo's clients send them.
 *
 * @param target path and query exactly as they are sent
 * @param timestamp in milliseconds; Apollo takes none that is more than a minute off
 */
export function signatureHeaders(
  appId: string,
  secret: string,
  target: string,
  timestamp: number,
): Record<string, string> {
  const signature = createHmac('sha1', secret).update(`${timestamp}\n${target}`).digest('base64');
  return { Authorization: `Apollo ${appId}:${signature}`, Timestamp: String(timestamp) };
}
