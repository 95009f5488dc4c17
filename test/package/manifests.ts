import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';

import { FailureSchema, Kind } from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import * as state from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { blocksOf } from '../docs/markdown.js';
import { Container, listing, ROOT } from '../support/container.js';
import type { Image, PodSpec, Resource } from '../support/container.js';
import { SessionClient } from '../support/session-client.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const BRIDGE = 'layotto-bridge';
const SIDECAR_GROUP = 1337;

/** Manifests with a bridge's container, and the sockets that it serves for whom. */
const MANIFESTS: [file: string, sockets: Record<string, string>][] = [
  ['examples/istio/deployment.yaml', { shop: '/var/run/layotto/session.sock' }],
  ['envoy/rendered/bridge-sidecar.yaml', { shop: '/var/run/layotto/session.sock' }],
  // The chart makes the same as these two, see test/helm.
  [
    'envoy/rendered/bridge-daemonset.yaml',
    { shop: '/run/layotto/shop/session.sock', billing: '/run/layotto/billing/session.sock' },
  ],
];

/** The bridge's container of each printed manifest, run as it stands there, in the image. */
export function manifestsRun(image: () => Image): void {
  describe.each(MANIFESTS)('as %s starts it', (file, sockets) => {
    let redis: StoreServer;
    beforeAll(async () => {
      redis = await startStore('redis');
    });
    afterAll(() => redis?.stop());

    it('comes up, answers its probes, serves and ends', async () => {
      const resources = resourcesOf(file, redis.port);
      await run(image(), podOf(resources), resources, sockets);
    }, 60_000);
  });

  it('comes up, serves and ends as docs/images.md starts it', async () => {
    const [block] = blocksOf(readFileSync(join(root, 'docs/images.md'), 'utf8')).filter(
      ({ mark }) => mark === 'pod',
    );
    const data = { 'layotto.yaml': 'app: {id: shop}\n' };
    const resources = [{ kind: 'ConfigMap', metadata: { name: 'layotto' }, data }];
    await run(image(), parse(block?.text ?? '') as PodSpec, resources, { shop: '/run/layotto/session.sock' });
  }, 60_000);

  it('is the only program of the project that manifests start', () => {
    for (const [file] of MANIFESTS) {
      const pod = podOf(resourcesOf(file, 0));
      const others = [...(pod.initContainers ?? []), ...pod.containers].filter(({ name }) => name !== BRIDGE);
      // What is not the bridge is the user's own, and told nothing.
      for (const { image, command, args, startupProbe, readinessProbe, livenessProbe } of others) {
        expect(image).not.toMatch(/layotto/);
        expect([command, args, startupProbe, readinessProbe, livenessProbe]).toEqual(
          Array(5).fill(undefined),
        );
      }
    }
  });
}

/** Starts the bridge's container of a pod, sees it serve, and ends it. */
async function run(
  image: Image,
  pod: PodSpec,
  resources: readonly Resource[],
  sockets: Readonly<Record<string, string>>,
): Promise<void> {
  const spec = [...(pod.initContainers ?? []), ...pod.containers].find(({ name }) => name === BRIDGE);
  if (spec === undefined) throw new Error(`the pod has no container ${BRIDGE}`);
  const before = listing(image.rootfs, spec);
  const container = await Container.start(image, pod, BRIDGE, resources, folderOfNode);
  try {
    await container.probe();
    for (const [app, socket] of Object.entries(sockets)) await serves(container, app, socket);
  } finally {
    await container.stop(pod.terminationGracePeriodSeconds);
  }
  expect(await container.child.exited).toBe(0);
  // Its root may be read-only.
  expect(listing(image.rootfs, spec)).toEqual(before);
}

/** The resources of a manifest, with a Redis that there is in place of each that is named. */
function resourcesOf(file: string, redisPort: number): Resource[] {
  const text = readFileSync(join(root, file), 'utf8').replaceAll(
    /redis\.\w+:6379/g,
    `127.0.0.1:${redisPort}`,
  );
  return parseAllDocuments(text).map((document) => document.toJS() as Resource);
}

function podOf(resources: readonly Resource[]): PodSpec {
  const pods = resources.flatMap(({ spec }) => (spec === undefined ? [] : [spec.template.spec]));
  const [pod] = pods;
  if (pod === undefined || pods.length !== 1) throw new Error(`expected one workload, found ${pods.length}`);
  return pod;
}

/** Makes the folder on the node as the guide says. */
function folderOfNode(folder: string): void {
  const guide = readFileSync(join(root, 'docs/deployment.md'), 'utf8');
  const [, mode, user, group] = /^ *d \/run\/layotto (\d+) (\d+) (\d+)$/m.exec(guide) ?? [];
  if (mode === undefined) throw new Error('docs/deployment.md has no line for tmpfiles.d');
  mkdirSync(folder, { recursive: true });
  if (ROOT) chownSync(folder, Number(user), Number(group));
  chmodSync(folder, Number.parseInt(mode, 8));
}

/** Whether an app's socket is the sidecars' to connect to, and leads to a store that keeps what it gets. */
async function serves(container: Container, app: string, socket: string): Promise<void> {
  const path = container.path(socket);
  const found = await eventually(
    `${socket} is there`,
    () => {
      if (container.child.exitCode !== undefined) throw new Error(container.child.tail());
      return statSync(path, { throwIfNoEntry: false });
    },
    { timeoutMs: 30_000 },
  );
  expect((found.mode & 0o777).toString(8)).toBe('660');
  if (ROOT) expect(found.gid).toBe(SIDECAR_GROUP);
  if (/^\/run\/layotto\/\w+\/session\.sock$/.test(socket)) hasFolderForPods(dirname(path));
  const client = SessionClient.open(path, { hello: { appId: app } });
  try {
    const states = [{ key: 'who', value: Buffer.from(app) }];
    const save = create(state.SaveStateRequestSchema, { storeName: 'statestore', states });
    await perform(client, 'SaveState', toBinary(state.SaveStateRequestSchema, save));
    const get = create(state.GetStateRequestSchema, { storeName: 'statestore', key: 'who' });
    const answer = await perform(client, 'GetState', toBinary(state.GetStateRequestSchema, get));
    const { data } = fromBinary(state.GetStateResponseSchema, answer);
    expect(Buffer.from(data).toString()).toBe(app);
  } finally {
    client.close();
  }
}

/**
 * Whether an app's folder on a node has one of which the kubelet makes parts for pods: with its mode, and by the bit that
 * hands on its group, with its group.
 */
function hasFolderForPods(folder: string): void {
  const found = statSync(join(folder, 'pods'));
  expect((found.mode & 0o7777).toString(8)).toBe('2770');
  if (ROOT) expect(found.gid).toBe(SIDECAR_GROUP);
}

/** The result of an operation, which is asked for again until the store is connected. */
async function perform(client: SessionClient, method: string, payload: Uint8Array): Promise<Uint8Array> {
  return eventually(`${method} has a result`, async () => {
    const id = client.frames.length + 1;
    client.request(id, `layotto.bridge.v1.State/${method}`, payload);
    const answered = [Kind.RESULT, Kind.FAILURE];
    const frame = await eventually('there is an answer', () =>
      client.frames.find((one) => one.id === BigInt(id) && answered.includes(one.kind)),
    );
    if (frame.kind === Kind.RESULT) return frame.payload;
    throw new Error(fromBinary(FailureSchema, frame.payload).message);
  });
}
