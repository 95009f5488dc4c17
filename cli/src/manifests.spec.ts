import { jest } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

import { podAnnotations } from '../../envoy/istio/manifests.js';
import { UserError } from './errors.js';
import { manifests } from './manifests.js';

interface Resource {
  kind: string;
  metadata: { name: string; namespace: string };
  data?: Record<string, string>;
}

describe('layotto envoy manifests', () => {
  let dir: string;
  let printed: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'manifests-'));
    printed = '';
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await rm(dir, { recursive: true, force: true });
  });

  const resources = (): Resource[] =>
    parseAllDocuments(printed).map((document) => document.toJS() as Resource);
  const refusal = (values: Record<string, string>): Promise<string> =>
    manifests(values).then(
      () => 'none',
      (error: unknown) => (error instanceof UserError ? error.message : 'another error'),
    );

  it('prints one bridge for each node with every app of a folder, and what their pods need', async () => {
    const apps = join(dir, 'apps');
    await mkdir(apps);
    await writeFile(join(apps, 'shop.yaml'), 'app: {id: shop}\n');
    await writeFile(join(apps, 'notes.txt'), 'no app');
    const values = {
      form: 'daemonset',
      apps,
      'host-path': '/run/other',
      image: 'r/bridge:9',
      namespace: 'infra',
    };
    expect(await manifests(values)).toBe(0);
    expect(resources().map(({ kind }) => kind)).toEqual(['ServiceAccount', 'ConfigMap', 'DaemonSet']);
    expect(resources().every(({ metadata }) => metadata.namespace === 'infra')).toBe(true);
    expect(resources()[1]?.data).toEqual({ 'shop.yaml': 'app: {id: shop}\n' });
    expect(printed).toContain('image: r/bridge:9');
    const comment = printed.match(/^# {3}.*$/gm)?.map((line) => line.slice(4)) ?? [];
    const [annotations] = parseAllDocuments(comment.join('\n')).map((document) => document.toJS() as object);
    expect(annotations).toEqual(podAnnotations('/run/other', 'shop'));
  });

  it('says that a bridge without apps serves none', async () => {
    const said = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    expect(await manifests({ form: 'daemonset' })).toBe(0);
    expect(resources()[1]?.data).toEqual({});
    expect(said.mock.calls.flat().join()).toContain('without --apps the ConfigMap layotto-apps is empty');
  });

  it('prints an app with the bridge in its pod', async () => {
    const config = join(dir, 'layotto.yaml');
    await writeFile(config, 'app: {id: shop}\ncomponents: []\n');
    expect(await manifests({ form: 'sidecar', config, 'app-image': 'r/shop:1' })).toBe(0);
    expect(resources().map(({ kind, metadata }) => [kind, metadata.name])).toEqual([
      ['ConfigMap', 'layotto'],
      ['Deployment', 'shop'],
    ]);
  });

  it('refuses what it cannot print, and says why', async () => {
    expect(await refusal({})).toBe('--form needs daemonset or sidecar');
    expect(await refusal({ form: 'pod' })).toBe("--form needs daemonset or sidecar, not 'pod'");
    expect(await refusal({ form: 'sidecar' })).toBe('--form sidecar needs -c FILE and --app-image IMAGE');
    expect(await refusal({ form: 'daemonset', 'app-image': 'x' })).toBe(
      '--app-image is not for --form daemonset',
    );
    expect(await refusal({ form: 'daemonset', apps: join(dir, 'none') })).toContain('cannot be read');
    expect(await refusal({ form: 'daemonset', apps: dir })).toContain(
      'expected a NAME.yaml for each app, found none',
    );
    expect(await refusal({ form: 'daemonset', namespace: 'A b' })).toContain(
      'expected a Kubernetes namespace',
    );
    expect(printed).toBe('');
  });
});
