/** What a family of samples counts as, in Prometheus's words. */
export type FamilyType = 'counter' | 'gauge' | 'histogram';

export type Labels = Readonly<Record<string, string>>;

/** Metrics as Prometheus reads them: text, version 0.0.4. */
export class Exposition {
  static readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  #text = '';

  /** Begins a family; its samples follow. */
  family(name: string, type: FamilyType, help: string): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  sample(name: string, value: number, labels: Labels = {}): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    this.#text += `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
  }

  /** A family of one sample. */
  single(name: string, type: FamilyType, help: string, value: number): void {
    this.family(name, type, help);
    this.sample(name, value);
  }

  get text(): string {
    return this.#text;
  }
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
