import type { ComponentHealth } from '../primitives/slot.js';

/** Where a component stands, and how it got there. */
export interface ComponentRecord extends ComponentHealth {
  /** When it got its status. */
  since: Date;
  /** How often it was ready again after it had been lost. */
  reconnects: number;
}

/** Remembers of every component since when it has its status, and how often it came back. */
export class ComponentHistory {
  readonly #started = new Date();
  readonly #records = new Map<string, { status: string; since: Date; ready: number }>();

  /** A component's status or reason has changed. */
  note({ name, type, status }: ComponentHealth): void {
    const id = idOf(name, type);
    const record = this.#records.get(id);
    if (record?.status === status) return;
    const ready = (record?.ready ?? 0) + (status === 'ready' ? 1 : 0);
    this.#records.set(id, { status, since: new Date(), ready });
  }

  /** Adds what is remembered of these components, and forgets all others. */
  of(components: readonly ComponentHealth[]): ComponentRecord[] {
    const present = new Set(components.map(({ name, type }) => idOf(name, type)));
    for (const id of this.#records.keys()) if (!present.has(id)) this.#records.delete(id);
    return components.map((health) => {
      const record = this.#records.get(idOf(health.name, health.type));
      return {
        ...health,
        since: record?.since ?? this.#started,
        reconnects: Math.max(0, (record?.ready ?? 0) - 1),
      };
    });
  }
}

function idOf(name: string, type: string): string {
  return `${type}/${name}`;
}
