/** Minor versions of Envoy that the runtime is made for. */
export const SUPPORTED_ENVOY: readonly string[] = ['1.36', '1.37', '1.38', '1.39', '1.40'];

/** Builds that carry a supported version but cannot run a module, and why. */
const UNUSABLE: Readonly<Record<string, string>> = {
  '1.38.3': 'it was built without V8, so it cannot run a wasm module',
};

/**
 * Reads the output of `envoy --version` and says whether that Envoy can be used.
 *
 * @returns its version, or the problem with what is supported
 */
export function checkEnvoyVersion(output: string): { version: string } | { problem: string } {
  const supported = `supported: ${SUPPORTED_ENVOY.map((minor) => `${minor}.x`).join(', ')}`;
  // "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
  const match = /version: [0-9a-f]+\/((\d+\.\d+)\.\d+)(-[\w.]+)?\//.exec(output);
  const [, version, minor] = match ?? [];
  if (version === undefined || minor === undefined) {
    const first = output.trim().split('\n', 1)[0]?.slice(0, 120) ?? '';
    return { problem: `cannot tell the Envoy version from ${JSON.stringify(first)}; ${supported}` };
  }
  if (!SUPPORTED_ENVOY.includes(minor)) return { problem: `Envoy ${version} is not supported; ${supported}` };
  const reason = UNUSABLE[version];
  if (reason !== undefined)
    return { problem: `Envoy ${version} cannot be used: ${reason}; ${supported} but ${version}` };
  return { version };
}
