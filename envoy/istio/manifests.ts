import { isDnsLabel } from '../../components-bridge/src/config/kubernetes.js';
import { appSocket, podsFolder, sessionSocket } from '../../components-bridge/src/config/sockets.js';
import type { EnvoyObject } from '../names.js';
import { APP_FOLDER, BRIDGE_FOLDER } from './options.js';

/** One bridge for every app of a node, or one in every pod. */
export type BridgeForm = 'daemonset' | 'sidecar';

/** What the resources are made of. In a chart each value is a token for what is filled in later. */
export interface ManifestOptions {
  namespace: string;
  /** The bridge's image. */
  image: string;
  /** Group that sidecars run with, whose members may connect to the sockets; Istio's is 1337. */
  socketGroup: number | string;
  /** Port of metrics and probes. */
  adminPort: number | string;
  /** Requests and limits of the bridge. */
  resources: object | string;
}

export interface DaemonSetOptions extends ManifestOptions {
  /** Folder on each node that holds a folder of sockets for each app. */
  hostPath: string;
  /** Configurations by file name, `NAME.yaml` for each app. */
  apps: Readonly<Record<string, string>> | string;
}

export interface SidecarOptions extends ManifestOptions {
  /** The app: name of the Deployment, and of its pods' label `app`. */
  app: string;
  appImage: string;
  /** The app's layotto.yaml. */
  config: string;
}

/** Names by which the parts of a form know each other. */
const NAME = 'layotto-bridge';
const LABELS = { 'app.kubernetes.io/name': NAME, 'app.kubernetes.io/part-of': 'layotto' };

/** User and group of the bridge's image. */
const USER = 65532;

/** Where the parts are, in the bridge's container. */
const SOCKETS = '/run/layotto';
const APPS = '/etc/layotto/apps';
const SECRETS = '/etc/layotto/secrets';
const DATA = '/var/lib/layotto';

export const DEFAULT_RESOURCES: Readonly<Record<BridgeForm, object>> = {
  // For 50 apps: see docs/deployment.md.
  daemonset: {
    requests: { cpu: '100m', memory: '256Mi', 'ephemeral-storage': '64Mi' },
    limits: { cpu: '2', memory: '1Gi', 'ephemeral-storage': '1Gi' },
  },
  sidecar: {
    requests: { cpu: '20m', memory: '96Mi', 'ephemeral-storage': '64Mi' },
    limits: { cpu: '1', memory: '256Mi', 'ephemeral-storage': '1Gi' },
  },
};

export const MANIFEST_DEFAULTS = {
  namespace: { daemonset: 'layotto-system', sidecar: 'default' },
  hostPath: '/run/layotto',
  socketGroup: 1337,
  adminPort: 34998,
} as const;

/**
 * The DaemonSet form: one bridge on each node. Nothing in it is root, so the folder on the node must be there and be
 * the bridge's; see docs/deployment.md for the line that makes it.
 */
export function renderDaemonSet(options: DaemonSetOptions): EnvoyObject[] {
  const { namespace, apps, hostPath, socketGroup, adminPort } = options;
  return [
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: meta(NAME, namespace),
      automountServiceAccountToken: false,
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta('layotto-apps', namespace), data: apps },
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: meta(NAME, namespace),
      spec: {
        selector: { matchLabels: { 'app.kubernetes.io/name': NAME } },
        // The new bridge takes the sockets over while the old one still serves; both see the same folder.
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          metadata: {
            labels: { ...LABELS, 'sidecar.istio.io/inject': 'false' },
            annotations: scraped(adminPort),
          },
          spec: {
            serviceAccountName: NAME,
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            // Apps need it, so it comes before them and is the last to be evicted.
            priorityClassName: 'system-node-critical',
            tolerations: [{ operator: 'Exists' }],
            terminationGracePeriodSeconds: 30,
            securityContext: { ...podSecurity(socketGroup), fsGroup: USER },
            containers: [
              {
                ...bridgeContainer(options, [
                  '--node',
                  ...['--apps', APPS],
                  ...['--socket-dir', SOCKETS],
                  '--takeover',
                ]),
                volumeMounts: [
                  { name: 'sockets', mountPath: SOCKETS },
                  { name: 'apps', mountPath: APPS, readOnly: true },
                  { name: 'secrets', mountPath: SECRETS, readOnly: true },
                  { name: 'data', mountPath: DATA },
                ],
              },
            ],
            volumes: [
              { name: 'sockets', hostPath: { path: hostPath, type: 'Directory' } },
              {
                name: 'apps',
                projected: {
                  defaultMode: 0o440,
                  // What holds passwords stands in a Secret of the same shape.
                  sources: [
                    { configMap: { name: 'layotto-apps' } },
                    { secret: { name: 'layotto-apps', optional: true } },
                  ],
                },
              },
              {
                name: 'secrets',
                secret: { secretName: 'layotto-secrets', optional: true, defaultMode: 0o440 },
              },
              { name: 'data', emptyDir: { sizeLimit: '1Gi' } },
            ],
          },
        },
      },
    },
  ];
}

/**
 * Annotations of an app's pods, in the DaemonSet form: the app's folder of the node, and only that, in the sidecar.
 * Read-only: sockets can still be connected to, and none can be put in their place. In a folder of its own inside it,
 * which the kubelet makes and no other pod sees, the sidecar makes its socket for deliveries.
 *
 * @param name the app's, as its file is called
 */
export function podAnnotations(hostPath: string, name: string): Record<string, string> {
  return {
    // A folder that is not there keeps the pod from starting, until the bridge has made it.
    'sidecar.istio.io/userVolume': JSON.stringify([
      { name: 'layotto', hostPath: { path: `${hostPath}/${name}`, type: 'Directory' } },
      { name: 'layotto-app', hostPath: { path: podsFolder(`${hostPath}/${name}`), type: 'Directory' } },
    ]),
    'sidecar.istio.io/userVolumeMount': JSON.stringify([
      { name: 'layotto', mountPath: BRIDGE_FOLDER, readOnly: true },
      { name: 'layotto-app', mountPath: APP_FOLDER, subPathExpr: '$(POD_NAME)' },
    ]),
  };
}

/**
 * The form of one bridge in every pod, as a native sidecar: it is up before the app starts, and ends after it.
 */
export function renderSidecar(options: SidecarOptions): EnvoyObject[] {
  const { namespace, app, appImage, config, socketGroup, adminPort } = options;
  const labels = { app, 'app.kubernetes.io/part-of': 'layotto' };
  const metadata = (name: string): EnvoyObject => ({ name, namespace, labels });
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata('layotto'), data: { 'layotto.yaml': config } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: metadata(app),
      spec: {
        selector: { matchLabels: { app } },
        template: {
          metadata: {
            labels,
            annotations: {
              ...scraped(adminPort),
              'sidecar.istio.io/userVolumeMount': JSON.stringify([
                { name: 'layotto', mountPath: BRIDGE_FOLDER, readOnly: true },
                { name: 'layotto-app', mountPath: APP_FOLDER },
              ]),
              // Probes come from the node; the sidecar would ask them for a certificate of the mesh.
              'traffic.sidecar.istio.io/excludeInboundPorts': asText(adminPort),
            },
          },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            terminationGracePeriodSeconds: 30,
            securityContext: { ...podSecurity(socketGroup), fsGroup: socketGroup },
            initContainers: [
              {
                ...bridgeContainer(options, [
                  ...['--config', '/etc/layotto/layotto.yaml'],
                  ...['--socket', sessionSocket(BRIDGE_FOLDER)],
                  ...['--app-socket', appSocket(APP_FOLDER)],
                ]),
                restartPolicy: 'Always',
                volumeMounts: [
                  { name: 'layotto', mountPath: BRIDGE_FOLDER },
                  { name: 'layotto-app', mountPath: APP_FOLDER, readOnly: true },
                  { name: 'layotto-config', mountPath: '/etc/layotto', readOnly: true },
                  { name: 'layotto-data', mountPath: DATA },
                ],
              },
            ],
            containers: [
              {
                name: 'app',
                image: appImage,
                securityContext: containerSecurity(),
                resources: {
                  requests: { cpu: '100m', memory: '128Mi' },
                  limits: { cpu: '1', memory: '512Mi' },
                },
              },
            ],
            volumes: [
              { name: 'layotto', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
              { name: 'layotto-app', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
              { name: 'layotto-config', configMap: { name: 'layotto', defaultMode: 0o440 } },
              { name: 'layotto-data', emptyDir: { sizeLimit: '1Gi' } },
            ],
          },
        },
      },
    },
  ];
}

/** What Kubernetes would refuse, a line each; empty if nothing. */
export function manifestProblems(options: ManifestOptions & { app?: string; hostPath?: string }): string[] {
  const problems: string[] = [];
  const expect = (fine: boolean, what: string, expected: string, found: unknown): void => {
    if (!fine) problems.push(`${what}: expected ${expected}, found ${JSON.stringify(found)}`);
  };
  const { namespace, image, app, hostPath } = options;
  expect(
    isDnsLabel(namespace),
    'namespace',
    'a Kubernetes namespace: lower-case letters, digits and "-"',
    namespace,
  );
  expect(
    /^[^\s:@/][^\s@]*(@sha256:[0-9a-f]{64})?$/.test(image),
    'image',
    'an image such as registry/layotto/bridge:0.1.0',
    image,
  );
  if (app !== undefined)
    expect(
      isDnsLabel(app),
      'app',
      'a Kubernetes name (it is the app\'s id): lower-case letters, digits and "-"',
      app,
    );
  if (hostPath !== undefined)
    expect(
      /^\/[\w.-]+(\/[\w.-]+)+$/.test(hostPath) && !hostPath.includes('..'),
      'host path',
      'an absolute path of at least two folders, such as /run/layotto',
      hostPath,
    );
  return problems;
}

function bridgeContainer(
  { image, socketGroup, adminPort, resources }: ManifestOptions,
  args: string[],
): EnvoyObject {
  const probe = (path: string, rest: object): EnvoyObject => ({ httpGet: { path, port: 'admin' }, ...rest });
  return {
    name: NAME,
    image,
    args: [
      'bridge',
      ...args,
      ...['--socket-gid', asText(socketGroup)],
      ...['--data-dir', DATA],
      ...['--admin', adminAddress(adminPort)],
    ],
    ports: [{ name: 'admin', containerPort: adminPort, protocol: 'TCP' }],
    startupProbe: probe('/readyz', { periodSeconds: 1, failureThreshold: 60 }),
    readinessProbe: probe('/readyz', { periodSeconds: 5, timeoutSeconds: 2 }),
    // It restarts what hangs, and not what has much to do: five times ten seconds.
    livenessProbe: probe('/livez', { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 5 }),
    resources,
    securityContext: containerSecurity(),
  };
}

function containerSecurity(): EnvoyObject {
  return {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

/** The group of the sockets is one of the bridge's, so that it can give them to it without being root. */
function podSecurity(socketGroup: number | string): EnvoyObject {
  return {
    runAsNonRoot: true,
    runAsUser: USER,
    runAsGroup: USER,
    supplementalGroups: [socketGroup],
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

function scraped(port: number | string): Record<string, string> {
  return {
    'prometheus.io/scrape': 'true',
    'prometheus.io/path': '/metrics',
    'prometheus.io/port': asText(port),
  };
}

/** A token of a chart with something around it, or the same of a number. */
function adminAddress(port: number | string): string {
  return typeof port === 'number'
    ? `0.0.0.0:${port}`
    : chartToken('printf "0.0.0.0:%v" ' + tokenExpression(port));
}

function asText(value: number | string): string {
  return typeof value === 'number' ? String(value) : chartToken(`${tokenExpression(value)} | toString`);
}

function meta(name: string, namespace: string): EnvoyObject {
  return { name, namespace, labels: LABELS };
}

const OPEN = 'HELM<';
const CLOSE = '>HELM';

/** Stands for what a chart fills in. @param expression of Go's templates */
export function chartToken(expression: string): string {
  return OPEN + expression + CLOSE;
}

function tokenExpression(token: string): string {
  return `(${token.slice(OPEN.length, -CLOSE.length)})`;
}

/** YAML in which tokens are template actions. Each is printed as JSON, which is YAML and quotes what must be quoted. */
export function fillTokens(yaml: string): string {
  return yaml.replace(/(["']?)HELM<(.*?)>HELM\1/g, (_, quote: string, written: string) => {
    const expression = quote === '"' ? (JSON.parse(`"${written}"`) as string) : written.replaceAll("''", "'");
    return `{{ ${expression} | toJson }}`;
  });
}
