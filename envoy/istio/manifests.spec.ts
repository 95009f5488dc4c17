import { readFileSync } from 'node:fs';
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import { parseAllDocuments } from 'yaml';

import { manifestProblems, podAnnotations } from './manifests.js';

interface Container {
  name: string;
  args?: string[];
  resources: { requests: object; limits: object };
  securityContext: Record<string, unknown>;
  restartPolicy?: string;
  startupProbe?: object;
  livenessProbe?: object;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
}

interface PodSpec {
  securityContext: Record<string, unknown> & { supplementalGroups: number[] };
  initContainers?: Container[];
  containers: Container[];
  volumes: { name: string; hostPath?: { type: string } }[];
}

interface Resource {
  kind: string;
  metadata: { name: string; namespace: string };
  data?: Record<string, string>;
  spec: {
    updateStrategy?: object;
    template: { metadata: { annotations: Record<string, string> }; spec: PodSpec };
  };
}

const KINDS = { DaemonSet, Deployment, ConfigMap, ServiceAccount };

function printed(form: string): Resource[] {
  const text = readFileSync(new URL(`../rendered/bridge-${form}.yaml`, import.meta.url), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJS() as Resource);
}

function workload(form: string): Resource['spec'] {
  const found = printed(form).find(({ kind }) => kind === 'DaemonSet' || kind === 'Deployment');
  if (found === undefined) throw new Error('there is no workload');
  return found.spec;
}

describe.each(['daemonset', 'sidecar'])('the %s form', (form) => {
  const { template } = workload(form);
  const { initContainers = [], containers, volumes, securityContext } = template.spec;
  const all = [...initContainers, ...containers];

  it("is valid by Kubernetes' schemas", () => {
    for (const resource of printed(form)) {
      const Kind = KINDS[resource.kind as keyof typeof KINDS];
      const validate = (changed: object): void => new Kind({ ...resource, ...changed } as never).validate();
      expect(() => validate({})).not.toThrow();
      expect(() => validate({ metadata: { name: 7 } })).toThrow('name');
    }
  });

  it('runs nothing as root, and nothing that could become it', () => {
    expect(securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      supplementalGroups: [1337],
    });
    for (const container of all) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        privileged: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const kind of [container.resources.requests, container.resources.limits]) {
        expect(kind).toMatchObject({
          cpu: expect.any(String) as string,
          memory: expect.any(String) as string,
        });
      }
    }
  });

  it('gives sockets to the group of sidecars, and mounts what is not written to read-only', () => {
    const bridge = all.find(({ name }) => name === 'layotto-bridge');
    expect(bridge?.args?.join(' ')).toContain('--socket-gid 1337');
    const names = volumes.map(({ name }) => name);
    for (const { name, mountPath, readOnly } of bridge?.volumeMounts ?? []) {
      expect(names).toContain(name);
      expect(readOnly === true).toBe(mountPath.startsWith('/etc/') || mountPath === '/var/run/layotto-app');
    }
    expect(bridge?.startupProbe).toBeDefined();
    expect(bridge?.livenessProbe).toBeDefined();
  });
});

it('on a node the new bridge comes before the old one goes, and a folder that is not there is made by nobody else', () => {
  const { updateStrategy, template } = workload('daemonset');
  expect(updateStrategy).toEqual({
    type: 'RollingUpdate',
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
  });
  expect(template.spec.containers[0]?.args).toContain('--takeover');
  expect(template.spec.volumes[0]?.hostPath?.type).toBe('Directory');
});

it("in a pod the bridge starts before the app and ends after it: Kubernetes' native sidecar", () => {
  const { initContainers, containers } = workload('sidecar').template.spec;
  expect(initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
    ['layotto-bridge', 'Always'],
  ]);
  expect(containers.map(({ name }) => name)).toEqual(['app']);
});

it("an app's pods get the app's folder and no other, and can write to nothing but their own part of it", () => {
  const annotations = podAnnotations('/run/layotto', 'shop');
  expect(JSON.parse(annotations['sidecar.istio.io/userVolume'] ?? '')).toEqual([
    { name: 'layotto', hostPath: { path: '/run/layotto/shop', type: 'Directory' } },
    { name: 'layotto-app', hostPath: { path: '/run/layotto/shop/pods', type: 'Directory' } },
  ]);
  expect(JSON.parse(annotations['sidecar.istio.io/userVolumeMount'] ?? '')).toEqual([
    { name: 'layotto', mountPath: '/var/run/layotto', readOnly: true },
    { name: 'layotto-app', mountPath: '/var/run/layotto-app', subPathExpr: '$(POD_NAME)' },
  ]);
});

it('says what Kubernetes would refuse', () => {
  const fine = { namespace: 'a', image: 'b:1', socketGroup: 1, adminPort: 1, resources: {} };
  expect(manifestProblems({ ...fine, app: 'shop', hostPath: '/run/layotto' })).toEqual([]);
  expect(
    manifestProblems({ ...fine, namespace: 'A', image: 'b c', app: 'x.y', hostPath: '/' }).map((line) =>
      line.replace(/:.*/, ''),
    ),
  ).toEqual(['namespace', 'image', 'app', 'host path']);
  expect(manifestProblems({ ...fine, hostPath: '/run/../etc' })).toHaveLength(1);
});
