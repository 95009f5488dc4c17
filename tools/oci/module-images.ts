import { layerOf } from './layer.js';
import { IMAGE_CONFIG, LAYER, json } from './layout.js';
import type { Image } from './layout.js';
import { labelsOf } from './source.js';
import type { Source } from './source.js';

/** Media types of Wasm images that are no container images (solo-io/wasm, spec/spec.md). */
const WASM_CONFIG = 'application/vnd.module.wasm.config.v1+json';
const WASM_CONTENT = 'application/vnd.module.wasm.content.layer.v1+wasm';
/** The name that Istio looks for in a layer, and what stands beside it (spec/spec-compat.md). */
const PLUGIN = 'plugin.wasm';
const RUNTIME_CONFIG = 'runtime-config.json';

/** A module as it is put into images. */
export interface Module {
  /** Of its file, such as `runtime`. */
  name: string;
  wasm: Uint8Array;
}

/**
 * A module as a container image: one layer with `plugin.wasm`, which every tool for images can carry. No code of a
 * processor is in it; the platform is the one that tools assume when they are not told any.
 */
export async function containerImage(module: Module, source: Source): Promise<Image> {
  const labels = labels_(module, source);
  const { blob, diffId } = await layerOf([
    { path: PLUGIN, content: module.wasm },
    { path: RUNTIME_CONFIG, content: Buffer.from(JSON.stringify(runtimeConfig())) },
  ]);
  const platform = { architecture: 'amd64', os: 'linux' };
  const config = json(IMAGE_CONFIG, {
    created: source.created,
    ...platform,
    config: { Labels: labels },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created: source.created, created_by: 'make oci', comment: PLUGIN }],
  });
  const layers = [{ mediaType: LAYER, bytes: blob }];
  return { config, layers, annotations: { ...labels, 'module.wasm.image/variant': 'compat' }, platform };
}

/**
 * A module as an OCI artifact: the module itself, uncompressed, and what it is for. Istio takes it with two layers only,
 * so the configuration is both the manifest's and a layer, as the specification of Wasm images has it.
 */
export function artifact(module: Module, source: Source): Image {
  const config = json(WASM_CONFIG, runtimeConfig());
  const title = (name: string) => ({ 'org.opencontainers.image.title': name });
  return {
    config,
    layers: [
      { ...config, annotations: title(RUNTIME_CONFIG) },
      { mediaType: WASM_CONTENT, bytes: module.wasm, annotations: title(PLUGIN) },
    ],
    annotations: labels_(module, source),
  };
}

function labels_({ name }: Module, source: Source) {
  const what = name === 'runtime' ? 'every primitive' : `the primitive ${name}`;
  return labelsOf(source, `layotto/${name}`, `Layotto on Envoy: the proxy-wasm module with ${what}`);
}

/** What a host must know: every module is built for ABI 0.2.1 and finds its root context by any id. */
function runtimeConfig() {
  return { type: 'envoy_proxy', abiVersions: ['0.2.1'], config: { root_ids: ['runtime'] } };
}
