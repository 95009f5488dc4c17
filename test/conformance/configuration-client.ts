import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import type { Asked } from '../../components-bridge/src/primitives/configuration/query.js';
import type { Change, Follower } from '../../components-bridge/src/primitives/configuration/watched-query.js';
import type { Following } from '../../components-bridge/src/primitives/configuration/watches.js';
import type { Rooms } from '../support/rooms.js';

const GET = [pb.GetConfigurationRequestSchema, pb.GetConfigurationResponseSchema] as const;
const SAVE = [pb.SaveConfigurationRequestSchema, pb.SaveConfigurationResponseSchema] as const;
const DELETE = [pb.DeleteConfigurationRequestSchema, pb.DeleteConfigurationResponseSchema] as const;

type Item = { key: string; content?: string; group?: string; label?: string; tags?: Record<string, string> };
export type Query = { keys?: string[]; group?: string; label?: string };

/** Calls on one store. */
export class Client {
  constructor(
    readonly rooms: Rooms,
    readonly storeName: string,
  ) {}

  async get(query: Query = {}): Promise<pb.ConfigurationItem[]> {
    const { storeName } = this;
    return (await this.rooms.call('Configuration/GetConfiguration', GET, { storeName, ...query })).items;
  }

  /** Contents by key. */
  async contents(query: Query = {}): Promise<Record<string, string>> {
    return Object.fromEntries((await this.get(query)).map(({ key, content }) => [key, content]));
  }

  async save(...items: Item[]): Promise<void> {
    const { storeName } = this;
    await this.rooms.call('Configuration/SaveConfiguration', SAVE, { storeName, items });
  }

  async delete(query: Query): Promise<void> {
    const { storeName } = this;
    await this.rooms.call('Configuration/DeleteConfiguration', DELETE, { storeName, ...query });
  }

  follow(query: Query = {}): Recorder {
    const { keys = [], group = '', label = '' } = query;
    return new Recorder(this.rooms, this.storeName, { appId: '', metadata: {}, keys, group, label });
  }
}

/** A follower that remembers what it was told. */
export class Recorder implements Follower {
  readonly told: Change[] = [];
  readonly following: Following;
  endedBy: string | undefined;

  constructor(rooms: Rooms, store: string, asked: Asked) {
    this.following = rooms.watches.follow(store, asked, this);
  }

  changed(changes: readonly Change[]): void {
    this.told.push(...changes);
  }

  ended(reason: string): void {
    this.endedBy = reason;
  }

  /** What somebody knows who heard everything: content by key, undefined if it was deleted. */
  get latest(): Record<string, string | undefined> {
    return Object.fromEntries(
      this.told.map(({ item, deleted }) => [item.key, deleted ? undefined : item.content]),
    );
  }

  async started(): Promise<this> {
    await this.following.query.firstTry;
    return this;
  }

  close(): void {
    this.following.close();
  }
}
