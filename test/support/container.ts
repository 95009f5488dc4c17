import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { Child } from './child.js';
import { http1 } from './http1.js';
import type { ImageConfig } from './oci.js';
import { freePort } from './ports.js';
import { eventually } from './wait.js';

/** The part of a pod's specification that says how a process starts, and what it finds. */
export interface PodSpec {
  securityContext?: {
    runAsUser?: number;
    runAsGroup?: number;
    supplementalGroups?: number[];
    fsGroup?: number;
  };
  initContainers?: ContainerSpec[];
  containers: ContainerSpec[];
  volumes?: VolumeSpec[];
  terminationGracePeriodSeconds?: number;
}

export interface ContainerSpec {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value: string }[];
  ports?: { name?: string; containerPort: number }[];
  securityContext?: { runAsUser?: number; runAsGroup?: number };
  volumeMounts?: { name: string; mountPath: string }[];
  startupProbe?: Probe;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
}

export interface Probe {
  httpGet: { path: string; port: string };
  periodSeconds?: number;
  timeoutSeconds?: number;
  failureThreshold?: number;
}

interface VolumeSpec {
  name: string;
  emptyDir?: object;
  hostPath?: { path: string; type?: string };
  configMap?: { name: string; defaultMode?: number };
  secret?: { secretName: string; optional?: boolean; defaultMode?: number };
  projected?: {
    defaultMode?: number;
    sources: { configMap?: { name: string }; secret?: { name: string; optional?: boolean } }[];
  };
}

/** A resource as a manifest has it. */
export interface Resource {
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
  spec?: { template: { spec: PodSpec } };
}

/** An unpacked image. */
export interface Image {
  rootfs: string;
  config: ImageConfig['config'];
}

/** Whether this process may be anybody. */
export const ROOT = process.getuid?.() === 0;

/** What the kubelet gives a probe that says nothing else. */
const PROBE = { periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3 };

/**
 * A container of a pod, started by what its manifest says, in its image's files: entry point or command, arguments,
 * variables, user and groups as they are, volumes as the kubelet makes them. It has no network of its own, so each of its
 * ports is another one, which takes that number's place behind a colon in the arguments.
 */
export class Container {
  private constructor(
    readonly spec: ContainerSpec,
    readonly child: Child,
    private readonly rootfs: string,
    private readonly volumes: readonly string[],
    private readonly ports: ReadonlyMap<string, number>,
  ) {}

  /**
   * Starts it.
   *
   * @param resources of the manifest: its ConfigMaps
   * @param onNode makes a folder that the pod mounts from the node
   */
  static async start(
    { rootfs, config }: Image,
    pod: PodSpec,
    name: string,
    resources: readonly Resource[],
    onNode: (folder: string) => void = (folder) => {
      throw new Error(`the node has no folder for ${folder}`);
    },
  ): Promise<Container> {
    const spec = [...(pod.initContainers ?? []), ...pod.containers].find((one) => one.name === name);
    if (spec === undefined) throw new Error(`the pod has no container ${name}`);
    const volumes = (spec.volumeMounts ?? []).map(({ name: volume, mountPath }) => {
      const source = pod.volumes?.find((one) => one.name === volume);
      if (source === undefined) throw new Error(`the pod has no volume ${volume}`);
      const folder = inImage(rootfs, mountPath);
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      fill(folder, source, pod.securityContext?.fsGroup, resources, onNode);
      return folder;
    });
    const ports = new Map<string, number>();
    let args = spec.args ?? config.Cmd ?? [];
    for (const { name: port = '', containerPort } of spec.ports ?? []) {
      ports.set(port, await freePort());
      args = args.map((arg) => arg.replace(new RegExp(`:${containerPort}$`), `:${ports.get(port)}`));
    }
    if (!ROOT) args = args.map((arg, at) => withoutGroup(arg, args[at - 1]));
    const command = [...(spec.command ?? config.Entrypoint ?? []), ...args];
    const env = [...(config.Env ?? []), ...(spec.env ?? []).map((one) => `${one.name}=${one.value}`)];
    const inside = ['unshare', `--root=${rootfs}`, `--wd=${config.WorkingDir ?? '/'}`];
    // Who is not root here can be nobody but root there, and give files to no other group.
    const enter = ROOT ? [...become(pod, spec, config), ...inside] : [...inside, '--map-root-user'];
    const [program = '', ...rest] = enter;
    const child = new Child(name, 'env', ['-i', ...env, which(program), ...rest, ...command]);
    return new Container(spec, child, rootfs, volumes, ports);
  }

  /** A path of the container, outside of it. */
  path(inside: string): string {
    return inImage(this.rootfs, inside);
  }

  /** Asks its probes as the kubelet does. @throws Error when it would restart it */
  async probe(): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = this.spec;
    if (startupProbe !== undefined) {
      const { periodSeconds, failureThreshold } = { ...PROBE, ...startupProbe };
      await eventually(
        `${this.spec.name} has started`,
        () => {
          if (this.child.exitCode !== undefined) throw new Error(this.child.tail());
          return this.#ask(startupProbe);
        },
        { timeoutMs: periodSeconds * failureThreshold * 1_000, everyMs: periodSeconds * 100 },
      );
    }
    for (const probe of [readinessProbe, livenessProbe]) {
      if (probe !== undefined && !(await this.#ask(probe)))
        throw new Error(`${probe.httpGet.path} does not answer well: ${this.child.tail()}`);
    }
  }

  /** Ends it, and removes its volumes. @returns its exit code */
  async stop(graceSeconds = 30): Promise<number> {
    const code = await this.child.stop(graceSeconds * 1_000);
    for (const folder of this.volumes) rmSync(folder, { recursive: true, force: true });
    return code;
  }

  async #ask({ httpGet, timeoutSeconds = PROBE.timeoutSeconds }: Probe): Promise<boolean> {
    const port = this.ports.get(httpGet.port);
    if (port === undefined) throw new Error(`${this.spec.name} has no port ${httpGet.port}`);
    const options = { timeoutMs: timeoutSeconds * 1_000 };
    const answer = await http1({ port }, 'GET', httpGet.path, options).catch(() => undefined);
    // As the kubelet has it.
    return answer !== undefined && answer.status >= 200 && answer.status < 400;
  }
}

function withoutGroup(arg: string, before: string | undefined): string {
  return before === '--socket-gid' ? '0' : arg.replace(/^--socket-gid=\d+$/, '--socket-gid=0');
}

/** A path of an image, outside of it; an absolute link of the image would lead out of it. */
function inImage(rootfs: string, path: string): string {
  return join(rootfs, path.replace(/^\/var\/run\//, '/run/'));
}

/** The beginning of a command that is run by the container's user, who may do no more than enter the image. */
function become(
  pod: PodSpec,
  { securityContext: own }: ContainerSpec,
  { User = '' }: Image['config'],
): string[] {
  const [imageUser, imageGroup] = User.split(':');
  const { runAsUser = imageUser, runAsGroup = imageGroup } = { ...pod.securityContext, ...own };
  const { supplementalGroups = [], fsGroup } = pod.securityContext ?? {};
  const groups = [...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])];
  return [
    'setpriv',
    ...['--reuid', String(runAsUser), '--regid', String(runAsGroup)],
    ...(groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')]),
    ...['--bounding-set', '-all,+sys_chroot', '--inh-caps', '-all,+sys_chroot'],
    ...['--ambient-caps', '-all,+sys_chroot'],
  ];
}

function fill(
  folder: string,
  volume: VolumeSpec,
  fsGroup: number | undefined,
  resources: readonly Resource[],
  onNode: (folder: string) => void,
): void {
  const own = (path: string): void => {
    if (ROOT) chownSync(path, 0, fsGroup ?? 0);
  };
  if (volume.emptyDir !== undefined) {
    own(folder);
    chmodSync(folder, fsGroup === undefined ? 0o777 : 0o2777);
  } else if (volume.hostPath !== undefined) {
    onNode(folder);
  } else {
    const { projected, configMap, secret } = volume;
    const mode = (projected ?? configMap ?? secret)?.defaultMode ?? 0o644;
    const sources = projected?.sources ?? [
      { ...(configMap && { configMap }), ...(secret && { secret: { ...secret, name: secret.secretName } }) },
    ];
    const files = Object.assign({}, ...sources.map((source) => dataOf(source, resources))) as Record<
      string,
      string
    >;
    // The kubelet's atomic writer: all files change with one link.
    const written = join(folder, '..2026_01_01');
    mkdirSync(written);
    for (const [name, text] of Object.entries(files)) {
      const path = join(written, name);
      writeFileSync(path, text);
      own(path);
      chmodSync(path, mode);
      symlinkSync(join('..data', name), join(folder, name));
    }
    symlinkSync('..2026_01_01', join(folder, '..data'));
  }
}

function dataOf(
  { configMap, secret }: { configMap?: { name: string }; secret?: { name: string; optional?: boolean } },
  resources: readonly Resource[],
): Record<string, string> {
  const [kind, name] = configMap === undefined ? ['Secret', secret?.name] : ['ConfigMap', configMap.name];
  const found = resources.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined && secret?.optional !== true)
    throw new Error(`the manifest has no ${kind} ${name}, so the pod would not start`);
  return found?.data ?? {};
}

/** Every file of an image with its size and time of change, except what is in a container's volumes. */
export function listing(rootfs: string, { volumeMounts = [] }: ContainerSpec): string[] {
  const volumes = volumeMounts.map(({ mountPath }) => inImage(rootfs, mountPath));
  const walk = (folder: string): string[] =>
    readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      if (volumes.includes(path)) return [];
      const found = lstatSync(path);
      return found.isDirectory() ? walk(path) : [`${path} ${found.size} ${found.mtimeMs}`];
    });
  return walk(rootfs).sort();
}

/** A program's path, for an environment without ours. */
export function which(program: string): string {
  return execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`], {
    encoding: 'utf8',
  }).trim();
}
