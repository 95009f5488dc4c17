import type { ComponentConfig } from '../config/types.js';

/** What stands in a secret's place. */
const REDACTED = '[redacted]';

/** Keys of metadata whose values nobody but the component may see. */
const SECRET_KEY = /pass(?:word|wd|phrase)|secret|token|credential|(?:api|access|account).?key/i;

/** Keys of certificates, which stand in the configuration itself or in a file that it names. */
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** Shorter ones are left: taking every `ab` out of a text would show what the secret is, and ruin the text. */
const SHORTEST = 4;

/** Secrets known at a time. A configuration that is reloaded may bring new ones; the oldest are forgotten. */
const MOST = 1_000;

/** User and password in an address. */
const USER_INFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"'\\]*@/gi;

/**
 * What must not be shown, and takes it out of texts. Whatever a backend's client said passes through here before it is
 * logged, shown or sent to a caller: it may quote what it was given.
 */
export class Secrets {
  readonly #forms = new Set<string>();
  #pattern: RegExp | undefined;

  /** @param everybody learns what this one does: a log that all share shows nobody's, and an answer is silent of others' */
  constructor(private readonly everybody?: Secrets) {}

  /** Learns the secrets among the components' metadata. */
  addComponents(components: readonly ComponentConfig[]): void {
    for (const { metadata } of components) {
      for (const [key, value] of Object.entries(metadata)) {
        if (SECRET_KEY.test(key) || PRIVATE_KEY.test(value)) this.add(value);
      }
    }
  }

  /** Learns one secret; one of fewer than four characters is not taken. */
  add(secret: string): void {
    if (secret.length < SHORTEST) return;
    this.everybody?.add(secret);
    // As it is, as it stands inside JSON, and as it stands in an address.
    const forms = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
    for (const form of forms) this.#forms.add(form);
    for (const form of this.#forms) {
      if (this.#forms.size <= MOST) break;
      this.#forms.delete(form);
    }
    // A secret that holds another stands first, or what is left of it would be shown.
    const ordered = [...this.#forms].sort((a, b) => b.length - a.length);
    this.#pattern = new RegExp(ordered.map(literal).join('|'), 'g');
  }

  /** The text without secrets, and without user names and passwords in addresses. */
  redact(text: string): string {
    const clean = text.includes('://') ? text.replace(USER_INFO, `$1${REDACTED}@`) : text;
    return this.#pattern === undefined ? clean : clean.replace(this.#pattern, REDACTED);
  }
}

/** A pattern for exactly this text. Digits count only as a whole number, not as part of one such as a time. */
function literal(text: string): string {
  const pattern = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return /^\d+$/.test(text) ? `(?<!\\d)${pattern}(?!\\d)` : pattern;
}
