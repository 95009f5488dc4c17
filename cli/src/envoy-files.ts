import { join } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import { envoyAdminSocket } from '../../components-bridge/src/config/sockets.js';
import { functionSlots, RUNTIME_SLOT } from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { extensionFolder, renderBootstrap } from '../../envoy/bootstrap.js';
import type { RenderedBootstrap } from '../../envoy/bootstrap.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import { pluginConfiguration } from '../../envoy/plugin-config.js';
import type { PluginOptions } from '../../envoy/plugin-config.js';
import { slotNames } from '../../envoy/slots.js';
import type { SlotModule } from '../../envoy/slots.js';
import { routeOptionsOf, waysOf } from '../../envoy/ways.js';
import type { Ways } from '../../envoy/ways.js';
import { moduleHash } from './installation.js';
import type { Installation } from './installation.js';
import { readModuleFile } from './module-file.js';
import type { FunctionSettings, ModuleStore, Pushed } from './module-store.js';

/** What Envoy reads, for a configuration and the modules that were pushed. It writes nothing. */
export class EnvoyFiles {
  /** The runtime's module has a name of its own, so that a build in the meantime does not change what Envoy reads. */
  readonly module: string;
  readonly #capabilities: readonly string[];
  /** What pushed modules may use, by checksum. */
  readonly #needs = new Map<string, string[]>();

  constructor(
    private readonly installation: Installation,
    /** Such as `1.40.0`. */
    private readonly envoyVersion: string,
    private readonly store: ModuleStore,
  ) {
    this.module = `runtime-${moduleHash(installation)}.wasm`;
    this.#capabilities = moduleCapabilities(readModuleFile(installation.module).info);
  }

  /** The bootstrap, and the files that it refers to. */
  render(config: RuntimeConfig): RenderedBootstrap {
    const folder = extensionFolder(config.dataDir);
    const runtime = this.store.history(RUNTIME_SLOT).at(-1);
    return renderBootstrap(config, {
      ...this.#pluginOptions,
      version: this.versionOf(RUNTIME_SLOT),
      ...(runtime === undefined
        ? { moduleFile: join(folder, this.module), capabilities: this.#capabilities }
        : this.#stored(runtime)),
      // Never a pushed one: it need not let plain calls pass.
      outboundModule: { file: join(folder, this.module), capabilities: this.#capabilities },
      slots: this.#slotModules(config),
      functions: functionSlots(config.functions?.slots ?? 0).flatMap((slot) => {
        const settings = this.store.history(slot).at(-1)?.function;
        return settings === undefined ? [] : [{ ...settings, slot }];
      }),
      envoyVersion: this.envoyVersion,
      adminSocket: envoyAdminSocket(config.dataDir),
      extensionDir: folder,
    });
  }

  /** The clusters and routes among them by which the app's calls to others go. */
  ways(config: RuntimeConfig): Ways {
    return waysOf(config, routeOptionsOf(config, this.#pluginOptions, this.#slotModules(config)));
  }

  /** The modules that were pushed, by slot. */
  #slotModules(config: RuntimeConfig): Map<string, SlotModule> {
    return new Map(
      slotNames(config).flatMap((slot) => {
        const pushed = this.store.history(slot).at(-1);
        return pushed === undefined ? [] : [[slot, this.#slotModule(config, slot, pushed)]];
      }),
    );
  }

  /** A module of a slot beside the runtime's. One that says what it is gets what the runtime gets. */
  #slotModule(config: RuntimeConfig, slot: string, pushed: Pushed): SlotModule {
    if (pushed.function !== undefined) return this.#functionModule(config, slot, pushed);
    const own = pushed.name !== undefined;
    const options = { ...this.#pluginOptions, version: this.versionOf(slot) };
    const configuration = own
      ? JSON.stringify({ ...pluginConfiguration(config, options), passOn: true })
      : '';
    const { moduleFile, capabilities } = this.#stored(pushed);
    return {
      file: moduleFile,
      capabilities,
      configuration: pushed.configuration ?? configuration,
      rootId: pushed.rootId ?? (own ? RUNTIME_SLOT : ''),
      seesBodies: own,
    };
  }

  /** A function gets what the runtime gets, and its own settings. */
  #functionModule(config: RuntimeConfig, slot: string, pushed: Pushed): SlotModule {
    const { moduleFile, capabilities } = this.#stored(pushed);
    return {
      file: moduleFile,
      capabilities,
      configuration: this.functionConfiguration(config, pushed.function, this.versionOf(slot)),
      rootId: 'function',
      seesBodies: true,
    };
  }

  /** What a function is configured with. */
  functionConfiguration(
    config: RuntimeConfig,
    { path: _path, ...settings }: Partial<FunctionSettings> = {},
    version = this.installation.version,
  ): string {
    const plugin = pluginConfiguration(config, { ...this.#pluginOptions, version });
    return JSON.stringify({ ...plugin, function: settings });
  }

  get #pluginOptions(): Omit<PluginOptions, 'version'> {
    return { hold: false, apiTokens: [process.env.DAPR_API_TOKEN ?? ''], catalog };
  }

  /** Where a pushed module stands, and what it may use: what it needs. */
  #stored({ sha256 }: Pushed): { moduleFile: string; capabilities: string[] } {
    const moduleFile = this.store.pathOf(sha256);
    let capabilities = this.#needs.get(sha256);
    if (capabilities === undefined) {
      capabilities = moduleCapabilities(readModuleFile(moduleFile).info);
      this.#needs.set(sha256, capabilities);
    }
    return { moduleFile, capabilities };
  }

  /** What a slot's filter greets the bridge with: one build of a module is told from another. */
  versionOf(slot: string): string {
    const pushed = this.store.history(slot).at(-1);
    if (pushed === undefined) return this.installation.version;
    return `${pushed.version ?? this.installation.version}+${pushed.sha256.slice(0, 8)}`;
  }
}
