import { resolve } from 'node:path';

import { NATIVE_ACCESS, readAccess } from './access.js';
import { catalogEntry } from './components.js';
import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { emptyDraft } from './draft.js';
import type { Draft, DraftComponent } from './draft.js';
import { SECTIONS } from './layotto-sections.js';
import { appIdProblem, asListenAddress, asPort, componentNameProblem } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { readMetadata } from './native.js';
import { keysOf } from './schema.js';
import { readLayottoSecretRefs } from './secret-refs.js';
import { nearest } from './suggest.js';
import type { CatalogEntry, ListenAddress } from './types.js';

type Path = readonly PropertyKey[];

type Settings = Pick<DraftComponent, 'metadata' | 'secretRefs' | 'access'>;

/** Other keys of `grpc_config`. */
const OTHER_KEYS = ['app', 'extends', 'secret_ref'];

/** The protocols of MOSN's channels. */
const CHANNELS = ['http', 'dubbo', 'bolt'] as const;

/** Does the document look like Layotto's configuration rather than the native form? */
export function isLayottoForm(value: unknown): boolean {
  if (!isRecord(value) || 'components' in value) return false;
  if ('grpc_config' in value || 'servers' in value) return true;
  return Object.keys(value).some((key) => Object.hasOwn(SECTIONS, key));
}

/**
 * Reads Layotto's JSON: a whole MOSN file, an object with `grpc_config`, or what stands inside that.
 * What this version does not serve becomes a notice.
 *
 * @param folder the file's folder, against which a Unix socket's path counts
 */
export function readLayotto(
  document: ConfigDocument,
  folder: string,
  catalog: readonly CatalogEntry[],
  findings: Findings,
): Draft {
  return new LayottoReader(document, folder, catalog, findings).read();
}

class LayottoReader {
  readonly #draft: Draft = emptyDraft();
  readonly #components: DraftComponent[] = [];

  constructor(
    readonly document: ConfigDocument,
    readonly folder: string,
    readonly catalog: readonly CatalogEntry[],
    readonly findings: Findings,
  ) {}

  read(): Draft {
    const root = this.#map(this.document.value, []);
    if ('servers' in root) this.#mosn(root);
    else if ('grpc_config' in root) this.#grpcConfig(root['grpc_config'], ['grpc_config']);
    else this.#grpcConfig(root, []);
    this.#draft.components = this.#components;
    this.#draft.lineOf = (path) => this.document.lineOf(path);
    return this.#draft;
  }

  #problem(path: Path, message: string): void {
    this.findings.problem(this.document.file, this.document.lineOf(path), keyText(path), message);
  }

  #notice(path: Path, message: string): void {
    this.findings.notice(this.document.file, this.document.lineOf(path), keyText(path), message);
  }

  /** The list at a path; anything else there is a problem, and absent is empty. */
  #list(value: unknown, path: Path): unknown[] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value;
    this.#problem(path, `expected a list, found ${describe(value)}`);
    return [];
  }

  #map(value: unknown, path: Path): Record<string, unknown> {
    if (value === undefined || value === null) return {};
    if (isRecord(value)) return value;
    this.#problem(path, `expected a map, found ${describe(value)}`);
    return {};
  }

  #mosn(root: Record<string, unknown>): void {
    for (const key of Object.keys(root)) {
      if (key === 'servers') continue;
      if (key === 'metrics') this.#metrics(root[key]);
      else this.#notice([key], "MOSN's own setting; Envoy runs the listeners here, so it is not used");
    }
    let found = false;
    for (const [s, server] of this.#list(root['servers'], ['servers']).entries()) {
      const serverPath = ['servers', s];
      const listeners = this.#map(server, serverPath)['listeners'];
      for (const [l, listener] of this.#list(listeners, [...serverPath, 'listeners']).entries()) {
        const path = [...serverPath, 'listeners', l];
        const map = this.#map(listener, path);
        const filter = this.#grpcFilter(map, path);
        if (filter === undefined && this.#isActuator(map, path)) this.#actuator(map, path);
        else if (filter === undefined)
          this.#notice(path, `the listener ${describe(map['name'])} is not served by this version`);
        else if (found) this.#notice(path, 'a second runtime listener; only the first is used');
        else {
          found = true;
          this.#address(map, path);
          this.#grpcConfig(filter.value, filter.path);
        }
      }
    }
    if (!found) {
      const where = 'servers[].listeners[].filter_chains[].filters[].config.grpc_config';
      this.#problem(['servers'], `expected a listener with Layotto's configuration at ${where}, found none`);
    }
  }

  /** The `grpc_config` of a listener, if it has one. */
  #grpcFilter(listener: Record<string, unknown>, path: Path): { value: unknown; path: Path } | undefined {
    for (const [c, chain] of this.#list(listener['filter_chains'], [...path, 'filter_chains']).entries()) {
      const chainPath = [...path, 'filter_chains', c];
      const filters = this.#map(chain, chainPath)['filters'];
      for (const [f, filter] of this.#list(filters, [...chainPath, 'filters']).entries()) {
        if (!isRecord(filter) || !isRecord(filter['config']) || !('grpc_config' in filter['config']))
          continue;
        const value = filter['config']['grpc_config'];
        return { value, path: [...chainPath, 'filters', f, 'config', 'grpc_config'] };
      }
    }
    return undefined;
  }

  #metrics(value: unknown): void {
    const sinks = this.#map(value, ['metrics'])['sinks'];
    for (const [index, sink] of this.#list(sinks, ['metrics', 'sinks']).entries()) {
      const path = ['metrics', 'sinks', index];
      const map = this.#map(sink, path);
      if (map['type'] !== 'prometheus') {
        this.#notice(path, 'only metrics for Prometheus are served by this version');
        continue;
      }
      const written = this.#map(map['config'], [...path, 'config'])['port'];
      if (written === undefined) continue;
      const port = asPort(written, 0);
      if (port === undefined)
        this.#problem([...path, 'config', 'port'], `expected a port, found ${describe(written)}`);
      else this.#draft.envoy.metricsPort = port;
    }
  }

  #address(listener: Record<string, unknown>, path: Path): void {
    const address = listener['address'];
    if (address === undefined || address === null) return;
    const addressPath = [...path, 'address'];
    if (typeof address !== 'string' || address === '') {
      this.#problem(addressPath, `expected "host:port", found ${describe(address)}`);
      return;
    }
    if (listener['network'] === 'unix') {
      this.#draft.listen.unixSocket = resolve(this.folder, address);
      return;
    }
    const { host, port } = this.#listenAddress(address, addressPath) ?? {};
    if (host !== undefined) this.#draft.listen.host = host;
    if (port !== undefined) this.#draft.listen.port = port;
  }

  #listenAddress(value: unknown, path: Path): ListenAddress | undefined {
    const address =
      typeof value === 'string' && value.includes(':') ? asListenAddress(value, true) : undefined;
    const expected = 'expected "host:port" with an IP address and a port from 1 to 65535';
    if (address === undefined) this.#problem(path, `${expected}, found ${describe(value)}`);
    return address;
  }

  #isActuator(listener: Record<string, unknown>, path: Path): boolean {
    const filters = this.#list(listener['stream_filters'], [...path, 'stream_filters']);
    return filters.some((filter) => isRecord(filter) && filter['type'] === 'actuator_filter');
  }

  #actuator(listener: Record<string, unknown>, path: Path): void {
    const address = this.#listenAddress(listener['address'], [...path, 'address']);
    if (address !== undefined) this.#draft.listen.actuator = address;
  }

  #grpcConfig(value: unknown, path: Path): void {
    const config = this.#map(value, path);
    for (const key of Object.keys(config)) {
      const inner = [...path, key];
      const primitive = Object.hasOwn(SECTIONS, key) ? SECTIONS[key] : undefined;
      if (key === 'app') this.#app(config[key], inner);
      else if (key === 'rpcs') this.#rpcs(config[key], inner);
      else if (primitive === undefined) this.#unknownSection(key, inner);
      else if (this.catalog.some((entry) => entry.primitive === primitive))
        this.#section(config[key], inner, primitive);
      else this.#unservedSection(config[key], inner);
    }
  }

  /** How `InvokeService` reaches other apps: by MOSN's first channel. */
  #rpcs(value: unknown, path: Path): void {
    const { mosn, ...others } = this.#map(value, path);
    this.#unservedSection(others, path);
    const mosnPath = [...path, 'mosn'];
    const config = this.#map(this.#map(mosn, mosnPath)['config'], [...mosnPath, 'config']);
    const listPath = [...mosnPath, 'config', 'channel'];
    const [first] = this.#list(config['channel'], listPath);
    if (first === undefined) return;
    const channelPath = [...listPath, 0];
    const protocol = this.#map(first, channelPath)['protocol'];
    const channel = CHANNELS.find((one) => one === protocol);
    if (channel === undefined) {
      const found = describe(protocol);
      this.#problem([...channelPath, 'protocol'], `expected ${CHANNELS.join(', ')}, found ${found}`);
    } else if (channel === 'http') {
      this.#draft.invoke = {};
      this.#notice(
        channelPath,
        'its listener is not used; who may be invoked stands in the callees of layotto.yaml',
      );
    } else {
      this.#draft.invoke = { channel };
      this.#notice(
        channelPath,
        `the ${channel} channel is not served by this version: InvokeService is unimplemented`,
      );
    }
  }

  #unknownSection(key: string, path: Path): void {
    const guess = OTHER_KEYS.includes(key) ? undefined : nearest(key, [...Object.keys(SECTIONS), 'app']);
    const suggestion = guess === undefined ? '' : `; did you mean "${guess}"?`;
    this.#notice(path, `not used by this version${suggestion}`);
  }

  #unservedSection(value: unknown, path: Path): void {
    const names = Object.keys(this.#map(value, path));
    const shown = names.slice(0, 10).join(', ') + (names.length > 10 ? ', …' : '');
    if (names.length > 0) this.#notice(path, `not served by this version; left out: ${shown}`);
  }

  #app(value: unknown, path: Path): void {
    const app = this.#map(value, path);
    const id = app['app_id'];
    if (id !== undefined && id !== null && id !== '') {
      const written = this.document.textOf([...path, 'app_id']) ?? '';
      const wrong = appIdProblem(written);
      if (wrong !== undefined) this.#problem([...path, 'app_id'], `${wrong}, found ${describe(id)}`);
      else this.#draft.app.id = written;
    }
    const port = app['grpc_callback_port'];
    if (port !== undefined && port !== null) {
      const number = asPort(port, 0);
      const expected = "expected the app's port, from 1 to 65535, or 0 for none";
      if (number === undefined)
        this.#problem([...path, 'grpc_callback_port'], `${expected}, found ${describe(port)}`);
      else this.#draft.app.port = number;
      // Layotto calls its app over gRPC and in no other way.
      this.#draft.app.protocol = 'grpc';
    }
    const host = app['grpc_callback_host'];
    if (host !== undefined && host !== '' && host !== '127.0.0.1' && host !== 'localhost') {
      this.#notice(
        [...path, 'grpc_callback_host'],
        'the app is expected on 127.0.0.1; this host is not used',
      );
    }
  }

  #section(value: unknown, path: Path, primitive: string): void {
    const section = this.#map(value, path);
    for (const name of Object.keys(section)) this.#component(section[name], [...path, name], name, primitive);
  }

  #component(value: unknown, path: Path, name: string, primitive: string): void {
    if (!isRecord(value)) {
      this.#problem(path, `expected a component: a map with "type" and "metadata", found ${describe(value)}`);
      return;
    }
    const wrong = componentNameProblem(name);
    if (wrong !== undefined) this.#problem(path, `${wrong}, found ${describe(name)}`);
    const type = value['type'];
    if (typeof type !== 'string' || type === '') {
      this.#problem(
        [...path, 'type'],
        `expected a component type (text), such as redis, found ${describe(type)}`,
      );
      return;
    }
    const metadata = value['metadata'];
    if (metadata !== undefined && metadata !== null) this.#map(metadata, [...path, 'metadata']);
    const fullType = this.#fullType(type, primitive);
    this.#components.push({
      name,
      type: fullType,
      version: 'v1',
      form: 'layotto',
      ...this.#settings(value, path, fullType),
      file: this.document.file,
      line: this.document.lineOf(path),
      path: keyText(path),
      typePath: keyText([...path, 'type']),
      typeLine: this.document.lineOf([...path, 'type']),
    });
  }

  /** The type as the catalog has it; in a section the primitive goes without saying. */
  #fullType(type: string, primitive: string): string {
    const known = catalogEntry(this.catalog, type);
    return known?.primitive === primitive || type.startsWith(`${primitive}.`) ? type : `${primitive}.${type}`;
  }

  /**
   * A setting as metadata has it: a list of texts, such as the addresses of a configuration store, separated by
   * commas; a map, such as biggerThan, as JSON.
   */
  #textOf(path: Path, value: unknown): string | undefined {
    if (isRecord(value)) return JSON.stringify(value);
    if (!Array.isArray(value)) return this.document.textOf(path);
    const parts = value.map((_, index) => this.document.textOf([...path, index]));
    return parts.every((part) => part !== undefined) ? parts.join(',') : undefined;
  }

  /** A component's metadata, and what else stands there: a setting of the type may also stand beside its metadata. */
  #settings(value: Record<string, unknown>, path: Path, type: string): Settings {
    const { document, findings } = this;
    const metadata = readMetadata(document, [...path, 'metadata'], findings);
    const settings: Settings = { metadata };
    const known = keysOf(catalogEntry(this.catalog, type)?.metadata);
    for (const key of Object.keys(value)) {
      if (key === 'type' || key === 'metadata') continue;
      const inner = [...path, key];
      const empty = Array.isArray(value[key]) && value[key].length === 0;
      if (empty) continue;
      const written = this.#textOf(inner, value[key]);
      if (key === 'secret_ref') settings.secretRefs = readLayottoSecretRefs(document, inner, findings);
      else if (key === 'access') {
        const access = readAccess(document, inner, NATIVE_ACCESS, findings);
        if (access !== undefined) settings.access = access;
      } else if (known.includes(key) && written !== undefined) {
        const line = document.lineOf(inner);
        metadata?.push({ key, value: written, line, path: keyText(inner), hidden: false });
      } else this.#notice(inner, 'not used by this version');
    }
    return settings;
  }
}
