import { moduleCapabilities } from './module-capabilities.js';

it('names host functions and callbacks, each once and in order, and nothing else', () => {
  const capabilities = moduleCapabilities({
    imports: [
      { module: 'wasi_snapshot_preview1', name: 'random_get' },
      { module: 'env', name: 'proxy_log' },
      { module: 'env', name: 'proxy_log' },
      { module: 'env', name: 'emscripten_notify_memory_growth' },
    ],
    exports: ['proxy_abi_version_0_2_1', 'proxy_on_tick', 'malloc', 'proxy_on_context_create'],
  });
  expect(capabilities).toEqual(['proxy_log', 'proxy_on_context_create', 'proxy_on_tick', 'random_get']);
});
