import { parse, parseAllDocuments } from 'yaml';

import { expectExample } from './example.js';
import { read } from './markdown.js';

describe.each([
  'configuration-apollo',
  'file',
  'function-bookstore',
  'host-filter',
  'invoke',
  'istio',
  'lock-redis',
  'new-primitive',
  'pubsub-redis',
  'reloadable-sdk',
  'secrets',
  'sequencer',
])('examples/%s', (name) => {
  test('runs to its end and says what its README shows', async () => {
    await expectExample(name);
  }, 120_000);
});

test('the configuration in examples/istio/deployment.yaml is the one that the resources are printed from', () => {
  const [configMap] = parseAllDocuments(read('examples/istio/deployment.yaml'));
  const data = (configMap?.toJS() as { data: Record<string, string> }).data;
  expect(parse(data['layotto.yaml'] ?? '')).toEqual(parse(read('examples/istio/layotto.yaml')));
});
