import {
  chartToken,
  DEFAULT_RESOURCES,
  fillTokens,
  MANIFEST_DEFAULTS,
  renderDaemonSet,
  renderSidecar,
} from './istio/manifests.js';
import type { BridgeForm } from './istio/manifests.js';
import type { EnvoyObject } from './names.js';
import { toYaml } from './yaml.js';

/** Resources one after another, as `kubectl apply` reads them. */
export function toDocuments(resources: readonly EnvoyObject[]): string {
  return resources.map(toYaml).join('---\n');
}

/** Values of the chart, and what stands for each in the templates. */
const VALUES = {
  form: 'daemonset',
  image: { repository: 'layotto/bridge', tag: '' },
  socketGroup: MANIFEST_DEFAULTS.socketGroup,
  adminPort: MANIFEST_DEFAULTS.adminPort,
  daemonset: { hostPath: MANIFEST_DEFAULTS.hostPath, apps: {}, resources: DEFAULT_RESOURCES.daemonset },
  sidecar: {
    app: 'shop',
    appImage: 'registry.example/shop:1',
    config: 'app: {id: shop}\n',
    resources: DEFAULT_RESOURCES.sidecar,
  },
};

const COMMENTS: Readonly<Record<string, string>> = {
  form: 'daemonset: one bridge on each node. sidecar: one in each pod of an app.',
  image: "the bridge's image; the tag is the chart's appVersion unless one is given",
  socketGroup: 'group that sidecars run with',
  adminPort: 'port of metrics and probes',
  daemonset: 'apps: a layotto.yaml for each app, by file name, such as \'shop.yaml: "…"\'',
  sidecar: "the app's Deployment, and its layotto.yaml",
};

/** The Helm chart: contents by file name. Its templates are made by what `layotto envoy manifests` prints. */
export function renderChart(version: string): Record<string, string> {
  const common = {
    namespace: chartToken('.Release.Namespace'),
    image: chartToken(
      'printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion)',
    ),
    socketGroup: chartToken('.Values.socketGroup | int'),
    adminPort: chartToken('.Values.adminPort | int'),
  };
  const daemonset = renderDaemonSet({
    ...common,
    resources: chartToken('.Values.daemonset.resources'),
    hostPath: chartToken('.Values.daemonset.hostPath'),
    apps: chartToken('.Values.daemonset.apps'),
  });
  const sidecar = renderSidecar({
    ...common,
    resources: chartToken('.Values.sidecar.resources'),
    app: chartToken('.Values.sidecar.app'),
    appImage: chartToken('.Values.sidecar.appImage'),
    config: chartToken('.Values.sidecar.config'),
  });
  const values = Object.entries(VALUES).map(
    ([key, value]) => `# ${COMMENTS[key]}\n${toYaml({ [key]: value })}`,
  );
  return {
    'Chart.yaml': toYaml({
      apiVersion: 'v2',
      name: 'layotto',
      description: 'The bridge of Layotto on Envoy, one for each node or one in each pod',
      type: 'application',
      version,
      appVersion: version,
      kubeVersion: '>=1.29.0-0',
    }),
    'values.yaml': values.join('\n'),
    'values.schema.json': `${JSON.stringify(SCHEMA, null, 2)}\n`,
    'templates/daemonset.yaml': template('daemonset', daemonset),
    'templates/sidecar.yaml': template('sidecar', sidecar),
  };
}

const text = { type: 'string', minLength: 1 };
const port = { type: 'integer', minimum: 1, maximum: 65535 };
const resources = { type: 'object', required: ['requests', 'limits'] };

/** What values may be, so that a slip is said and not rendered. */
const SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  properties: {
    form: { enum: ['daemonset', 'sidecar'] },
    image: {
      type: 'object',
      additionalProperties: false,
      properties: { repository: text, tag: { type: 'string' } },
    },
    socketGroup: { type: 'integer', minimum: 1 },
    adminPort: port,
    daemonset: {
      type: 'object',
      additionalProperties: false,
      properties: {
        hostPath: { type: 'string', pattern: '^/[\\w.-]+(/[\\w.-]+)+$' },
        apps: { type: 'object', additionalProperties: { type: 'string' } },
        resources,
      },
    },
    sidecar: {
      type: 'object',
      additionalProperties: false,
      properties: { app: text, appImage: text, config: text, resources },
    },
    global: { type: 'object' },
  },
  additionalProperties: false,
};

function template(form: BridgeForm, resources: readonly EnvoyObject[]): string {
  const made = '{{- /* Made by envoy/helm-chart.ts; change that. */ -}}';
  return `${made}\n{{- if eq .Values.form "${form}" }}\n${fillTokens(toDocuments(resources))}{{- end }}\n`;
}
