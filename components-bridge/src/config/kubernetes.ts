/**
 * What Kubernetes takes as names and labels, see
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and …/labels/.
 */

/** Text for people: what a label's name or value may be. */
export const LABEL_FORM = 'at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends';

/** Whether a text can be the name of a namespace or a service. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text);
}

/** Whether a text can be the name of most other resources. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every(isDnsLabel);
}

export function isLabelValue(text: string): boolean {
  return text.length <= 63 && /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/.test(text);
}

export function isLabelKey(text: string): boolean {
  const [name = '', prefix, ...rest] = text.split('/').reverse();
  return (
    rest.length === 0 && name !== '' && isLabelValue(name) && (prefix === undefined || isDnsSubdomain(prefix))
  );
}
