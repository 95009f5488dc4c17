import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parser } from '@prometheus-io/lezer-promql';
import { pino } from 'pino';
import { parse } from 'yaml';

import { catalog } from '../../components-bridge/src/catalog.js';
import { NodeBridge } from '../../components-bridge/src/node/node-bridge.js';
import { Secrets } from '../../components-bridge/src/telemetry/secrets.js';
import { HttpApp } from '../support/http-app.js';
import { http1 } from '../support/http1.js';
import { CommandLab } from '../support/layotto.js';
import { freePort } from '../support/ports.js';
import { SessionClient } from '../support/session-client.js';
import { eventually } from '../support/wait.js';
import { read } from './markdown.js';

/** Names of metrics with the labels that their samples have, and the values of each. */
type Scrape = Map<string, Map<string, Set<string>>>;

interface Alert {
  alert: string;
  expr: string;
  annotations: { summary: string };
}

interface Panel {
  title: string;
  type: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; legendFormat: string }[];
}

const alerts = (
  parse(read('docs/operations/alerts.yaml')) as { groups: { rules: Alert[] }[] }
).groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(read('docs/operations/grafana.json')) as {
  uid: string;
  schemaVersion: number;
  panels: Panel[];
  templating: { list: { name: string; query?: string }[] };
};
const panels = dashboard.panels.filter(({ type }) => type !== 'row');

/** Samples that are there only once something has happened. */
const RARE = [
  'layotto_operations_total',
  'envoy_cluster_upstream_rq',
  'layotto_bridge_backend_errors_total',
  'layotto_bridge_pubsub_publish_seconds_bucket',
  'layotto_bridge_pubsub_deliveries_total',
  'layotto_bridge_pubsub_lag',
  'layotto_sequencer_weak_ids_total',
  'layotto_policy_denials_total',
  'layotto_rate_limit_refusals_total',
  'layotto_bridge_policy_denials_total',
  'layotto_bridge_app_refusals_total',
];

let lab: CommandLab;
/** Is told of events, and invoked. */
let app: HttpApp;
/** A bridge for the apps of a node, with one app. */
let apps: { dir: string; bridge: NodeBridge };
/** Sessions that say they are another app's. */
const stray: SessionClient[] = [];
let scrape: Scrape;

beforeAll(async () => {
  [lab, app] = await Promise.all([CommandLab.open(), HttpApp.open()]);
  const [away, proxy] = [await freePort(), await freePort()];
  app.subscriptions = [{ pubsubname: 'events', topic: 'orders', route: '/orders' }];
  await app.start();
  lab.file(
    'layotto.yaml',
    JSON.stringify({
      policy: {
        rules: [{ name: 'no-deletes', deny: { operations: ['DeleteState'] } }],
        limits: [{ name: 'few', operations: ['SaveState'], rate: '1/h' }],
      },
      listen: { proxy },
      callees: { pay: [`127.0.0.1:${app.port}`] },
      components: [
        { name: 'kept', type: 'state.embedded' },
        { name: 'events', type: 'pubsub.embedded' },
        { name: 'env', type: 'secretstores.local.env', access: { default: 'deny' } },
        { name: 'ids', type: 'sequencer.embedded', metadata: { segmentCacheEnable: true } },
        { name: 'away', type: 'state.redis', metadata: { redisHost: `127.0.0.1:${away}` } },
      ],
    }),
  );
  await lab.ready(lab.run([], { options: ['-c', 'layotto.yaml', '--app-port', String(app.port)] }));
  apps = await startNode();
  await eventually('every kind of sample is there', async () => {
    await http1({ port: lab.port }, 'GET', '/v1.0/state/kept/k');
    await http1({ port: lab.port }, 'GET', '/v1.0/state/away/k');
    await http1({ port: lab.port }, 'DELETE', '/v1.0/state/kept/k');
    await http1({ port: lab.port }, 'POST', '/v1.0/state/kept', { body: '[]' });
    await http1({ port: lab.port }, 'POST', '/v1.0/publish/events/orders', { body: 'x' });
    await http1({ port: lab.port }, 'GET', '/v1.0/invoke/pay/method/x');
    await http1({ port: lab.port }, 'GET', '/x', { headers: { 'dapr-app-id': 'pay' } });
    await http1({ port: proxy }, 'GET', '/x', { headers: { host: 'pay' } });
    const { status } = await http1({ port: lab.port }, 'POST', '/v1.0-layotto/sequencer/GetNextId', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ storeName: 'ids', key: 'order' }),
    });
    expect(status).toBe(200);
    const named = { storeName: 'env', key: 'HOME' };
    const denied = await http1({ port: lab.port }, 'POST', '/v1.0-layotto/secret/GetSecret', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(named),
    });
    expect(denied.status).toBe(403);
    stray.push(SessionClient.open(join(apps.dir, 'shop', 'session.sock'), { hello: { appId: 'other' } }));
    scrape = new Map();
    for (const page of ['/metrics', '/metrics/bridge'])
      note(scrape, (await http1({ port: lab.metricsPort }, 'GET', page)).body);
    note(scrape, (await http1({ socketPath: join(apps.dir, 'bridge-admin.sock') }, 'GET', '/metrics')).body);
    const calls = scrape.get('layotto_operations_total');
    const counted =
      calls?.get('primitive')?.has('invoke') === true &&
      calls.get('door')?.has('outbound') === true &&
      scrape.get('envoy_cluster_upstream_rq')?.get('callee')?.has('pay') === true;
    return counted && RARE.every((name) => scrape.has(name));
  });
});
afterAll(async () => {
  for (const client of stray) client.close();
  await apps?.bridge.drain(100);
  await rm(apps?.dir ?? '', { recursive: true, force: true });
  await lab?.close();
  await app?.stop();
});

async function startNode(): Promise<typeof apps> {
  const dir = await mkdtemp(join(tmpdir(), 'node-'));
  await mkdir(join(dir, 'apps'));
  await writeFile(join(dir, 'apps', 'shop.yaml'), 'app: {id: shop}\ncomponents: []\n');
  const bridge = new NodeBridge({
    sources: { apps: join(dir, 'apps') },
    catalog,
    version: '1.2.3',
    dataDir: dir,
    socketDir: dir,
    limits: { operations: 100, bytes: 8_388_608, sessions: 16 },
    takeover: false,
    env: {},
    log: pino({ enabled: false }),
    secrets: new Secrets(),
  });
  await bridge.start();
  return { dir, bridge };
}

/** Enters the samples of a page in Prometheus' text format; Prometheus itself adds `instance` and `job`. */
function note(into: Scrape, page: string): void {
  for (const [, name = '', labels = ''] of page.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? /gm)) {
    const known =
      into.get(name) ?? new Map([...['instance', 'job'].map((own) => [own, new Set<string>()] as const)]);
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      known.set(label, (known.get(label) ?? new Set()).add(value));
    into.set(name, known);
  }
}

/** What an expression asks for that is not there, or that is no PromQL. */
function problemsOf(expression: string): string[] {
  // Grafana puts a duration in place of its own variable.
  const text = expression.replaceAll('$__rate_interval', '1m');
  const problems: string[] = [];
  const metrics: string[] = [];
  const labels: string[] = [];
  /** Labels with a value that is asked for as it stands. */
  const values: [label: string, value: string][] = [];
  parser.parse(text).iterate({
    enter: ({ name, type, from, to, node }) => {
      const part = text.slice(from, to);
      if (type.isError) problems.push(`not PromQL at ${from}: ${text.slice(from, from + 20)}`);
      else if (name === 'Identifier' && node.parent?.name === 'VectorSelector') metrics.push(part);
      else if (name === 'LabelName') labels.push(part);
      else if (name === 'UnquotedLabelMatcher') {
        const [, label, value] = /^(\w+)="([^"$]*)"$/.exec(part) ?? [];
        if (label !== undefined && value !== undefined) values.push([label, value]);
      }
    },
  });
  if (metrics.length === 0) problems.push('names no metric');
  for (const metric of metrics) {
    const known = scrape.get(metric);
    if (known === undefined) problems.push(`no metric ${metric}`);
    else
      problems.push(
        ...labels.filter((label) => !known.has(label)).map((label) => `${metric} has no ${label}`),
        ...values
          .filter(([label, value]) => known.get(label)?.has(value) === false)
          .map(([label, value]) => `${metric} has no ${label} ${value}`),
      );
  }
  return problems;
}

test('PromQL that asks for what is not there is noticed', () => {
  expect(problemsOf('sum(rate(layotto_made_up[1m]))')).toEqual(['no metric layotto_made_up']);
  expect(problemsOf('sum by (colour) (layotto_session_links)')).toEqual([
    'layotto_session_links has no colour',
  ]);
  expect(problemsOf('layotto_session_links{shape="round"}')).toEqual(['layotto_session_links has no shape']);
  expect(problemsOf('layotto_session_links{link="square"}')).toEqual([
    'layotto_session_links has no link square',
  ]);
  expect(problemsOf('sum(rate(layotto_session_links[1m])')[0]).toContain('not PromQL');
});

describe('the Grafana dashboard', () => {
  test.each(panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr])))(
    '%s asks for metrics and labels that there are: %s',
    (_, expression) => {
      expect(problemsOf(expression)).toEqual([]);
    },
  );

  test('is what its source says', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/render-dashboard.mjs', '--check']);
    expect(`${status} ${stderr.toString()}`).toBe('0 ');
  });

  test('has a place of its own for each panel, with a query, a legend and an explanation', () => {
    const places = new Set<string>();
    for (const { title, gridPos, targets = [], description } of panels) {
      expect(`${title}: ${targets.length > 0} ${(description ?? '') !== ''}`).toBe(`${title}: true true`);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      places.add(`${gridPos.x} ${gridPos.y}`);
    }
    expect(places.size).toBe(panels.length);
    expect(dashboard.uid).toBe('layotto');
    expect(dashboard.schemaVersion).toBeGreaterThan(35);
  });

  test('offers choices that there are', () => {
    const asked = dashboard.templating.list.flatMap(({ query = '' }) =>
      [...query.matchAll(/^label_values\((\w+), (\w+)\)$/g)].map(([, metric = '', label = '']) => ({
        metric,
        label,
      })),
    );
    expect(asked).toHaveLength(3);
    for (const { metric, label } of asked) expect([...(scrape.get(metric)?.keys() ?? [])]).toContain(label);
  });
});

describe('the alerts', () => {
  test.each(alerts.map(({ alert, expr }) => [alert, expr]))('%s asks for what there is', (_, expression) => {
    expect(problemsOf(expression)).toEqual([]);
  });

  test('stand in the documentation, each with what to do', () => {
    const page = read('docs/operations.md');
    for (const { alert } of alerts) expect(page).toContain(`| \`${alert}\` |`);
  });
});
