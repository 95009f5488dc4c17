import { join } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { MeshOptions } from '../../envoy/istio/options.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import { readModule } from '../../envoy/module-info.js';
import { toYaml } from '../../envoy/yaml.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { HttpApp } from '../support/http-app.js';
import { InvokedApp, InvokedGrpcApp } from '../support/invoked-app.js';
import { freePort } from '../support/ports.js';
import { redisComponent, Runtime, VERSION } from '../support/runtime.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { ENVOYFILTER_WARNING, LABELS, NAMESPACE, service, SLOT } from './forms.js';
import type { Form } from './forms.js';
import { askIstio } from './istio.js';
import type { Made } from './istio.js';
import { MODULE, Modules } from './modules.js';
import { Sidecar } from './sidecar.js';

/** What is applied beside the runtime's module: a module in the spare slot, or what takes it out again. */
export type InSlot = MeshOptions['module'] | 'empty';

/** A sidecar of one form and one version of Istio with the runtime in it, the app, and those that it calls. */
export class MeshRoom {
  redisPort = 0;
  runtime!: Runtime;
  private sidecar!: Sidecar;
  private redis: StoreServer | undefined;

  private constructor(
    readonly form: Form,
    private readonly istioVersion: string,
    readonly modules: Modules,
    readonly app: HttpApp,
    readonly callee: InvokedApp,
    private readonly grpcCallee: InvokedGrpcApp,
  ) {}

  static async open(form: Form, istioVersion: string): Promise<MeshRoom> {
    const app = await HttpApp.open();
    app.subscriptions = [{ pubsubname: 'pubsub', topic: 'orders', route: '/orders' }];
    await app.start();
    const room = new MeshRoom(
      form,
      istioVersion,
      await Modules.start(),
      app,
      await InvokedApp.start('callee'),
      await InvokedGrpcApp.start(),
    );
    try {
      await room.start();
    } catch (error) {
      await room.close();
      throw error;
    }
    return room;
  }

  private async start(): Promise<void> {
    this.redisPort = await freePort();
    this.redis = await startStore('redis', [], this.redisPort);
    const { form, app, callee, grpcCallee } = this;
    this.runtime = await Runtime.start({
      callees: {
        orders: { to: [{ host: '127.0.0.1', port: callee.port }] },
        speaks: { to: [{ host: '127.0.0.1', port: grpcCallee.port }], protocol: 'grpc' },
      },
      invoke: { pattern: { kind: 'cluster', text: `outbound|{port}||{app}.${NAMESPACE}.svc.cluster.local` } },
      hold: form.hold,
      appPort: app.port,
      actuator: form.actuator,
      concurrency: 2,
      components: [
        { name: 'statestore', type: 'state.embedded' },
        { name: 'file', type: 'file.local' },
        { name: 'pubsub', type: 'pubsub.embedded' },
        { name: 'helloworld', type: 'hello.helloworld' },
        redisComponent(this.redisPort, { name: 'configstore', type: 'configuration.redis' }),
      ],
      sessionGauges:
        /^cluster\.(layotto_session(_large)?|outbound\|\d+\|\|session(-large)?\..*)\.upstream_rq_active$/,
      bootstrap: async (_rendered, { config, adminSocket }) => {
        const { listen, dataDir } = config;
        this.sidecar = new Sidecar(
          join(dataDir, 'istiod'),
          await this.made(this.modules.add(MODULE), config),
          [listen.port, listen.actuator?.port ?? 0],
        );
        return this.sidecar.bootstrap(adminSocket);
      },
    });
  }

  async close(): Promise<void> {
    await this.runtime?.stop();
    await this.app.stop();
    await this.callee.kill();
    await this.grpcCallee.stop();
    await this.redis?.stop();
    this.modules.stop();
  }

  /** Applies the form's resources with another module, as somebody in the cluster would. */
  async apply(module: MeshOptions['module'], inSlot?: InSlot): Promise<void> {
    this.sidecar.push(await this.made(module, this.runtime.config, inSlot));
  }

  /** What a sidecar of the app gets when the resources are applied. */
  private async made(module: MeshOptions['module'], given: RuntimeConfig, inSlot?: InSlot): Promise<Made> {
    const { form, istioVersion } = this;
    const config = { ...given, modules: { slots: 1 } };
    const options: MeshOptions = {
      version: VERSION,
      apiTokens: [],
      catalog,
      capabilities: moduleCapabilities(readModule(MODULE)),
      namespace: NAMESPACE,
      selector: LABELS,
      module,
      bridgeSocket: join(config.dataDir, 'session.sock'),
      appSocket: join(config.dataDir, 'deliveries.sock'),
    };
    const slot =
      inSlot === undefined ? [] : form.slot(config, options, inSlot === 'empty' ? undefined : inSlot);
    const resources = [...form.render(config, options), ...slot];
    const made = await askIstio({
      resources: [...resources, service('billing', this.callee.port)].map(toYaml).join('---\n'),
      sidecar: { namespace: NAMESPACE, labels: LABELS, istioVersion },
      agent: { folder: config.dataDir, insecureHosts: [this.modules.host] },
    });
    expect(made.problems).toBe(null);
    const warned = slot.some(({ kind }) => kind === 'EnvoyFilter') ? [`layotto-${SLOT}`] : [];
    expect(made.warnings ?? []).toEqual(
      [...form.envoyFilters, ...warned].map(
        (name) => `EnvoyFilter ${NAMESPACE}/${name}: ${ENVOYFILTER_WARNING}`,
      ),
    );
    return made;
  }
}
