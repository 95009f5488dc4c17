/** Content types as both APIs compare them: without parameters, and whatever the case. */

export const CLOUD_EVENT = 'application/cloudevents+json';
export const JSON_TYPE = 'application/json';
export const BYTES = 'application/octet-stream';
export const TEXT = 'text/plain';

/** The type without parameters such as `; charset=utf-8`. */
export function bare(contentType: string): string {
  const [type = ''] = contentType.split(';', 1);
  return type.trim().toLowerCase();
}

/** A form of JSON that is not `application/json` itself, such as `application/vnd.orders+json`. */
export function isJsonForm(type: string): boolean {
  return type.endsWith('+json');
}
