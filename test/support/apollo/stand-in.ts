import { adminServiceRoutes } from './admin-service.js';
import { configServiceRoutes } from './config-service.js';
import { ApolloModel } from './model.js';
import { openApiRoutes } from './open-api.js';
import { Service } from './web.js';

export interface StandInOptions {
  /** How long a question for changes is held; a real server's time by default. */
  holdMs?: number;
  /** Between a release and its message. */
  delayMs?: number;
  /** Port of the first config service; by default any. */
  port?: number;
  /** How many config services there are, all of the same content. */
  configServices?: number;
  /** What the meta service says instead of where the config services are. */
  announce?: readonly string[];
}

/** What the open API must be shown. */
export const TOKEN = 'open-api-token';
export const ENV = 'DEV';

/**
 * Stands in for an Apollo of one environment, with its config service, admin service and open API on ports of
 * 127.0.0.1: Apollo's own servers come from no package registry. Recordings of a real one, replayed against it, say
 * whether it answers as that does; see replay.spec.ts.
 */
export class ApolloStandIn {
  readonly configServices: Service[];
  readonly admin: Service;
  readonly openApi: Service;

  private constructor(
    readonly model: ApolloModel,
    { holdMs = 60_000, configServices = 1, announce }: StandInOptions,
  ) {
    const urlsOf = (service: string): string[] | undefined => {
      if (service === 'config') return [...(announce ?? this.configServices.map(({ url }) => url))];
      return service === 'admin' ? [this.admin.url] : undefined;
    };
    const routes = configServiceRoutes({ model, holdMs, urlsOf });
    this.configServices = Array.from({ length: configServices }, () => new Service(routes));
    this.admin = new Service(adminServiceRoutes(model));
    this.openApi = new Service(openApiRoutes({ model, token: TOKEN, env: ENV }));
  }

  /** @param model what it holds: of one that was stopped before, or that is to hold the same */
  static async start(options: StandInOptions = {}, model?: ApolloModel): Promise<ApolloStandIn> {
    const standIn = new ApolloStandIn(model ?? new ApolloModel(options.delayMs ?? 0), options);
    for (const [index, service] of standIn.#all.entries()) {
      await service.listen(index === 0 ? (options.port ?? 0) : 0);
    }
    return standIn;
  }

  /** Address of the meta service, which is part of the config service. */
  get meta(): string {
    return this.configServices[0]?.url ?? '';
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((service) => service.close()));
  }

  get #all(): Service[] {
    return [...this.configServices, this.admin, this.openApi];
  }
}
