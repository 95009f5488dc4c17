import { AdminService } from './admin-service.js';
import { ConfigService, HOLD_MS } from './config-service.js';
import { Database } from './database.js';
import { OpenApi } from './open-api.js';
import { Service } from './service.js';

export interface ApolloOptions {
  /** How many config services share the database, each of them a meta service too. Default 1. */
  configServices?: number;
  /** Where they listen, in order; by default wherever there is room. */
  configPorts?: readonly number[];
  /** How long a client waits for changes, in ms. Default 60000, as Apollo's. */
  holdMs?: number;
  /** How long after a release those who wait hear of it, in ms. Default 100; Apollo looks once a second. */
  messageDelayMs?: number;
  /** What time it is. */
  now?: () => Date;
}

/** A token of the open API, and a user that changes may be made for. */
export const TOKEN = 'the-token-of-this-stand-in';
export const USER = 'apollo';
/** The environment it has. */
export const ENV = 'DEV';

/**
 * Stands in for an Apollo, whose server is in no package registry: config services (with the meta service in them),
 * the admin service, and the portal's open API, all in this process and in memory. It is made after recordings of a
 * real one, which it must answer alike (test/compat/apollo-recordings.spec.ts), and is used by Apollo's own clients.
 */
export class ApolloStandIn {
  readonly database: Database;
  readonly configServices: readonly Service[];
  readonly admin: Service;
  readonly portal: Service;
  /** Tokens of the open API, with the apps that each may change. */
  readonly tokens = new Map<string, string[]>([[TOKEN, []]]);
  /** Which config services one of them names when it is asked as the meta service; by default those that run. */
  announced: (asked: Service) => readonly string[];

  private constructor(options: ApolloOptions) {
    const { configServices = 1, configPorts = [], holdMs = HOLD_MS, messageDelayMs = 100 } = options;
    const now = options.now ?? (() => new Date());
    const database = new Database(now, messageDelayMs);
    this.database = database;
    this.configServices = Array.from({ length: configServices }, (_, index) => {
      const services = () => ({ config: this.announced(service), admin: [this.admin.url] });
      const config = new ConfigService({ database, holdMs, services });
      const service: Service = new Service((exchange) => config.handle(exchange), now, configPorts[index]);
      return service;
    });
    this.announced = () => this.configServices.filter(({ running }) => running).map(({ url }) => url);
    const admin = new AdminService(database);
    this.admin = new Service((exchange) => admin.handle(exchange), now);
    const openApi = new OpenApi({ database, tokens: this.tokens, envs: [ENV], users: [USER] });
    this.portal = new Service((exchange) => openApi.handle(exchange), now);
  }

  static async start(options: ApolloOptions = {}): Promise<ApolloStandIn> {
    const apollo = new ApolloStandIn(options);
    for (const service of apollo.#all()) await service.start();
    return apollo;
  }

  /** Address of the first config service, which is a meta service too. */
  get meta(): string {
    return this.configServices[0]?.url ?? '';
  }

  /** Makes an app that the token may change. */
  createApp(appId: string): void {
    this.database.createApp({ appId, name: appId }, USER);
    this.tokens.get(TOKEN)?.push(appId);
  }

  /** Makes a namespace of an app, in every cluster that it has. */
  createNamespace(appId: string, name: string, isPublic = false): void {
    this.database.createAppNamespace({ appId, name, isPublic }, USER);
  }

  /**
   * Changes items and releases them, as somebody does in the portal.
   *
   * @param texts by key; undefined takes an item away
   */
  release(
    appId: string,
    namespaceName: string,
    texts: Readonly<Record<string, string | undefined>>,
    clusterName = 'default',
  ): void {
    const { database } = this;
    const namespace = database.namespaceAt({ appId, clusterName, namespaceName });
    if (namespace === undefined) throw new Error(`no namespace ${appId}+${clusterName}+${namespaceName}`);
    for (const [key, value] of Object.entries(texts)) {
      const item = database.itemsOf(namespace).find((one) => one.key === key);
      if (value === undefined) database.deleteItem(item?.id ?? -1);
      else if (item === undefined) database.createItem(namespace, { key, value }, USER);
      else database.updateItem(item, value, item.comment, USER);
    }
    database.release(namespace, 'by hand', undefined, USER);
  }

  /** Gives an app an access key: from now on its configuration is for those who have it. */
  createAccessKey(appId: string, secret: string): void {
    this.database.createAccessKey(appId, secret, USER).enabled = true;
  }

  /** Stops the config services, as when all of them are away. */
  async stopConfigServices(): Promise<void> {
    for (const service of this.configServices) await service.stop();
  }

  async startConfigServices(): Promise<void> {
    for (const service of this.configServices) if (!service.running) await service.start();
  }

  async stop(): Promise<void> {
    for (const service of this.#all()) await service.stop();
    this.database.close();
  }

  #all(): readonly Service[] {
    return [...this.configServices, this.admin, this.portal];
  }
}
