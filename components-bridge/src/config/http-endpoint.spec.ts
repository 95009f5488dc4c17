import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const resourcesPath = 'components';
const PEM = '-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n';

function endpoint(spec: string, more = '', name = 'github'): string {
  return `apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata: {name: ${name}}\nspec: ${spec}\n${more}`;
}

async function problems(text: string): Promise<string[]> {
  await folder.write({ 'components/a.yaml': text });
  return folder.problems({ resourcesPath });
}

describe("Dapr's HTTPEndpoints", () => {
  it('become callees', async () => {
    const headers = '[{name: X-Key, value: 5}, {name: authorization, envRef: WEB_KEY}]';
    await folder.write({
      'layotto.yaml': 'callees: { orders: "127.0.0.1:81" }\n',
      'components/a.yaml': endpoint(`{ baseUrl: "https://api.github.com/v3/", headers: ${headers} }`),
      'components/b.yaml': [
        endpoint('{ baseUrl: "http://[::1]:8080" }', 'scopes: [app]\n', 'six'),
        endpoint('{ baseUrl: "http://x" }', 'scopes: [shop]\n', 'others'),
        endpoint(
          JSON.stringify({ baseUrl: 'https://h:444', clientTLS: { rootCA: { value: PEM } } }),
          '',
          'tls',
        ),
      ].join('---\n'),
    });
    const env = { WEB_KEY: 'Bearer t' };
    const { callees } = await folder.config({ file: 'layotto.yaml', resourcesPath, env });
    expect(callees).toEqual({
      orders: { to: [{ host: '127.0.0.1', port: 81 }] },
      github: {
        to: [{ host: 'api.github.com', port: 443 }],
        endpoint: {
          authority: 'api.github.com',
          path: '/v3',
          headers: { 'x-key': '5', authorization: 'Bearer t' },
          tls: { name: 'api.github.com' },
        },
      },
      six: {
        to: [{ host: '::1', port: 8080 }],
        endpoint: { authority: '[::1]:8080', path: '', headers: {} },
      },
      tls: {
        to: [{ host: 'h', port: 444 }],
        endpoint: { authority: 'h:444', path: '', headers: {}, tls: { name: 'h', rootCA: PEM } },
      },
    });
  });

  it.each([
    ['3', 'spec: expected a map with baseUrl, found 3'],
    ['{}', 'spec.baseUrl: expected http:// or https://, a host'],
    ['{ baseUrl: "ftp://x" }', 'spec.baseUrl: expected http:// or https://, a host'],
    ['{ baseUrl: "http://u:p@x" }', 'without user, query and fragment'],
    ['{ baseUrl: "http://u@x" }', 'without user, query and fragment'],
    ['{ baseUrl: "http://x?y" }', 'without user, query and fragment'],
    ['{ baseUrl: "http://x#y" }', 'without user, query and fragment'],
    ['{ baseUrl: "http://x", timeout: 5 }', 'spec.timeout: expected baseUrl, headers and clientTLS only'],
    ['{ baseUrl: "http://x", headers: {} }', 'spec.headers: expected a list of names and values'],
    [
      '{ baseUrl: "http://x", headers: [{name: Host, value: y}] }',
      'expected the name of a header, each once',
    ],
    ['{ baseUrl: "http://x", headers: [{name: TE, value: trailers}] }', 'none of the connection'],
    [
      '{ baseUrl: "http://x", headers: [{name: "a b", value: y}] }',
      'expected the name of a header, each once',
    ],
    ['{ baseUrl: "http://x", headers: [{name: a, value: 1}, {name: A, value: 2}] }', 'each once'],
    ['{ baseUrl: "http://x", headers: [{name: a, value: "ü"}] }', 'expected visible ASCII for the header a'],
    [
      '{ baseUrl: "http://x", headers: [{name: a, secretKeyRef: {name: b}}] }',
      "expected value or envRef for a: headers stand in Envoy's configuration",
    ],
    [
      '{ baseUrl: "http://x", clientTLS: {rootCA: {value: x}} }',
      'expected none, because baseUrl is no https://',
    ],
    ['{ baseUrl: "https://x", clientTLS: 5 }', 'spec.clientTLS: expected a map with rootCA, found 5'],
    ['{ baseUrl: "https://x", clientTLS: {} }', 'expected rootCA with a value: a certificate in PEM'],
    ['{ baseUrl: "https://x", clientTLS: {rootCA: {value: x}} }', 'a certificate in PEM'],
    [
      '{ baseUrl: "https://x", clientTLS: {privateKey: {value: x}} }',
      'spec.clientTLS.privateKey: clientTLS.privateKey is not served by this version, only rootCA is',
    ],
  ])('are refused by what is wrong with them: %s', async (spec, message) => {
    expect(await problems(endpoint(spec))).toEqual([expect.stringContaining(message)]);
  });

  it('are told all that is wrong with them', async () => {
    const spec =
      '{ baseUrl: "ftp://x", timeout: 5, headers: [{name: TE, value: x}], clientTLS: {certificate: {value: x}} }';
    expect(await problems(endpoint(spec, '', 'other'))).toEqual([
      expect.stringContaining('metadata.name: expected a host name'),
      expect.stringContaining('spec.timeout: expected baseUrl, headers and clientTLS only'),
      expect.stringContaining('spec.baseUrl: expected http:// or https://'),
      expect.stringContaining('spec.headers: expected the name of a header'),
      expect.stringContaining('clientTLS.certificate is not served by this version'),
    ]);
  });

  it('show nothing of what the environment has', async () => {
    const spec = '{ baseUrl: "http://x", headers: [{name: a, envRef: WEB_KEY}] }';
    await folder.write({ 'components/a.yaml': endpoint(spec) });
    const found = await folder.problems({ resourcesPath, env: { WEB_KEY: 'hüsh' } });
    expect(found).toEqual([expect.stringContaining('for the header a, found something else')]);
    expect(found.join()).not.toContain('hüsh');
  });

  it('have names as callees have them, each once', async () => {
    const fine = '{ baseUrl: "http://x" }';
    expect(await problems(endpoint(fine, '', 'a_b/c'))).toEqual([
      expect.stringContaining('metadata.name: expected a host name'),
    ]);
    expect(await problems(endpoint(fine, '', 'other'))).toHaveLength(1);
    expect(await problems(`${endpoint(fine)}---\n${endpoint(fine)}`)).toEqual([
      'components/a.yaml:6 metadata.name: expected a name that no other callee has, found "github"',
    ]);
    expect(await problems(endpoint(fine).replace('v1alpha1', 'v2'))).toEqual([
      expect.stringContaining('apiVersion: expected dapr.io/v1alpha1'),
    ]);
    const many = Array.from({ length: 201 }, (_, n) => endpoint(fine, '', `e${n}`)).join('---\n');
    expect(await problems(many)).toEqual([expect.stringContaining('expected at most 200 callees')]);
  });
});
